"""A reconciler of the simulated fleet: the real loop, one pass at a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.loop import Loop
from reconciler.observing.read import Reader
from reconciler.remembering import FILE as MEMORY_FILE
from reconciler.remembering import MemoryFile
from reconciler.rendering.port import Renderer
from reconciler.rolling.marks import Memory
from reconciler.seat import Seat
from tests.sim.fleet.machine import NEVER, Machine, Surroundings


class _Clock:
    """As `SystemClock`: the steady time starts at the wall time of its making, and never jumps."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._start, self._at = around.wall(), around.now()

    def steady(self) -> datetime:
        return self._start + timedelta(seconds=self._around.now() - self._at)

    def wall(self) -> datetime:
        return self._around.wall()


class _Waits(BaseException):
    """The loop made its pass. Raised, because a loop that ends hands its lease back."""

    def __init__(self, longest: timedelta) -> None:
        super().__init__()
        self.seconds = longest.total_seconds()


@dataclass(slots=True)
class _OnePass:
    """Lets the loop make one pass, or none if it is told to end."""

    stopped: bool = False

    def wait(self, longest: timedelta, calm: timedelta) -> None:
        del calm
        raise _Waits(longest)


class Decider(Machine):
    """One reconciler.

    watches: whether it hears of refs that move. stopped: it was told to end. memories: how often it
    lost what it remembered. starts: of its process.
    """

    kind = "reconciler"

    def __init__(self, name: str, around: Surroundings, renderer: Renderer) -> None:
        super().__init__(name, around)
        self.watches = self.rng.random() < 0.5
        self.stopped = False
        self.memories = 0
        self.starts = 0
        self.loop: Loop | None = None
        self._renderer = renderer

    def step(self) -> float:
        if self.loop is None and not self.stopped:
            self.loop = self._start()
        try:
            if self.loop is not None:
                self.loop.waiting = _OnePass(stopped=self.stopped)
                self.loop.run()
        except _Waits as waits:
            return waits.seconds
        self.loop = None
        return NEVER

    def died(self) -> float:
        self.loop = None
        return self.rng.uniform(0.5, 30.0)

    def reboot(self) -> None:
        super().reboot()
        self.memories += 1
        self.loop = None

    def damage(self) -> None:
        """End, and find the file of sightings full of rubbish at the next start."""
        self.loop = None
        self.memories += 1
        self.around.folder.mkdir(parents=True, exist_ok=True)
        (self.around.folder / MEMORY_FILE).write_bytes(b"\x00{")

    @property
    def is_content(self) -> bool:
        """Whether it runs, and its last pass went well."""
        return self.loop is not None and not self.complaint

    @property
    def knows_who_leads(self) -> bool:
        """Whether it took part in an election when it looked last."""
        seat = self.loop.seat if self.loop else None
        return seat is not None and seat.duty is not None

    @property
    def complaint(self) -> str:
        """Why the last pass failed; empty: it did not."""
        return self.loop._complaint if self.loop else ""

    def _start(self) -> Loop:
        self.starts += 1
        clock = _Clock(self.around)
        kept = MemoryFile(self.around.folder, boot_id=f"boot-{self.boots}")

        def saved(memory: Memory) -> None:
            self.point("before memory.json")
            kept.save(memory, clock.steady(), self.around.now())

        return Loop(
            reader=Reader(self.repository, self.repository, "main"),
            renderer=self._renderer,
            clock=clock,
            waiting=_OnePass(),
            rng=self.rng,
            memory=replace(kept.load(clock.steady(), self.around.now()), paused=True),
            saved=saved,
            seat=Seat(self.name, self.rng),
        )
