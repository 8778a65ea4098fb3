"""The clocks of this machine. The one module of the reconciler that asks what time it is. Shell."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The steady clock starts at the wall time of its making and counts with the boot clock.

    The boot clock goes on while the machine sleeps, and nobody can set it. So an hour that the
    wall clock jumps makes no node look lost.
    """

    def __init__(self) -> None:
        self._start = self.wall()
        self._boot = boot_seconds()

    def steady(self) -> datetime:
        """Now, counted evenly since the start."""
        return self._start + timedelta(seconds=boot_seconds() - self._boot)

    def wall(self) -> datetime:
        """Now, as people say it."""
        return datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC)


def boot_seconds() -> float:
    """Seconds since this machine booted, asleep or not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
