"""What one pass does of what it comes to, and what waits for room. Pure.

Not all that waits is held: around those that are, another plan is made, and who finds no room in
it is simply not placed yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.decide import Pass
from reconciler.preview import Fate, ReplicaChange, preview, preview_of_aim
from reconciler.rolling.outlook import extra_of
from reconciler.web.words import enumerate_names
from schemas.assignment import AssignedReplica, Assignment
from schemas.names import NodeName, ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """What it comes to, and what this pass does of it, each by replica.

    held: whom the brakes hold. shrinking, growing: who is changed where it is, and leaves room
    there, or takes more. extra: who is there only while others are changed.
    """

    ends: Mapping[ReplicaName, ReplicaChange]
    now: Mapping[ReplicaName, ReplicaChange]
    held: frozenset[ReplicaName]
    shrinking: frozenset[ReplicaName]
    growing: frozenset[ReplicaName]
    extra: frozenset[ReplicaName]

    def is_done(self, replica: ReplicaName) -> bool:
        """Whether a replica becomes in this pass what it comes to be, as far as nodes go."""
        end, now = self.ends.get(replica), self.now.get(replica)
        same = end and now and (end.fate, end.goes_to) == (now.fate, now.goes_to)
        return bool(same) and replica not in self.held

    @property
    def passing(self) -> tuple[ReplicaChange, ...]:
        """What this pass does though it does not come to that.

        Who is held is stopped at most: or else only a grant of it is told anew.
        """
        return tuple(
            change
            for name, change in self.now.items()
            if not self.is_done(name) and (name not in self.held or change.fate is Fate.REMOVE)
        )

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
    changed = [name for name, change in ends.items() if change.fate is Fate.CHANGE]
    return Coming(
        ends=ends,
        now={change.replica: change for change in preview(result).replicas},
        held=frozenset({**result.brakes.frozen, **result.brakes.absent}),
        shrinking=frozenset(one for one in changed if _has_more(before[one], after[one])),
        growing=frozenset(one for one in changed if _has_more(after[one], before[one])),
        extra=frozenset(extra_of(one) for one in result.facts.deployments.values()),
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


def room_text(node: str, having: Sequence[str]) -> str:
    """Say as a clause what is waited for. having: see `keepers`; empty: nobody can be named."""
    if not having:
        return f"waits for its place on {node}"
    verb = "has" if len(having) == 1 else "have"
    return f"waits for room on {node}, which {enumerate_names(tuple(having))} {verb} for now"


def rooms(result: Pass) -> Mapping[ReplicaName, tuple[ReplicaName, ...]]:
    """Who has no node for now though it has one in the end, and who has its room there for now."""
    if result.aim.plan is result.plan or not result.plan.refusals:
        return {}
    seen = coming(result)
    return {
        one.replica: keepers(one.replica, one.goes_to, seen)
        for one in seen.waiting
        if one.fate is Fate.ADD and one.goes_to is not None
    }


def takers(node: NodeName, seen: Coming) -> tuple[ReplicaName, ...]:
    """Who is to have more room on a node, and has it not yet."""
    return tuple(
        name
        for name, change in seen.ends.items()
        if change.goes_to == node
        and not seen.is_done(name)
        and (change.was_on != node or name in seen.growing)
    )


def _leaves(change: ReplicaChange, seen: Coming) -> bool:
    return change.fate in {Fate.MOVE, Fate.REMOVE} or change.replica in seen.shrinking


def _has_more(one: AssignedReplica, other: AssignedReplica) -> bool:
    """Whether the one is promised anything that is not promised to the other."""
    return (
        any(much > less for much, less in zip(_amounts(one), _amounts(other), strict=True))
        or bool(set(one.gpus) - set(other.gpus))
        or bool(set(one.ports.values()) - set(other.ports.values()))
    )


def _amounts(one: AssignedReplica) -> tuple[int, int, int]:
    return (one.resources.cpu_milli, one.resources.memory_mib, one.resources.disk_mib)


def _told(assignments: Mapping[NodeName, Assignment]) -> Mapping[ReplicaName, AssignedReplica]:
    return {one.name: one for each in assignments.values() for one in each.replicas}
