"""Time as a value that is handed in: a simulator turns it by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The two times of a host.

    wall: aware UTC, for people to read and for no decision.
    boottime: seconds since the boot, suspended time included. It never jumps.
    boot: names the boot that those seconds count from.
    """

    wall: Callable[[], datetime]
    boottime: Callable[[], float]
    boot: str
