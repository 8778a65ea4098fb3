"""The world of one seed: virtual time, everybody in it, and who acts next."""

from __future__ import annotations

import hashlib
import heapq
import random
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent.reasons import Reason
from reconciler.rendering.port import Renderer
from schemas.heartbeat import Heartbeat
from schemas.layout import ASSIGNED_REFS, NODE_REFS
from tests.sim.fleet import endless
from tests.sim.fleet.actor import Actor, Killed, Points
from tests.sim.fleet.decider import Decider
from tests.sim.fleet.host import Host
from tests.sim.fleet.machine import Machine, Surroundings
from tests.sim.fleet.person import MAIN, Person
from tests.sim.fleet.timer import Timer
from tests.sim.fleet.wire import Move, Server

NEW_YEAR: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Two may be held up in the middle of a step at the same moment; a third would show nothing new.
DEEPEST: Final = 2


class World:
    """Everything of one run. The same seed always lives the same life.

    passes, effects: how often anybody acted, and how many effects that had. now: seconds.
    tried, fired: how often each fault was started, and how often it bit.
    heard, backups: heartbeats that were pushed, and where refs stood, to be brought back later.
    breaches: broken promises, in words.
    moves: refs that moved since the last look. looks: taken after everything that anybody did.
    acted: who ended a pass just now; None: somebody is in the middle of one.
    secret: a password that nobody may ever tell.
    """

    def __init__(self, seed: int, folder: Path, renderer: Renderer) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.now = 0.0
        self.passes = 0
        self.effects = 0
        self.fired: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.heard: dict[str, list[Heartbeat]] = {}
        self.backups: list[dict[str, str]] = []
        self.renderer = renderer
        self.breaches: list[str] = []
        self.looks: list[Callable[[World], None]] = []
        self.trace: Callable[[str], None] = lambda _line: None
        self.server = Server()
        self.secret = f"sesame-{self.rng.getrandbits(64):016x}"
        self.moves: list[Move] = []
        self.acted: Actor | None = None
        self._news: list[Move] = []
        self._offsets: dict[str, float] = {}
        self._heap: list[tuple[float, float, int, Callable[[], None]]] = []
        self._count = 0
        self._depth = 0
        self._marks = hashlib.sha256()
        names = tuple(f"n{index}" for index in range(self.rng.randint(3, 12)))
        self.hosts = {name: Host(name, self._around(name, folder)) for name in names}
        self.deciders = {
            name: Decider(name, self._around(name, folder), renderer) for name in ("r0", "r1")
        }
        self.deciders["r1"].stopped = self.rng.random() < 0.6
        newer = random.Random(f"newer acts of {seed}")
        self.person = Person(self.server, self._dice(), names, newer)
        self.wake(self.person, self.rng.uniform(0, 60))
        for decider in self.deciders.values():
            self.wake(decider, self.rng.uniform(0, 10))
        self.timers = {name: Timer(host) for name, host in self.hosts.items()}
        for name, host in self.hosts.items():
            self.wake(host, self.rng.uniform(0, 10))
            self.wake(self.timers[name], self.rng.uniform(0, 10))

    # time ------------------------------------------------------------------------------------

    def at(self, delay: float, happen: Callable[[], None]) -> None:
        """Let something happen after so many seconds."""
        self._count += 1
        entry = (self.now + delay, self.rng.random(), self._count, happen)
        heapq.heappush(self._heap, entry)

    def wake(self, actor: Actor, delay: float) -> None:
        """Let an actor make a step after so many seconds, and not later than it was going to."""
        due = self.now + delay
        if actor.due is not None and actor.due <= due:
            return
        actor.due = due
        self.at(delay, lambda: self._step_if_due(actor, due))

    def run(self, seconds: float) -> None:
        """Let so many seconds pass with all that is due in them."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            at, _, _, happen = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            happen()
        self.now = max(self.now, end)

    def wall(self, name: str) -> datetime:
        """The time on somebody's wall."""
        return NEW_YEAR + timedelta(seconds=self.now + self._offsets.get(name, 0.0))

    def turn_clock(self, name: str, seconds: float) -> None:
        """Set somebody's wall clock forward, or back."""
        self._offsets[name] = self._offsets.get(name, 0.0) + seconds

    # steps -----------------------------------------------------------------------------------

    def _step_if_due(self, actor: Actor, due: float) -> None:
        # Whoever was woken earlier has been here already; who is busy goes on by itself.
        if actor.due != due:
            return
        actor.due = None
        if actor.busy:
            actor.called = True
        else:
            self.step(actor)

    def step(self, actor: Actor) -> None:
        """Let an actor make its step now."""
        actor.busy = True
        endless.begin()
        try:
            delay = actor.step()
        except Killed:
            delay = actor.died()
            self._note(f"{actor.name} was killed")
        except Exception:  # noqa: BLE001  # whatever it is, it is what we look for
            self.breach("S12", f"{actor.name}: {traceback.format_exc(limit=-6)}")
            delay = actor.died()
        finally:
            actor.busy = actor.doomed = False
        self.passes += 1
        if isinstance(actor, Machine):
            actor.passes.append(self.now)
        self.wake(actor, 0.05 if actor.called else delay)
        actor.called = False
        self._note(f"{actor.name} stepped")
        self._take_moves()
        self._spread_news()
        self._look(actor)

    def _take_moves(self) -> None:
        self.moves, self.server.moves = self.server.moves, []
        self._news += self.moves

    def _look(self, acted: Actor | None) -> None:
        self.acted = acted
        for look in self.looks:
            look(self)

    @property
    def is_changed(self) -> bool:
        """Whether a ref moved or a container rose since the last look."""
        return bool(self.server.moves) or any(one.engine.has_news for one in self.hosts.values())

    @property
    def steps(self) -> int:
        """How much was done: each effect, and each pass as a whole."""
        return self.passes + self.effects

    def breach(self, promise: str, what: str) -> None:
        """Note a broken promise."""
        self.breaches.append(f"{promise} at {self.now:.1f} s, step {self.steps}: {what}")
        self.trace(f"!! {self.breaches[-1]}")

    def _points(self, actor: Actor) -> Points:
        return lambda name, seconds=0.0: self._point(actor, name, seconds)

    def _point(self, actor: Actor, name: str, seconds: float) -> None:
        """Let an actor pass an effect: it may die there, or be held up while others act."""
        self.effects += 1
        if self.is_changed:
            self._take_moves()
            self._look(None)
        if actor.kill_in is not None:
            actor.kill_in -= 1
            if actor.kill_in < 0:
                actor.kill_in = None
                self.fired[f"killed {actor.kind}"] += 1
                raise Killed(name)
        if seconds:
            self._hold_up(seconds)
        elif actor.hang and self._depth < DEEPEST:
            seconds, actor.hang = actor.hang, 0.0
            self.fired[f"hung {actor.kind}"] += 1
            self._hold_up(seconds)
        elif actor.dawdle and self._depth < DEEPEST and self.rng.random() < actor.dawdle:
            self.fired[f"held up {actor.kind}"] += 1
            self.fired["slow push"] += name == "before push"
            self._hold_up(self.rng.uniform(0.0, actor.nap))
        if actor.doomed:
            raise Killed(name)

    def _hold_up(self, seconds: float) -> None:
        self._depth += 1
        try:
            self.run(seconds)
        finally:
            self._depth -= 1

    def _spread_news(self) -> None:
        """Tell of refs that moved whoever hears such things."""
        news, self._news = self._news, []
        for move in news:
            self._note(f"{move.writer} moved {move.ref} to {move.new}")
            if move.ref == MAIN or move.ref.startswith(NODE_REFS):
                for decider in self.deciders.values():
                    if decider.watches and not decider.stopped:
                        self.wake(decider, 1.0 if move.ref != MAIN else 0.05)
            host = self.hosts.get(move.ref.removeprefix(ASSIGNED_REFS))
            if host is not None and host.hears and host.agent is not None:
                host.reasons.add(Reason.ASSIGNMENT)
                self.wake(host, 0.05)

    def tell_of_containers(self, host: Host) -> None:
        """Docker tells of a change."""
        if host.hears and host.agent is not None:
            host.reasons.add(Reason.CONTAINERS)
            self.wake(host, 0.05)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Every host and every reconciler."""
        return (*self.hosts.values(), *self.deciders.values())

    # who is here -----------------------------------------------------------------------------

    def _around(self, name: str, folder: Path) -> Surroundings:
        return Surroundings(
            server=self.server,
            folder=folder / name,
            rng=self._dice(),
            now=lambda: self.now,
            wall=lambda: self.wall(name),
            points=self._points,
            secret=self.secret,
        )

    def _dice(self) -> random.Random:
        return random.Random(self.rng.getrandbits(64))

    # what happened ---------------------------------------------------------------------------

    def _note(self, what: str) -> None:
        line = f"{self.now:10.2f} {what}"
        self._marks.update(line.encode())
        self.trace(line)

    @property
    def fingerprint(self) -> str:
        """A digest of all that happened: equal for equal lives."""
        return self._marks.hexdigest()
