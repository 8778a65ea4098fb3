"""Who holds, or may hold, each replica of which no two copies may run, and what tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from reconciler.observing.node import Node
from reconciler.observing.snapshot import Observed
from reconciler.placing.plan import Placement
from schemas.assignment import Assignment, Fence, Tenure
from schemas.fencing import lose_after
from schemas.heartbeat import Heartbeat, ReplicaReport
from schemas.names import (
    CommitId,
    DeploymentName,
    NodeName,
    ReplicaName,
    replica_name,
    split_replica,
)

# The incarnation of a holder that nobody knows: the state was restored from a backup.
UNKNOWN: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What there is to go by.

    silences: for how long no news was seen of each machine, by node. doubts: for how long nobody
    knows who holds a replica, or its holder is a machine that was never heard of. restored_for:
    for how long the state is known to be older than it was; None: it is not. unheard: nodes of
    which every word may be from before we began to look.
    """

    observed: Observed
    nodes: tuple[Node, ...]
    silences: Mapping[tuple[NodeName, str], timedelta]
    doubts: Mapping[ReplicaName, timedelta] = field(default_factory=dict)
    restored_for: timedelta | None = None
    unheard: frozenset[NodeName] = frozenset()
    beats: Mapping[NodeName, Heartbeat]
    reports: Mapping[ReplicaName, tuple[tuple[NodeName, ReplicaReport], ...]]
    strange: Mapping[NodeName, Heartbeat] = field(default_factory=dict)


def evidence(
    observed: Observed,
    nodes: tuple[Node, ...],
    silences: Mapping[tuple[NodeName, str], timedelta],
    doubts: Mapping[ReplicaName, timedelta],
    restored_for: timedelta | None = None,
) -> Evidence:
    """Sort what there is to go by. Strangers have their full say once the state was restored.

    Then whoever was admitted by what is lost looks like one.
    """
    ignored = strangers(observed) if restored_for is None else frozenset[NodeName]()
    beats = {beat.node: beat for beat in observed.heartbeats if beat.node not in ignored}
    reports: dict[ReplicaName, list[tuple[NodeName, ReplicaReport]]] = {}
    for name, beat in beats.items():
        for report in beat.replicas:
            reports.setdefault(report.name, []).append((name, report))
    return Evidence(
        observed=observed,
        nodes=nodes,
        silences=silences,
        doubts=doubts,
        restored_for=restored_for,
        beats=beats,
        reports={name: tuple(found) for name, found in reports.items()},
        strange={beat.node: beat for beat in observed.heartbeats if beat.node in ignored},
    )


def strangers(observed: Observed) -> frozenset[NodeName]:
    """Who speaks without ever having belonged to the fleet, as far as the state knows.

    No record names them, no assignment and no grant, all of which outlast the node. So nothing
    that they have came from here, and anybody may push such a heartbeat who can push at all.
    """
    known = {record.name for record in observed.records} | observed.assignments.keys()
    known |= {tenure.node for tenure in observed.decision.tenures}
    return frozenset(beat.node for beat in observed.heartbeats) - known


def stop_after(observed: Observed) -> Mapping[DeploymentName, timedelta]:
    """The deployments that are fenced, and how long their agents may be cut off.

    One that is held stays as it last was.
    """
    told = {
        one.deployment: timedelta(seconds=one.fence.stop_after_seconds)
        for assignment in observed.assignments.values()
        for one in assignment.replicas
        if one.fence is not None and one.deployment in observed.held
    }
    asked = {
        one.name: one.disconnect.stop_after
        for one in observed.deployments
        if one.disconnect.stop_after is not None and one.name not in observed.held
    }
    return {**told, **asked}


def holders(found: Evidence, previous: Iterable[Placement]) -> Mapping[ReplicaName, Tenure]:
    """Who holds, or may hold, each fenced replica.

    What an agent reports under a later epoch than we know of was granted by a decision that is
    lost, if the state is known to have lost any; a holder that says that it has it, as it was
    granted, keeps it. Of what is published without a grant its node is the holder, whoever had
    one before: it does not stop by itself.
    """
    fenced = stop_after(found.observed)
    known = {one.replica: one for one in found.observed.decision.tenures}
    for one in previous:
        if one.deployment in fenced and (
            one.replica not in known or told(one.node, one.replica, found) is None
        ):
            beat = found.beats.get(one.node)
            before = known.get(one.replica)
            known[one.replica] = Tenure(
                replica=one.replica,
                node=one.node,
                incarnation=beat.incarnation if beat else UNKNOWN,
                epoch=before.epoch if before else 0,
                machine=beat.host.machine if beat else "",
            )
    if found.restored_for == timedelta(0):
        known = {name: _doubted(one, found) for name, one in known.items()}
    for name, node, report in _fenced_reports(found, fenced):
        if _is_later(report, known.get(name), found):
            beat = found.beats[node]
            known[name] = Tenure(
                replica=name,
                node=node,
                incarnation=beat.incarnation,
                epoch=report.epoch,
                machine=beat.host.machine,
                stop_after_seconds=_stop_seconds(name, known.get(name), fenced),
            )
    return {**_lost_with_the_state(found, fenced), **known}


def _is_later(report: ReplicaReport, known: Tenure | None, found: Evidence) -> bool:
    """Whether somebody runs a replica under a grant that was given by a decision that is lost."""
    if found.restored_for is None:
        return False
    if known is None:
        return True
    return report.epoch > known.epoch and not _has_it_as_granted(known, found)


def _has_it_as_granted(tenure: Tenure, found: Evidence) -> bool:
    """Whether a holder has said, so lately that it cannot have stopped, that it has its replica."""
    beat = found.beats.get(tenure.node)
    silence = found.silences.get((tenure.node, tenure.machine))
    if beat is None or silence is None or tenure.node in found.unheard:
        return False
    is_same = (beat.host.machine, beat.incarnation) == (tenure.machine, tenure.incarnation)
    return (
        is_same
        and silence < timedelta(seconds=tenure.stop_after_seconds)
        and any(one.name == tenure.replica and one.epoch == tenure.epoch for one in beat.replicas)
    )


def _lost_with_the_state(
    found: Evidence, fenced: Mapping[DeploymentName, timedelta]
) -> Mapping[ReplicaName, Tenure]:
    """Grants that may have been given by decisions that are lost. Every reconciler has to know."""
    if found.restored_for is None:
        return {}
    timings = found.observed.fleet.timings
    return {
        name: Tenure(
            replica=name,
            node=NodeName(""),
            incarnation=UNKNOWN,
            epoch=0,
            stop_after_seconds=int(fenced[one.name].total_seconds()),
        )
        for one in found.observed.deployments
        if one.name in fenced and found.restored_for < lose_after(timings, one.disconnect)
        for name in (replica_name(one.name, index) for index in range(one.replicas))
    }


def _fenced_reports(
    found: Evidence, fenced: Mapping[DeploymentName, timedelta]
) -> Iterator[tuple[ReplicaName, NodeName, ReplicaReport]]:
    """Go through what agents say that they run under a grant, of deployments that are fenced."""
    for name, reports in sorted(found.reports.items()):
        for node, report in reports:
            if report.epoch and report.deployment in fenced:
                yield name, node, report


def _stop_seconds(
    name: ReplicaName, known: Tenure | None, fenced: Mapping[DeploymentName, timedelta]
) -> int:
    """How long a holder may be cut off whose grant we do not know: as long as any that we know."""
    asked = int(fenced[split_replica(name)[0]].total_seconds())
    return max(asked, known.stop_after_seconds if known is not None else 0)


def is_restored(observed: Observed, assigned: Mapping[NodeName, CommitId]) -> bool:
    """Whether agents obey what we know nothing of: the state was restored from a backup.

    assigned: what stands at the ref of each node. Strangers have no say, see `strangers`.
    """
    ignored = strangers(observed)
    return any(
        obeyed_and_lost(beat, observed.assignments.get(beat.node), assigned.get(beat.node))
        for beat in observed.heartbeats
        if beat.node not in ignored
    )


def obeyed_and_lost(beat: Heartbeat | None, last: Assignment | None, at: CommitId | None) -> int:
    """The generation that an agent obeys and we know nothing of; 0: there is no such thing.

    An agent takes nothing older than what it obeys, and no second assignment of one generation.
    """
    if beat is None:
        return 0
    obeyed, known = max(beat.generation, beat.accepted_generation), last.generation if last else 0
    is_second = obeyed == known and beat.accepted is not None and beat.accepted != at
    return obeyed if obeyed > known or is_second else 0


def told(node: NodeName, replica: ReplicaName, found: Evidence) -> Fence | None:
    """The grant of a replica as a node is told of it; None: it is told of none."""
    assignment = found.observed.assignments.get(node)
    replicas = assignment.replicas if assignment is not None else ()
    return next((one.fence for one in replicas if one.name == replica), None)


def _doubted(tenure: Tenure, found: Evidence) -> Tenure:
    """Nobody knows any longer who holds a replica, but a node that says that it has it, as granted.

    One that only waits for it in another life has nothing.
    """
    for node, report in found.reports.get(tenure.replica, ()):
        is_same = found.beats[node].incarnation == tenure.incarnation
        runs = report.epoch != 0 and report.epoch == tenure.epoch
        if node == tenure.node and (is_same or runs):
            return tenure
    return replace(tenure, incarnation=UNKNOWN)


def is_strange(tenure: Tenure, found: Evidence) -> bool:
    """Whether the machine that holds a replica was never heard of, as far as we remember."""
    return (tenure.node, tenure.machine) not in found.silences


def reports(beat: Heartbeat, replica: ReplicaName) -> bool:
    """Whether a node says that it has a replica, in whatever state."""
    return any(report.name == replica for report in beat.replicas)
