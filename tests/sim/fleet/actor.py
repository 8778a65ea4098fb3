"""Who lives in the simulated world: something that makes steps, can be killed, and starts again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol


class Killed(BaseException):
    """The process ends here, as by kill -9. No handler of the real code may catch it."""


class Actor(ABC):
    """A program, or a person, that makes a step whenever its time has come.

    due: when the next step is; None: never, unless somebody wakes it.
    busy: it is in the middle of a step, and others act meanwhile. called: somebody woke it then.
    doomed: it dies at the next point that it passes. kill_in: it dies after so many more points.
    kind: what it is, for the account.
    dawdle: how likely it is to let others act at a point, and nap: for how long at most, seconds.
    hang: for how many seconds it stops at its next point, as by SIGSTOP.
    """

    kind = "actor"

    def __init__(self, name: str) -> None:
        self.name = name
        self.due: float | None = None
        self.busy = False
        self.called = False
        self.doomed = False
        self.kill_in: int | None = None
        self.dawdle = 0.0
        self.nap = 0.0
        self.hang = 0.0

    @abstractmethod
    def step(self) -> float:
        """Do what is due, and say in how many seconds the next step is."""

    @abstractmethod
    def died(self) -> float:
        """Forget all that a process forgets at its end; say in how many seconds it starts again."""


class Points(Protocol):
    """Told of every effect before and after it happens: there a process may die, or wait."""

    def __call__(self, name: str, seconds: float = 0.0) -> None:
        """Pass the point, or raise `Killed`. seconds: how long it takes, while others act."""
