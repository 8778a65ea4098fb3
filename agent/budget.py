"""How long a pass goes on acting before it is heard again, and whose turn it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent.acts import Act, waits_for
from schemas.names import ReplicaName

# The watchdog waits a quarter of an hour for a pass, and its last act may take two minutes.
LONGEST_SECONDS = 60.0
# For so much of its interval a heartbeat that is due already waits for acts: most take a second or
# two, and one heartbeat then tells of all of them. Nobody calls a node late before the third.
LATE_SHARE = 1 / 3
# And for so long however short the interval is: or each pass would do one thing.
LEAST_SECONDS = 5.0
# Where nobody knows when a try was: behind who was never tried, before who was since.
SOME_TIME = 0.001


def acting_until(
    now: float, *, speak_due: float, heartbeat_seconds: float, worn_at: float | None
) -> float:
    """Until when acts may begin in a pass that acts from `now` on; its first one always may.

    Args:
        now: as all times here in seconds on the boot clock.
        speak_due: when the next heartbeat is due.
        heartbeat_seconds: how often one is.
        worn_at: as `agent.grants.worn_at`.
    """
    late = max(speak_due, now + max(heartbeat_seconds * LATE_SHARE, LEAST_SECONDS))
    until = min(late, now + LONGEST_SECONDS)
    return until if worn_at is None else min(until, worn_at)


def in_turn(decided: tuple[Act, ...], tried: Mapping[ReplicaName, float]) -> tuple[Act, ...]:
    """The same acts, with what was tried last behind the rest: a pass may end before all are done.

    Who waits for another one stays behind it.

    Args:
        decided: in an order in which they may be done.
        tried: when what is to be done to a replica was last tried. One that is not there never was.
    """
    whom: dict[ReplicaName, frozenset[ReplicaName]] = {}
    for act in decided:
        whom[act.replica] = whom.get(act.replica, frozenset()) | waits_for(act)
    turn = {
        replica: max(tried.get(one, 0.0) for one in _ahead_of(replica, whom)) for replica in whom
    }
    # Sorting is stable: what is equal stays in the order in which it was decided.
    return tuple(sorted(decided, key=lambda act: turn[act.replica]))


def _ahead_of(
    replica: ReplicaName, whom: Mapping[ReplicaName, frozenset[ReplicaName]]
) -> frozenset[ReplicaName]:
    """A replica and all that it waits for, however far. Those in a circle have all the same."""
    found, new = frozenset({replica}), frozenset({replica})
    while new:
        new = frozenset(one for name in new for one in whom.get(name, ())) - found
        found |= new
    return found
