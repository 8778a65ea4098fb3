"""Which version of a replica is to run: the assigned one, or for a while the last good. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.names import ReplicaName, TreeId

# Each new try takes the good version down. What failed for want of a port or a GPU may do better
# in ten minutes; what is broken must not cost an outage more often than once an hour.
FIRST_SECONDS = 600.0
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A version that could not be started, and gave way to the last good one.

    tree: of its files. until: when it is tried again, on the boot clock. message: why it failed.
    """

    tree: str
    message: str
    until: float
    failures: int = 1


def held_back(before: Held | None, tree: str, message: str, now: float) -> Held:
    """Hold a version back after a failed start: 10 min, then 20, 40 and at most 60."""
    failures = before.failures + 1 if before is not None and before.tree == tree else 1
    pause = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 8))
    return Held(tree=tree, message=message, until=now + pause, failures=failures)


def is_held(held: Held | None, tree: str, now: float) -> bool:
    """Whether a version is held back. Another one never is."""
    return held is not None and held.tree == tree and now < held.until


def chosen(
    assigned: Mapping[ReplicaName, TreeId],
    held: Mapping[ReplicaName, Held],
    good: Mapping[ReplicaName, str],
    now: float,
) -> Mapping[ReplicaName, TreeId]:
    """The version of each replica that is to run now. good: tree of the last that ran well."""
    return {
        name: TreeId(good[name]) if name in good and is_held(held.get(name), tree, now) else tree
        for name, tree in assigned.items()
    }


def told(held: Held) -> str:
    """Why the last good version runs, and until when."""
    minutes = round(min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(held.failures - 1, 8)) / 60)
    return f"{held.message}. The last good version runs again; the new one waits for {minutes} min"
