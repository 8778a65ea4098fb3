"""A pass that never ends: it becomes a broken promise, not a run that hangs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Of processor time, which other work on the machine does not use up. A pass takes milliseconds.
SECONDS: Final = 20.0


class EndlessError(Exception):
    """One step took so much processor time that it would hardly have ended."""


@contextmanager
def watched() -> Iterator[None]:
    """Let steps be interrupted that go on for ever. Only in the main thread, which gets signals."""
    before = signal.signal(signal.SIGVTALRM, _interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def begin() -> None:
    """A step begins: count from here. Where nobody watches, nothing is ever interrupted."""
    if signal.getsignal(signal.SIGVTALRM) is _interrupt:
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)


def _interrupt(_number: int, _frame: object) -> None:
    raise EndlessError(f"a step took more than {SECONDS:.0f} s of processor time")
