"""Whether the state that we published is older than it was, as after a restore from a backup. Pure.

See docs/decisions/0055-what-a-restored-state-may-not-say.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rolling.holders import is_restored
from reconciler.rolling.marks import Memory
from schemas.names import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAge:
    """What a pass finds of the age of the state.

    memory: with that, and with the generations that the state has now. lifts: this pass finds it
    older than it was, and the generations of all nodes are to be lifted. restored_for: for how long
    it is known to have been restored; None: it is not.
    """

    memory: Memory
    lifts: bool
    restored_for: timedelta | None


def age_of_state(memory: Memory, snapshot: Snapshot, observed: Observed, now: datetime) -> StateAge:
    """Find out whether the state was restored: by what we saw, or by what agents obey."""
    went_back = _went_back(memory, observed)
    is_found = went_back or is_restored(observed, snapshot.assigned)
    lifts = went_back or (is_found and not _is_old_news(memory, observed, now))
    if is_found:
        later = _after_a_restore(memory, observed, now)
    else:
        later = replace(memory, generations=_generations(observed))
    since = later.restored_at
    return StateAge(memory=later, lifts=lifts, restored_for=None if since is None else now - since)


def _went_back(memory: Memory, observed: Observed) -> bool:
    generations = _generations(observed)
    return any(generations.get(name, 0) < one for name, one in memory.generations.items())


def _is_old_news(memory: Memory, observed: Observed, now: datetime) -> bool:
    """Whether agents said lately that the state is restored: one that lies says so for ever."""
    at = memory.restored_at
    return at is not None and now - at < observed.fleet.timings.lost


def _generations(observed: Observed) -> Mapping[NodeName, int]:
    return {name: one.generation for name, one in observed.assignments.items()}


def _after_a_restore(memory: Memory, observed: Observed, now: datetime) -> Memory:
    """Note when the state was found restored.

    While nothing may change it is found so in each pass again, until generations may be lifted.
    """
    kept = memory.generations if observed.frozen else _generations(observed)
    return replace(memory, restored_at=now, generations=kept)
