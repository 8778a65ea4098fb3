"""When to speak: at once on a change, otherwise now and then, and never too often. Pure."""

from __future__ import annotations

import random

# A burst for a rollout, then two a minute: 140 pushes in the worst hour, however a service flaps.
BURST = 20.0
REFILL_SECONDS = 30.0
# The keep-alive comes early by up to a tenth, never late: lateness is what others judge.
JITTER = 0.1


def refilled(tokens: float, since: float) -> float:
    """How many pushes on change are allowed, `since` seconds after there were `tokens`."""
    return min(BURST, tokens + max(0.0, since) / REFILL_SECONDS)


def next_keep_alive(spoken_at: float, every_seconds: float, rng: random.Random) -> float:
    """When to speak again even if nothing changes."""
    return spoken_at + every_seconds * (1.0 - JITTER * rng.random())


def next_poll(looked_at: float, every_seconds: float, rng: random.Random) -> float:
    """When to look at a remote again that cannot be watched: spread, so that nodes do not bunch."""
    return looked_at + every_seconds * (1.0 - JITTER + 2 * JITTER * rng.random())
