"""The life of one seed: trouble, healing, rest, and what is left to say about it."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from fleet.memory import MemoryRepository
from reconciler.decide import Pass, decide
from reconciler.observing.causes import is_of_removals
from reconciler.observing.read import Reader
from reconciler.rendering.port import Renderer
from schemas.layout import DECISION_FILE, NODES, VERSIONS
from tests.sim.fleet.endless import watched
from tests.sim.fleet.faults import BITES, Saboteur
from tests.sim.fleet.invariants import watch
from tests.sim.fleet.ledger import Ledger
from tests.sim.fleet.liveness import complaints, refs_of_decisions
from tests.sim.fleet.person import ACTS, NEWER_ACTS
from tests.sim.fleet.world import World

# The longest wait of an agent after failures, a node called late, a rollout replica by replica, and
# the longest time for which a node that came and went gets nothing new. Most lives need little.
SETTLE_SECONDS: Final = 5400.0
SETTLE_CHUNK: Final = 30.0
# Two rounds in which everybody looks and speaks at least once, at the default timings.
IDLE_SECONDS: Final = 70.0
# So many rounds are more than the five minutes after which the last doubt about a node ends.
ROUNDS: Final = 6

Trace: TypeAlias = Callable[[str], None] | None
Only: TypeAlias = frozenset[str] | None


@dataclass(slots=True)
class Account:
    """What became of one seed, or of many together.

    steps: passes, and effects within them. passes: acts of anybody as a whole.
    double_runs: how often a fenced replica ran twice. overlaps: how often another one did, which
    nobody promised not to happen.
    """

    seeds: int = 0
    steps: int = 0
    passes: int = 0
    double_runs: int = 0
    overlaps: int = 0
    breaches: list[str] = field(default_factory=list)
    unconverged: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    bad_seeds: list[int] = field(default_factory=list)
    fingerprint: str = ""

    @property
    def silent(self) -> tuple[str, ...]:
        """What never bit, of all that should have in many lives."""
        wanted = {*BITES, *(name for name, _ in (*ACTS, *NEWER_ACTS))}
        return tuple(sorted(wanted - self.fired.keys()))

    def add(self, other: Account) -> None:
        """Count another one in."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.passes += other.passes
        self.double_runs += other.double_runs
        self.overlaps += other.overlaps
        self.breaches += other.breaches
        self.unconverged += other.unconverged
        self.fired += other.fired
        self.bad_seeds += other.bad_seeds


def live(seed: int, renderer: Renderer, trace: Trace = None, only: Only = None) -> Account:
    """Live the life of a seed, and give an account of it. only: the faults that may happen."""
    temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="miaas-sim-")
    with temporary as folder, watched():
        world = World(seed, Path(folder), renderer)
        if trace is not None:
            world.trace = trace
        ledger = Ledger()
        watch(world, ledger)
        return _live(world, ledger, only)


def memory_folder() -> str | None:
    """A folder that is no real disk, where there is one; None: wherever temporary files go."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # and it is removed


def _live(world: World, ledger: Ledger, only: Only) -> Account:
    world.person.about_to_break = lambda path, text: _check_break(world, path, text)
    dice = random.Random(world.rng.getrandbits(64))
    saboteur = Saboteur(world, dice, only)
    world.run(dice.choice((0.0, 60.0)))
    world.wake(saboteur, 0.0)
    world.run(dice.choice((300.0, 600.0, 1200.0)))
    _heal(world, saboteur)
    account = Account(seeds=1, overlaps=ledger.overlaps)
    left = _settle(world, ledger)
    account.unconverged = left or _rest(world)
    for one in world.machines:
        world.fired += one.ills.hits
    for host in world.hosts.values():
        world.fired += Counter(host.engine.hits)
        world.fired["host fenced"] += world.timers[host.name].fired
        world.fired["host fenced without Docker"] += world.timers[host.name].forced
        world.fired["disk full"] += host.disk.hits
    world.fired["refused push"] += world.server.refused
    world.fired += Counter(world.person.did)
    account.steps, account.passes = world.steps, world.passes
    account.breaches, account.fired = world.breaches, +world.fired
    account.double_runs = sum(what.startswith("S1 ") for what in world.breaches)
    account.fingerprint = world.fingerprint
    if account.breaches or account.unconverged:
        account.bad_seeds = [world.seed]
    return account


def _heal(world: World, saboteur: Saboteur) -> None:
    """End all faults, and let people go home; a second reconciler may stay."""
    world.trace("== healing")
    saboteur.heal()
    world.person.mend_all()
    world.person.pause = 1e12
    world.person.due = None
    for actor in world.machines:
        actor.kill_in, actor.dawdle, actor.hang, actor.ills.lose = None, 0.0, 0.0, 0


def _settle(world: World, ledger: Ledger) -> list[str]:
    """Wait until nothing is left to wish for, twice in a row; say what is left at the end.

    Twice, because who only polls has not yet heard what was said a moment ago.
    """
    left: list[str] = ["nobody looked yet"]
    for _ in range(int(SETTLE_SECONDS / SETTLE_CHUNK)):
        world.run(SETTLE_CHUNK)
        before, left = left, list(complaints(world, ledger))
        if not left and not before:
            return []
    return left


def _rest(world: World) -> list[str]:
    """L5: the fleet comes to rest. What only time tells, as a doubt that ends, is told once."""
    left: list[str] = []
    for _ in range(ROUNDS):
        left = _move_in_peace(world)
        if not left:
            break
    return left


def _move_in_peace(world: World) -> list[str]:
    """Say what two idle rounds did: they should move no ref of a decision, and start nothing."""
    before = refs_of_decisions(world)
    containers = {name: host.engine.everything() for name, host in world.hosts.items()}
    world.run(IDLE_SECONDS)
    left = [] if before == refs_of_decisions(world) else ["L5 an idle reconciler published"]
    after = {name: host.engine.everything() for name, host in world.hosts.items()}
    return left if containers == after else [*left, "L5 an idle agent touched a container"]


def _waits_for_a_node(result: Pass) -> bool:
    """Whether somebody is held, or stays on a node that is gone as nothing renders elsewhere."""
    known = {node.name for node in result.nodes}
    astray = any(one.node not in known for one in result.plan.placements)
    return astray or any(one.holds for one in result.decision.deployments)


def _check_break(world: World, path: str, text: bytes) -> None:
    """S11: breaking a document changes no byte of what any node is told.

    Asked of the real decision, at a moment when nothing else is to be decided.
    """
    client = MemoryRepository(world.server)
    snapshot = Reader(client, client, "main").read()
    decider = world.deciders["r0"]
    if decider.loop is None:
        return
    now, memory = decider.loop.clock.steady(), decider.loop.memory
    calm = decide(snapshot, now, memory, world.renderer)
    if not calm.changes.nothing:
        return
    if path.startswith(f"{NODES}/") and _waits_for_a_node(calm):
        return  # a broken node takes nothing new, and who waits for it may find another at once
    if calm.brakes.absent:
        return  # who has yet to start may get the place of one that is broken now (seed 8865)
    if any(is_of_removals(one) for problems in calm.held.values() for one in problems):
        return  # what is broken is not removed any more, and the others may then be few enough
    broken = replace(snapshot, desired={**snapshot.desired, path: text})
    changes = decide(broken, now, memory, world.renderer).changes
    world.fired["a break looked at closely"] += 1
    # What a version is made of is kept as it is written; no node is told of that.
    told = {path for path in changes.files if not path.startswith(f"{VERSIONS}/")}
    odd = sorted(told - {DECISION_FILE})
    if odd or changes.nodes:
        world.breach("S11", f"breaking {path} with {text[:60]!r} changes {odd} {changes.nodes}")
