"""Who may run a replica of which no two copies may run: one node in one incarnation. Pure.

A grant moves only when its holder is proved to be out; see docs/decisions/0045. The proofs rest on
what agents do: they start such a replica only under a grant of their own incarnation and after a
heartbeat in the same pass, and an incarnation ends when they were cut off for too long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from reconciler.observing.node import Node
from reconciler.observing.snapshot import Observed
from reconciler.placing.plan import Placement
from reconciler.rolling.failover import mass_loss
from reconciler.rolling.holding import Because, Held
from schemas.assignment import Fence, Tenure
from schemas.deployment import Deployment
from schemas.fencing import least_lose_after, lose_after
from schemas.heartbeat import Heartbeat, ReplicaReport
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name, split_replica

# The incarnation of a holder that nobody knows: the state was restored from a backup.
UNKNOWN: Final = ""
RESTORED: Final = (
    "waits until whoever held it before the state was restored is sure to have stopped"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What there is to go by.

    silences: for how long no news was seen of each machine, by node. doubts: for how long nobody
    knows who holds a replica, or its holder is a machine that was never heard of. restored_for:
    for how long the state is known to be older than it was; None: it is not.
    """

    observed: Observed
    nodes: tuple[Node, ...]
    silences: Mapping[tuple[NodeName, str], timedelta]
    doubts: Mapping[ReplicaName, timedelta] = field(default_factory=dict)
    restored_for: timedelta | None = None
    beats: Mapping[NodeName, Heartbeat]
    reports: Mapping[ReplicaName, tuple[tuple[NodeName, ReplicaReport], ...]]


def evidence(
    observed: Observed,
    nodes: tuple[Node, ...],
    silences: Mapping[tuple[NodeName, str], timedelta],
    doubts: Mapping[ReplicaName, timedelta],
) -> Evidence:
    """Sort what there is to go by."""
    reports: dict[ReplicaName, list[tuple[NodeName, ReplicaReport]]] = {}
    for beat in observed.heartbeats:
        for report in beat.replicas:
            reports.setdefault(report.name, []).append((beat.node, report))
    return Evidence(
        observed=observed,
        nodes=nodes,
        silences=silences,
        doubts=doubts,
        beats={beat.node: beat for beat in observed.heartbeats},
        reports={name: tuple(found) for name, found in reports.items()},
    )


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
    lost. Of one that was not fenced until now, its node is the holder, under epoch 0.
    """
    fenced = stop_after(found.observed)
    known = {one.replica: one for one in found.observed.decision.tenures}
    for one in previous:
        if one.deployment in fenced and one.replica not in known:
            beat = found.beats.get(one.node)
            known[one.replica] = Tenure(
                replica=one.replica,
                node=one.node,
                incarnation=beat.incarnation if beat else UNKNOWN,
                epoch=0,
                machine=beat.host.machine if beat else "",
            )
    if found.restored_for == timedelta(0):
        known = {name: _doubted(one, found) for name, one in known.items()}
    for name, node, report in _fenced_reports(found, fenced):
        if name not in known or report.epoch > known[name].epoch:
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


def waiting(
    placements: Iterable[Placement],
    held_by: Mapping[ReplicaName, Tenure],
    found: Evidence,
    deployments: Mapping[DeploymentName, Deployment],
) -> Mapping[ReplicaName, Held]:
    """Name the fenced replicas that cannot start where they are to go, and who is in the way."""
    fenced = stop_after(found.observed)
    held: dict[ReplicaName, Held] = {}
    spans = _spans(found)
    for one in placements:
        if one.deployment not in fenced or one.deployment not in deployments:
            continue
        tenure = held_by.get(one.replica)
        span = spans[one.deployment]
        reason = _in_the_way(one, tenure, found, span)
        if reason is None and not _has_its_grant(one, tenure, found):
            reason = _elsewhere(one, found, span)
        if reason is not None:
            held[one.replica] = Held(Because.FENCE, reason)
    return held


def _in_the_way(
    one: Placement, tenure: Tenure | None, found: Evidence, span: timedelta
) -> str | None:
    """Say why a holder elsewhere keeps a replica from its place; None: none does."""
    if tenure is None or _is_at(tenure, one.node, found):
        return None
    return still_in(tenure, found, span, to=one.node)


def granted(
    placements: Iterable[Placement],
    held_by: Mapping[ReplicaName, Tenure],
    found: Evidence,
) -> tuple[tuple[Tenure, ...], Mapping[ReplicaName, Fence]]:
    """Give every placed fenced replica its grant, and say who holds or last held each.

    Where its holder is not proved to be out, it gets none, whatever anybody planned: no agent
    starts it. That is so where documents are broken or something is suspended, and what is
    published has to stay as it is; all others waited, see `waiting`.
    """
    fenced = stop_after(found.observed)
    tenures = {
        name: one for name, one in held_by.items() if split_replica(name)[0] in _known(found)
    }
    fences: dict[ReplicaName, Fence] = {}
    spans = _spans(found)
    for one in placements:
        if one.deployment in fenced:
            seconds = int(fenced[one.deployment].total_seconds())
            before, span = held_by.get(one.replica), spans[one.deployment]
            tenures[one.replica], fences[one.replica] = _grant(one, before, found, span, seconds)
    return tuple(tenures[name] for name in sorted(tenures)), fences


def _grant(
    one: Placement, before: Tenure | None, found: Evidence, span: timedelta, seconds: int
) -> tuple[Tenure, Fence]:
    """The holder of a placed replica, and its grant: to nobody, as long as another may run it."""
    if before is not None and _in_the_way(one, before, found, span) is not None:
        return before, Fence(incarnation=UNKNOWN, epoch=before.epoch, stop_after_seconds=seconds)
    tenure = _tenure(one, before, found, seconds)
    fence = Fence(incarnation=tenure.incarnation, epoch=tenure.epoch, stop_after_seconds=seconds)
    return tenure, fence


def _spans(found: Evidence) -> Mapping[DeploymentName, timedelta]:
    """How long silence lasts until a holder is lost. Of broken documents, that is the default."""
    timings = found.observed.fleet.timings
    asked = {one.name: lose_after(timings, one.disconnect) for one in found.observed.deployments}
    return {name: asked.get(name, timings.lost) for name in stop_after(found.observed)}


def still_in(
    tenure: Tenure, found: Evidence, span: timedelta, to: NodeName | None = None
) -> str | None:
    """Say why a holder may still run its replica, or start it; None: it is proved to be out.

    to: the node that is to have it, which may have it already.
    """
    node = tenure.node
    if tenure.incarnation == UNKNOWN:
        return _in_doubt(tenure.replica, found, _outlasting(tenure, span), to)
    beat = found.beats.get(node)
    if beat is None:
        if node in found.observed.unreadable:
            return f"waits for {node}, whose heartbeat cannot be read"
        admitted = any(record.name == node for record in found.observed.records)
        return f"waits for {node}, of which nothing is known" if admitted else None
    if _is_out_by_silence(tenure, found, span):
        return mass_loss(found.nodes, span)
    if beat.host.machine != tenure.machine:
        return f"waits for the machine that was {node} before another took its name"
    return _not_stopped(beat, tenure, found)


def _not_stopped(beat: Heartbeat, tenure: Tenure, found: Evidence) -> str | None:
    """Say why a holder that speaks is not known to have stopped its replica; None: it has."""
    if _reports(beat, tenure.replica):
        return f"waits for {beat.node} to stop it"
    if beat.runtime.error:
        return f"waits for Docker on {beat.node} to answer"
    if beat.incarnation != tenure.incarnation or _obeys(beat, tenure.replica, found):
        return None
    return f"waits for {beat.node} to say that it stopped it"


def is_restored(observed: Observed) -> bool:
    """Whether agents obey what we know nothing of: the state was restored from a backup."""
    assignments = observed.assignments
    return any(
        beat.accepted_generation
        > (assignments[beat.node].generation if beat.node in assignments else 0)
        for beat in observed.heartbeats
    )


def _doubted(tenure: Tenure, found: Evidence) -> Tenure:
    """Nobody knows any longer who holds a replica, but a node that says that it runs it."""
    beat = found.beats.get(tenure.node)
    if beat is not None and _reports(beat, tenure.replica):
        return tenure
    return replace(tenure, incarnation=UNKNOWN)


def _in_doubt(
    replica: ReplicaName, found: Evidence, span: timedelta, to: NodeName | None
) -> str | None:
    """Say why a replica of unknown holder may still run somewhere else; None: it does nowhere."""
    if found.doubts.get(replica, timedelta(0)) < span:
        return RESTORED
    for node, beat in sorted(found.beats.items()):
        if node == to or _is_silent(node, found, span):
            continue
        if beat.runtime.error or _reports(beat, replica) or not _obeys(beat, replica, found):
            return f"waits for {node} to say that it does not run it"
    told = found.observed.unreadable.keys() & found.observed.assignments.keys() - {to}
    if told:
        return f"waits for {min(told)}, whose heartbeat cannot be read"
    return mass_loss(found.nodes, span)


def _has_its_grant(one: Placement, tenure: Tenure | None, found: Evidence) -> bool:
    """Whether a replica may run already where it is placed, as the node was told.

    Whoever else says that it has it was proved to be out before that, and only has to clear away.
    """
    beat, fence = found.beats.get(one.node), _told(one.node, one.replica, found)
    return (
        tenure is not None
        and beat is not None
        and fence is not None
        and fence.epoch == tenure.epoch
        and beat.incarnation == tenure.incarnation == fence.incarnation
    )


def _told(node: NodeName, replica: ReplicaName, found: Evidence) -> Fence | None:
    """The grant of a replica as a node is told of it; None: it is told of none."""
    assignment = found.observed.assignments.get(node)
    replicas = assignment.replicas if assignment is not None else ()
    return next((one.fence for one in replicas if one.name == replica), None)


def _elsewhere(one: Placement, found: Evidence, span: timedelta) -> str | None:
    """Say which other node reports a replica."""
    for node, _ in found.reports.get(one.replica, ()):
        if node != one.node and not _is_silent(node, found, span):
            return f"waits for {node} to stop it"
    return None


def _tenure(one: Placement, before: Tenure | None, found: Evidence, seconds: int) -> Tenure:
    """The grant of a placed replica: the one that it has, or a new one of a later epoch.

    seconds: how long its holder may be cut off from now on.
    """
    beat = found.beats.get(one.node)
    incarnation = beat.incarnation if beat else UNKNOWN
    new = Tenure(
        replica=one.replica,
        node=one.node,
        incarnation=incarnation,
        epoch=before.epoch + 1 if before is not None else 1,
        machine=beat.host.machine if beat else "",
        stop_after_seconds=seconds,
    )
    if before is not None and before.node == one.node and beat is None:
        return before  # what it says cannot be read, and that takes nothing away from it
    if before is None or (before.node, before.machine) != (new.node, new.machine):
        return new
    new = replace(new, stop_after_seconds=_longest(before, found, seconds))
    if before.incarnation == new.incarnation:
        return replace(new, epoch=max(before.epoch, 1))
    return new


def _longest(before: Tenure, found: Evidence, seconds: int) -> int:
    """The longest time for which a holder may go on that was cut off at any moment.

    Until it obeys what was published last, it may obey anything that was published before; and
    one that was not fenced then does not stop by itself at all.
    """
    beat, assignment = found.beats.get(before.node), found.observed.assignments.get(before.node)
    told = _told(before.node, before.replica, found)
    if beat and assignment and told and beat.accepted_generation == assignment.generation:
        return max(told.stop_after_seconds, seconds)
    return max(before.stop_after_seconds, seconds) if before.stop_after_seconds else 0


def is_strange(tenure: Tenure, found: Evidence) -> bool:
    """Whether the machine that holds a replica was never heard of, as far as we remember."""
    return (tenure.node, tenure.machine) not in found.silences


def _is_at(tenure: Tenure, node: NodeName, found: Evidence) -> bool:
    """Whether a holder is the machine that speaks as a node now."""
    beat = found.beats.get(node)
    same = beat is None or beat.host.machine == tenure.machine
    return tenure.node == node and tenure.incarnation != UNKNOWN and same


def _is_out_by_silence(tenure: Tenure, found: Evidence, span: timedelta) -> bool:
    """Whether a holder was silent for so long that it is sure to have stopped it by itself."""
    stops = tenure.stop_after_seconds > 0
    return stops and _silence(tenure, found) >= _outlasting(tenure, span)


def _outlasting(tenure: Tenure, span: timedelta) -> timedelta:
    """The span, or what outlasts any grant that the holder may obey, if that is longer."""
    return max(span, least_lose_after(timedelta(seconds=tenure.stop_after_seconds)))


def _silence(tenure: Tenure, found: Evidence) -> timedelta:
    """For how long no news was seen of the machine that holds a replica."""
    doubt = found.doubts.get(tenure.replica, timedelta(0))
    return found.silences.get((tenure.node, tenure.machine), doubt)


def _is_silent(node: NodeName, found: Evidence, span: timedelta) -> bool:
    beat = found.beats.get(node)
    key = (node, beat.host.machine if beat else "")
    return found.silences.get(key, timedelta(0)) >= span


def _reports(beat: Heartbeat, replica: ReplicaName) -> bool:
    return any(report.name == replica for report in beat.replicas)


def _obeys(beat: Heartbeat, replica: ReplicaName, found: Evidence) -> bool:
    """Whether an agent obeys what was published for it, and that does not have the replica."""
    assignment = found.observed.assignments.get(beat.node)
    if assignment is None:
        return beat.accepted is None
    is_newest = beat.accepted_generation == assignment.generation
    return is_newest and all(one.name != replica for one in assignment.replicas)


def _known(found: Evidence) -> frozenset[DeploymentName]:
    """Deployments of which somebody may ask again who holds them."""
    fenced = stop_after(found.observed)
    leaving = {
        split_replica(one.replica)[0]
        for one in found.observed.decision.tenures
        if still_in(one, found, found.observed.fleet.timings.lost)
    }
    return frozenset({*fenced, *leaving})
