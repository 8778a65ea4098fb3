"""Where watchers leave word, and where the daemon waits for it."""

from __future__ import annotations

import threading

from agent.reasons import Reason


class Wakes:
    """Reasons to make a pass, gathered from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._reasons: set[Reason] = set()
        self._stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether the daemon was asked to end."""
        return self._stopped

    def tell(self, reason: Reason) -> None:
        """Leave a reason. It counts once, however often it is told."""
        with self._condition:
            self._reasons.add(reason)
            self._condition.notify_all()

    def stop(self) -> None:
        """Ask the daemon to end."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def wait(self, seconds: float) -> frozenset[Reason]:
        """Wait for a reason, but no longer than so many seconds. Takes all that have gathered."""
        with self._condition:
            self._condition.wait_for(lambda: self._reasons or self._stopped, max(0.0, seconds))
            reasons, self._reasons = frozenset(self._reasons), set()
            return reasons
