"""When to speak: at once on a change, otherwise now and then, and never too often. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

# Two a minute once a burst of 20 is spent, so that a rollout is told step by step and a service
# that flaps for hours costs little more than the keep-alives do.
PUSHES_PER_HOUR = 140
# The part of an hour's budget that may be spent at once.
BURST_SHARE = 1 / 7
HOUR_SECONDS = 3600.0
# The keep-alive comes early by up to a tenth, never late: lateness is what others judge.
JITTER = 0.1
# What a worn lease asks for before that is due is asked for so seldom: the lease may be one that
# nothing renews, and then each pass would ask for it.
EARLY_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Budget:
    """How many pushes on change there may be in any hour; at least one.

    Keep-alives cost nothing of it: the fleet asks for them. News that finds it spent waits for the
    next push that is allowed, and goes out as things stand by then.
    """

    per_hour: int = PUSHES_PER_HOUR

    @property
    def burst(self) -> float:
        """How many may be made at once, after a quiet time."""
        return max(1.0, self.per_hour * BURST_SHARE)

    @property
    def refill_seconds(self) -> float:
        """How long one more takes to be allowed."""
        return HOUR_SECONDS / max(1.0, self.per_hour - self.burst)

    def refilled(self, tokens: float, since: float) -> float:
        """How many are allowed, `since` seconds after there were `tokens`."""
        return min(self.burst, tokens + max(0.0, since) / self.refill_seconds)

    def wait_seconds(self, tokens: float) -> float:
        """How long it takes until one is allowed."""
        return max(0.0, 1.0 - tokens) * self.refill_seconds


def next_keep_alive(spoken_at: float, every_seconds: float, rng: random.Random) -> float:
    """When to speak again even if nothing changes."""
    return spoken_at + every_seconds * (1.0 - JITTER * rng.random())


def next_poll(looked_at: float, every_seconds: float, rng: random.Random) -> float:
    """When to look at a remote again that cannot be watched: spread, so that nodes do not bunch."""
    return looked_at + every_seconds * (1.0 - JITTER + 2 * JITTER * rng.random())


def may_come_early(last: float, every_seconds: float, now: float) -> bool:
    """Whether a heartbeat, or a look, may come before it is due.

    last: when there was one. every_seconds: how often a heartbeat is due.
    """
    return now >= last + every_seconds * EARLY_SHARE
