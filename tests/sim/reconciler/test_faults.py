"""The reconciler among faults: crashes, rivals, lost answers, refused pushes. Each seed repeats."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from fleet.memory import Line, MemoryRepository, allow_all
from fleet.port import RefUpdate, RepositoryError, StaleError, UnreachableError
from reconciler.loop import pass_once
from reconciler.observing.read import Reader
from reconciler.rolling.marks import Memory
from schemas.assignment import Assignment, parse_assignment
from schemas.layout import ASSIGNMENTS_REF
from schemas.names import NodeName
from tests.builders import a_host
from tests.unit.reconciler.world import World, a_small_fleet, a_world, deployment, node


class Killed(BaseException):
    """The process ends here, as by a power cut: nobody catches this."""


class Fragile(MemoryRepository):
    """A client whose process can be killed before any call to it."""

    def __init__(self, world: World, kill_at: int) -> None:
        super().__init__(world.server)
        self.left = kill_at

    def _live(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def __getattribute__(self, name: str) -> object:
        if name in ("fetch", "tree", "read", "write", "subtree", "commit", "push"):
            object.__getattribute__(self, "_live")()
        return object.__getattribute__(self, name)


def changed(world: World) -> None:
    """A commit that adds, changes, moves and removes."""
    world.commit(
        {
            "deployments/chat.yaml": deployment("chat", parameters="{text: new}"),
            "deployments/more.yaml": deployment("more", replicas=3),
            "deployments/bad.yaml": "nonsense",
            "nodes/beta.yaml": node("beta", duty="draining"),
        }
    )


def a_decided_world() -> World:
    world = a_world()
    world.pass_once()
    return world


def test_killed_anywhere_the_next_pass_makes_the_same_bytes() -> None:
    straight = a_decided_world()
    changed(straight)
    straight.pass_once()

    kill_at, finished = 0, False
    while not finished:
        world = a_decided_world()
        changed(world)
        before = world.tree()
        client = Fragile(world, kill_at)
        try:
            pass_once(Reader(client, client, "main"), world.renderer, Memory(), world.clock)
            finished = True
        except Killed:
            assert world.tree() == before
            world.pass_once()
        _same(world, straight)
        kill_at += 1

    assert kill_at > 10, "there are more than ten places to be killed at"


def _same(world: World, other: World) -> None:
    assert world.tree() == other.tree()
    for name in ("alpha", "beta"):
        assert world.own_tree(name) == other.own_tree(name)
    assert world.history() == other.history()
    assert world.pass_once().commit is None


def test_a_lost_answer_is_found_out_by_reading() -> None:
    world = a_decided_world()
    changed(world)
    mute = MemoryRepository(world.server)
    reader = Reader(mute, mute, "main")
    reader.read()
    push: Callable[[tuple[RefUpdate, ...]], None] = mute.push

    def lossy(updates: tuple[RefUpdate, ...]) -> None:
        mute.line = Line.MUTE
        push(updates)

    mute.push = lossy  # type: ignore[method-assign]
    with pytest.raises(UnreachableError):
        pass_once(reader, world.renderer, Memory(), world.clock)
    tree = world.tree()

    assert world.pass_once().commit is None
    assert world.tree() == tree


@dataclass(slots=True)
class Rival:
    """One of several reconcilers of one fleet, each with its own client and its own memory."""

    world: World
    reader: Reader = field(init=False)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        client = MemoryRepository(self.world.server)
        self.reader = Reader(client, client, "main")

    def act(self) -> None:
        outcome = pass_once(self.reader, self.world.renderer, self.memory, self.world.clock)
        self.memory = outcome.result.memory


def places(world: World) -> dict[str, str]:
    return {
        replica.name: name
        for name, assignment in assignments(world).items()
        for replica in assignment.replicas
    }


def assignments(world: World) -> dict[NodeName, Assignment]:
    return {
        NodeName(path.split("/")[1]): parse_assignment(content.decode(), path=path)
        for path, content in world.tree().items()
        if path.endswith("/assignment.json")
    }


class Racing(MemoryRepository):
    """A client before whose push somebody else always gets in, so many times."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world.server)
        self.world = world
        self.times = times

    def push(self, updates: tuple[RefUpdate, ...]) -> None:
        if self.times:
            self.times -= 1
            self.world.commit({"deployments/other.yaml": deployment("other", replicas=self.times)})
            Rival(self.world).act()
            # And there is always something left to publish for us.
            self.world.commit(
                {f"deployments/more-{self.times}.yaml": deployment(f"more-{self.times}")}
            )
        super().push(updates)


@pytest.mark.parametrize(("times", "wins"), [(0, True), (1, True), (4, True), (5, False)])
def test_who_comes_too_late_reads_and_decides_again(times: int, wins: bool) -> None:
    world = a_decided_world()
    client = Racing(world, times)
    changed(world)
    reader = Reader(client, client, "main")

    if wins:
        pass_once(reader, world.renderer, Memory(), world.clock)
    else:
        with pytest.raises(StaleError):
            pass_once(reader, world.renderer, Memory(), world.clock)

    assert (world.pass_once().commit is None) is wins


@pytest.mark.parametrize("seed", range(20))
def test_rivals_and_refusals_leave_one_line_of_history_and_no_flip_flop(seed: int) -> None:
    rng = random.Random(seed)
    world = a_decided_world()
    rivals = [Rival(world) for _ in range(3)]
    world.server.rule = lambda one: "busy" if _is_decision(one) and rng.random() < 0.3 else ""
    generations: dict[NodeName, int] = {}
    for step in range(20):
        _happen(world, rng, step)
        seen = [places(world)]
        for rival in rng.sample(rivals, k=rng.randint(1, 3)):
            with contextlib.suppress(RepositoryError):
                rival.act()
            seen.append(places(world))
        _check(world, generations)
        assert len({tuple(sorted(one.items())) for one in seen}) <= 2, "one change, one decision"
    world.server.rule = allow_all
    rivals[0].act()
    settled = world.tree()
    for rival in rivals:
        rival.act()
    assert world.tree() == settled


def _is_decision(update: RefUpdate) -> bool:
    return update.ref == ASSIGNMENTS_REF


def _happen(world: World, rng: random.Random, step: int) -> None:
    name = f"d{rng.randrange(4)}"
    match rng.randrange(4):
        case 0:
            world.commit({f"deployments/{name}.yaml": deployment(name, replicas=rng.randrange(4))})
        case 1:
            world.commit({f"deployments/{name}.yaml": "broken"})
        case 2:
            world.beat(rng.choice(("alpha", "beta")), sequence=step + 2)
        case _:
            gone = f"deployments/{name}.yaml"
            if gone in world.files:
                world.commit({gone: None})


def _check(world: World, generations: dict[NodeName, int]) -> None:
    """Promises that hold after every step."""
    for name, assignment in assignments(world).items():
        assert assignment.generation >= generations.get(name, 0)
        generations[name] = assignment.generation
        own = {f"nodes/{name}/{path}": text for path, text in world.own_tree(name).items()}
        assert own == {p: t for p, t in world.tree().items() if p.startswith(f"nodes/{name}/")}
    replicas = [one.name for each in assignments(world).values() for one in each.replicas]
    assert len(replicas) == len(set(replicas))
    ports = [
        (name, port)
        for name, each in assignments(world).items()
        for one in each.replicas
        for port in one.ports.values()
    ]
    assert len(ports) == len(set(ports))


def test_what_explains_a_place_may_change_without_a_commit() -> None:
    world = a_world(
        files=a_small_fleet(**{"deployments/chat.yaml": deployment("chat", replicas=3)})
    )
    first = world.pass_once()
    told = world.tree()

    # Everything by which the nodes are scored changes, and nothing that is promised.
    for step, cores in enumerate((12, 8, 24), start=2):
        host = a_host(cpu_milli=cores * 1000, memory_mib=cores * 2048)
        world.beat("alpha", sequence=step, host=host, images=("example.org/web:1.0",))
        outcome = world.pass_once()

        assert outcome.commit is None
        assert world.tree() == told
    fresh = a_world(files=dict(world.files))
    fresh.beat("alpha", sequence=2, host=host)
    others = {one.replica: one.why for one in fresh.pass_once().result.plan.placements}
    kept = {one.replica: one.why for one in first.result.plan.placements}
    assert others != kept, "decided anew, the same fleet would be explained otherwise"
