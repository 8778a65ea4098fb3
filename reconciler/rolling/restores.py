"""Whether the state that we published is older than it was, as after a restore from a backup. Pure.

See docs/decisions/0055-what-a-restored-state-may-not-say.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rolling.holders import is_restored
from reconciler.rolling.marks import Memory
from schemas.assignment import Assignment
from schemas.names import NodeName

# What people are told of it.
PUT_BACK: Final = "the branch of decisions was put back to an older commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAge:
    """What a pass finds of the age of the state.

    memory: with that, and with what the state says now; but while nothing may change with what it
    said before, so that it is found older in each pass again. lifts: this pass finds it older than
    it was, and the generations of all nodes are to be lifted. restored_for: for how long it is
    known to have been restored; None: it is not.
    """

    memory: Memory
    lifts: bool
    restored_for: timedelta | None


def age_of_state(memory: Memory, snapshot: Snapshot, observed: Observed, now: datetime) -> StateAge:
    """Find out whether the state was restored, by what we saw or by what agents obey."""
    is_behind = went_back(memory, observed)
    is_found = is_behind or is_restored(observed, snapshot.assigned)
    is_first = is_behind or not _is_old_news(memory, observed, now)
    later = seen(memory, observed.assignments)
    if is_found:
        later = replace(memory if observed.frozen else later, restored_at=now)
    since = later.restored_at
    return StateAge(
        memory=later,
        lifts=is_found and is_first,
        restored_for=None if since is None else now - since,
    )


def went_back(memory: Memory, observed: Observed) -> bool:
    """Whether the state is older than what we saw of it ourselves."""
    generations = _generations(observed.assignments)
    return any(generations.get(name, 0) < one for name, one in memory.generations.items())


def went_on(memory: Memory, observed: Observed) -> bool:
    """Whether somebody published since: what a state that went back forgot is let go already."""
    generations = _generations(observed.assignments)
    return any(generations.get(name, 0) > one for name, one in memory.generations.items())


def _is_old_news(memory: Memory, observed: Observed, now: datetime) -> bool:
    """Whether agents said lately that the state is restored: one that lies says so for ever."""
    at = memory.restored_at
    return at is not None and now - at < observed.fleet.timings.lost


def seen(memory: Memory, assignments: Mapping[NodeName, Assignment]) -> Memory:
    """Remember what every node is told: if that is gone later, the state was restored."""
    running = (one.deployment for each in assignments.values() for one in each.replicas)
    return replace(memory, generations=_generations(assignments), ran=frozenset(running))


def _generations(assignments: Mapping[NodeName, Assignment]) -> Mapping[NodeName, int]:
    return {name: one.generation for name, one in assignments.items()}
