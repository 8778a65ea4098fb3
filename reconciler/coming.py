"""What one pass does of what it comes to, and what waits for room. Pure.

Not all that waits is held: around those that are, another plan is made, and who finds no room in
it is simply not placed yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.decide import Pass
from reconciler.preview import Fate, ReplicaChange, preview, preview_of_aim
from schemas.assignment import AssignedReplica, Assignment
from schemas.names import NodeName, ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """What it comes to, and what this pass does of it, each by replica.

    held: whom the brakes hold. shrinking: who is changed where it is, and leaves room there.
    """

    ends: Mapping[ReplicaName, ReplicaChange]
    now: Mapping[ReplicaName, ReplicaChange]
    held: frozenset[ReplicaName]
    shrinking: frozenset[ReplicaName]

    def is_done(self, replica: ReplicaName) -> bool:
        """Whether a replica becomes in this pass what it comes to be, as far as nodes go."""
        end, now = self.ends.get(replica), self.now.get(replica)
        same = end and now and (end.fate, end.goes_to) == (now.fate, now.goes_to)
        return bool(same) and replica not in self.held

    @property
    def passing(self) -> tuple[ReplicaChange, ...]:
        """What this pass does though it does not come to that."""
        return tuple(change for name, change in self.now.items() if not self.is_done(name))

    @property
    def waiting(self) -> tuple[ReplicaChange, ...]:
        """What it comes to, is held by no brake, and is not done in this pass."""
        return tuple(
            change
            for name, change in self.ends.items()
            if name not in self.held and name not in self.now
        )


def coming(result: Pass) -> Coming:
    """Compare what a pass does with what it comes to."""
    ends = {change.replica: change for change in preview_of_aim(result).replicas}
    before, after = _told(result.observed.assignments), _told(result.aim.assignments)
    return Coming(
        ends=ends,
        now={change.replica: change for change in preview(result).replicas},
        held=frozenset({**result.brakes.frozen, **result.brakes.absent}),
        shrinking=frozenset(
            name
            for name, change in ends.items()
            if change.fate is Fate.CHANGE and _leaves_room(before[name], after[name])
        ),
    )


def keepers(replica: ReplicaName, node: NodeName, seen: Coming) -> tuple[ReplicaName, ...]:
    """Who has room on a node for now that it leaves to a replica in the end."""
    leave = {
        name
        for name, change in seen.ends.items()
        if change.was_on == node and not seen.is_done(name) and _leaves(change, seen)
    }
    passing = {one.replica for one in seen.passing if one.goes_to == node}
    return tuple(sorted((leave | passing) - {replica}))


def comers(node: NodeName, seen: Coming) -> tuple[ReplicaName, ...]:
    """Who is to come to a node, and does not yet."""
    return tuple(
        name
        for name, change in seen.ends.items()
        if change.goes_to == node and change.was_on != node and not seen.is_done(name)
    )


def _leaves(change: ReplicaChange, seen: Coming) -> bool:
    return change.fate in {Fate.MOVE, Fate.REMOVE} or change.replica in seen.shrinking


def _leaves_room(before: AssignedReplica, after: AssignedReplica) -> bool:
    """Whether anything that a replica was promised is promised to it no longer."""
    amounts = zip(_amounts(before), _amounts(after), strict=True)
    return (
        any(less < much for much, less in amounts)
        or bool(set(before.gpus) - set(after.gpus))
        or bool(set(before.ports.values()) - set(after.ports.values()))
    )


def _amounts(one: AssignedReplica) -> Iterator[int]:
    yield from (one.resources.cpu_milli, one.resources.memory_mib, one.resources.disk_mib)


def _told(assignments: Mapping[NodeName, Assignment]) -> Mapping[ReplicaName, AssignedReplica]:
    return {one.name: one for each in assignments.values() for one in each.replicas}
