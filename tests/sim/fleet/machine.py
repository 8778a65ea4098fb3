"""What hosts and reconcilers have in common: a line that can be cut, and a place in the world."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tests.sim.fleet.actor import Actor, Points
from tests.sim.fleet.wire import Ills, Server, Wire

# Longer than any run.
NEVER: Final = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the world gives to a machine.

    folder: its disk. now: seconds that never jump. wall: the time that people see there.
    points: makes what an actor passes at each of its effects. secret: a password that services
    have here, and print.
    """

    server: Server
    folder: Path
    rng: random.Random
    now: Callable[[], float]
    wall: Callable[[], datetime]
    points: Callable[[Actor], Points]
    secret: str


class Machine(Actor):
    """A program on a host of its own.

    ills: of its line. boots: how often its host started. passes: when it made some lately.
    """

    def __init__(self, name: str, around: Surroundings) -> None:
        super().__init__(name)
        self.around = around
        self.rng = around.rng
        self.ills = Ills()
        self.boots = 1
        self.passes: deque[float] = deque()
        self.point = around.points(self)
        self.repository = Wire(around.server, name, self.ills, self.point)

    def reboot(self) -> None:
        """Start the host again. The program dies with it, wherever it is in its step."""
        self.boots += 1
        self.doomed = self.busy
