"""What each reconciler could know of who is silent: what moves and returns are judged by."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

# A reconciler that did not look for 90 s takes silence for nothing. Here that may be a few seconds
# less or more; and we see the end of a look, which may hang for a minute and have begun in time:
# 90 s and 60 s, and 10 s more. Between these two both have to be fine.
GAP_LEAST, GAP_MOST = 80.0, 160.0
HOUR: Final = 3600.0


@dataclass(slots=True)
class Watch:
    """What one reconciler saw in one of its memories.

    since: when it began to look without a gap. last: when it looked last. seen: when it saw at the
    latest that a node spoke. lost: nodes that it saw silent for too long. back: when those spoke
    again. starts: of its process.
    """

    since: float = 0.0
    last: float = float("-inf")
    seen: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    back: dict[str, float] = field(default_factory=dict)
    starts: int = 0
    _unseen: set[str] = field(default_factory=set)

    def look(self, now: float, spoke: Iterable[str], lost: float) -> None:
        """It made a pass.

        spoke: nodes of which it can read a heartbeat. lost: seconds of silence after which it gives
        one up.
        A slow one may see long after others that a node spoke. What it did not watch for so long
        itself it takes for alive.
        """
        if now - self.last > GAP_MOST:
            self.since = now
        if now - self.last > GAP_LEAST:
            self._forgive(now)
        self.last = now
        self.seen = {**dict.fromkeys(spoke, now), **self.seen, **dict.fromkeys(self._unseen, now)}
        self._unseen.clear()
        self.lost |= {node for node, at in self.seen.items() if now - at >= lost}

    def start(self, starts: int, now: float) -> None:
        """It may have been started again, and then not know when it looked last."""
        if starts != self.starts:
            self.starts = starts
            self._forgive(now)

    def hear(self, node: str, now: float) -> None:
        """A node spoke."""
        self._unseen.add(node)
        if node in self.lost:
            self.lost.discard(node)
            self.back[node] = now

    def _forgive(self, now: float) -> None:
        self.lost.clear()
        self.seen = dict.fromkeys(self.seen, now)


@dataclass(slots=True)
class Moves:
    """When each replica was moved of late although people changed nothing about it."""

    times: dict[str, deque[float]] = field(default_factory=dict)

    def count(self, replica: str, now: float) -> int:
        """Note one more, and say how many there were in the last hour."""
        times = self.times.setdefault(replica, deque())
        times.append(now)
        while times[0] < now - HOUR:
            times.popleft()
        return len(times)
