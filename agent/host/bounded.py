"""Asks about cards in a child with a bound in time: a driver in trouble answers never."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agent.host.cards import Reading, parse_reading

if TYPE_CHECKING:
    import subprocess

# Eight cards answer within a second; a first call without persistence mode wakes each one up.
READING_SECONDS: Final = 20.0
DEATH_SECONDS: Final = 1.0  # a killed process is gone in milliseconds, or not for a long time


class BoundedReading:
    """Runs a module that prints a reading. Remembers one that hangs, and starts none beside it.

    driver: whose it is, in words. fix: what a person may do when it hangs. environment: for the
    child; None means ours. seconds: for one reading.
    """

    def __init__(
        self,
        *module: str,
        driver: str,
        fix: str,
        environment: Mapping[str, str] | None,
        seconds: float,
    ) -> None:
        self._module = module
        self._driver, self._fix = driver, fix
        self._environment = environment
        self._seconds = seconds
        self._hanging: subprocess.Popen[str] | None = None

    def read(self) -> Reading:
        """One look at all cards. It ends in time whatever the driver does. Raises nothing."""
        if self._hanging is not None and self._hanging.poll() is None:
            return self._hangs(self._hanging.pid)
        import subprocess  # noqa: PLC0415 - hosts without cards need not pay for it

        child = subprocess.Popen(  # noqa: S603 - a module of ours, and the root of a file system
            # -P: whatever stands in the current folder is not ours to import.
            [sys.executable, "-P", "-m", *self._module],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=None if self._environment is None else dict(self._environment),
        )
        try:
            out, complaint = child.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            self._give_up(child)
            return self._hangs(child.pid)
        try:
            return parse_reading(out)
        except ValueError:
            why = (complaint.strip().splitlines() or [f"it ended with {child.returncode}"])[-1]
            return Reading(problems=(f"the GPUs cannot be read: {why[:200]}",))

    def _give_up(self, child: subprocess.Popen[str]) -> None:
        """Kill it. One that hangs inside the kernel dies only when that call ends: remember it."""
        import subprocess  # noqa: PLC0415 - see read

        child.kill()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        try:
            child.wait(timeout=DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            self._hanging = child

    def _hangs(self, pid: int) -> Reading:
        told = f"{self._driver} hangs: process {pid} got no answer. Fix: {self._fix}"
        return Reading(problems=(told,))
