"""The arithmetic of a singleton: when silence is long enough to be sure that its agent stopped it.

An agent that reached nobody for `stop_after` stops the replica. The reconciler calls the node lost
when it saw no news for `lose_after`, by its own clock. Both clocks run evenly and not equally fast:
each may be wrong by a share `CLOCK_ERROR`, so of a span L they may differ by 2·rho·L / (1 + rho).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from schemas.fleet import Timings
from schemas.quantity import format_duration
from schemas.rollout import Disconnect

# So slow may a push be without a fence stopping anything. One that is slower may still arrive, and
# renews a lease that is not over by then.
PUSH_TIMEOUT: Final = timedelta(seconds=15)
# How often the fence of a host looks, beside the agent.
FENCE_PERIOD: Final = timedelta(seconds=10)
# What a container gets to end by itself before it is killed, and the engine to say so.
STOP_TIME: Final = timedelta(seconds=30)
# Crystals are wrong by some 0.01 %, and virtual machines that are paused or migrated by more.
CLOCK_ERROR: Final = 0.01


def lose_after(timings: Timings, disconnect: Disconnect) -> timedelta:
    """How long a node may be silent before its replicas count as lost."""
    return timings.lost if disconnect.lose_after is None else disconnect.lose_after


def margin(span: timedelta) -> timedelta:
    """By how much two clocks may differ over a span."""
    return span * (2 * CLOCK_ERROR / (1 + CLOCK_ERROR))


def least_stop_after(timings: Timings) -> timedelta:
    """The shortest `stop_after` that two lost heartbeats and a slow push do not trigger."""
    return 3 * timings.heartbeat + PUSH_TIMEOUT


def least_lose_after(stop_after: timedelta) -> timedelta:
    """The shortest `lose_after` by which an agent that is cut off is sure to have stopped.

    L - 2·rho·L / (1 + rho) >= stop_after + period + stop time, solved for L, in whole seconds.
    """
    needed = stop_after + FENCE_PERIOD + STOP_TIME
    exact = needed * ((1 + CLOCK_ERROR) / (1 - CLOCK_ERROR))
    return timedelta(seconds=-(-exact // timedelta(seconds=1)))


def unsafe(timings: Timings, disconnect: Disconnect) -> tuple[str, str] | None:
    """What makes a fence useless, with the arithmetic, and the fix; None: it holds."""
    stop = disconnect.stop_after
    if stop is None:
        return None
    least = least_stop_after(timings)
    if stop < least:
        what = (
            f"stopAfter is {format_duration(stop)}, and 3 heartbeats of "
            f"{format_duration(timings.heartbeat)} + {format_duration(PUSH_TIMEOUT)} for a push "
            f"= {format_duration(least)}: one bad moment would stop it"
        )
        return what, f"set stopAfter to at least {format_duration(least)}"
    span, needed = lose_after(timings, disconnect), least_lose_after(stop)
    if span < needed:
        total = stop + FENCE_PERIOD + STOP_TIME
        name = "timings.lost of fleet.yaml" if disconnect.lose_after is None else "loseAfter"
        what = (
            f"{name} is {format_duration(span)}, and stopAfter {format_duration(stop)} + "
            f"{format_duration(FENCE_PERIOD)} for the host's fence + {format_duration(STOP_TIME)} "
            f"to stop = {format_duration(total)}, with clocks wrong by {CLOCK_ERROR:.0%} "
            f"{format_duration(needed)}: two copies could run"
        )
        fix = f"set disconnect.loseAfter to at least {format_duration(needed)}"
        return what, f"{fix}, or a shorter stopAfter"
    return None
