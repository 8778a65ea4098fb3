"""Whether a holder is proved to be out, so that another node may have its replica. Pure.

The proofs rest on what agents do: they start such a replica only under a grant of their own
incarnation and after a heartbeat in the same pass, and an incarnation ends when they were cut off
for too long. See docs/decisions/0045.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from reconciler.rolling.failover import mass_loss
from reconciler.rolling.holders import UNKNOWN, Evidence, reports
from schemas.assignment import Tenure
from schemas.fencing import least_lose_after
from schemas.heartbeat import Heartbeat
from schemas.names import NodeName, ReplicaName

RESTORED: Final = (
    "waits until whoever held it before the state was restored is sure to have stopped"
)


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
        nobody = f"waits for {node}, of which nothing is known"
        is_gone = _silence(tenure, found) >= _outlasting(tenure, span)
        is_out = is_gone and not _is_admitted(node, found)
        return claimed(tenure.replica, found, span) if is_out else nobody
    if _is_out_by_silence(tenure, found, span):
        return mass_loss(found.nodes, span) or claimed(tenure.replica, found, span)
    if beat.host.machine != tenure.machine:
        return f"waits for the machine that was {node} before another took its name"
    return _not_stopped(beat, tenure, found)


def _not_stopped(beat: Heartbeat, tenure: Tenure, found: Evidence) -> str | None:
    """Say why a holder that speaks is not known to have stopped its replica; None: it has."""
    if reports(beat, tenure.replica):
        return f"waits for {beat.node} to stop it"
    if beat.runtime.error:
        return f"waits for Docker on {beat.node} to answer"
    is_another = beat.incarnation != tenure.incarnation and _has_read(beat, found)
    if is_another or _obeys(beat, tenure.replica, found):
        return None
    return f"waits for {beat.node} to say that it stopped it"


def _in_doubt(
    replica: ReplicaName, found: Evidence, span: timedelta, to: NodeName | None
) -> str | None:
    """Say why a replica of unknown holder may still run somewhere else; None: it does nowhere."""
    if found.doubts.get(replica, timedelta(0)) < span:
        return RESTORED
    for node, beat in sorted(found.beats.items()):
        if node == to or is_silent(node, found, span):
            continue
        is_told = _obeys(beat, replica, found) or _is_left_alone(node, found)
        if beat.runtime.error or reports(beat, replica) or not is_told:
            return f"waits for {node} to say that it does not run it"
    told = found.observed.unreadable.keys() & found.observed.assignments.keys() - {to}
    if told:
        return f"waits for {min(told)}, whose heartbeat cannot be read"
    return mass_loss(found.nodes, span) or claimed(replica, found, span)


def claimed(replica: ReplicaName, found: Evidence, span: timedelta) -> str | None:
    """Say which stranger says that it runs a replica under a grant; None: none does.

    If main and state were restored together, its record and its grant may both be lost. So no start
    rests on silence alone against its word; against that of the holder it counts for nothing.
    """
    for node, beat in sorted(found.strange.items()):
        has_it = any(one.name == replica and one.epoch for one in beat.replicas)
        silence = found.silences.get((node, beat.host.machine), timedelta(0))
        if has_it and silence < span:
            return f"waits for {node}, which nobody admitted and which says that it runs it"
    return None


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


def is_silent(node: NodeName, found: Evidence, span: timedelta) -> bool:
    """Whether no news was seen for a span of the machine that spoke for a node last."""
    beat = found.beats.get(node)
    key = (node, beat.host.machine if beat else "")
    return found.silences.get(key, timedelta(0)) >= span


def _has_read(beat: Heartbeat, found: Evidence) -> bool:
    """Whether a heartbeat was made after the newest assignment of its node was read.

    One from before a grant was given may come again, and tell of an incarnation of then.
    """
    assignment = found.observed.assignments.get(beat.node)
    return assignment is None or beat.accepted_generation >= assignment.generation


def _is_left_alone(node: NodeName, found: Evidence) -> bool:
    """Whether nobody admitted a node, and nothing is published for it.

    What its agent obeys was lost long ago, and cannot be taken back any more. It starts nothing
    that it did not tell of before, see `agent.grants`.
    """
    return not _is_admitted(node, found) and node not in found.observed.assignments


def _is_admitted(node: NodeName, found: Evidence) -> bool:
    return any(record.name == node for record in found.observed.records)


def _obeys(beat: Heartbeat, replica: ReplicaName, found: Evidence) -> bool:
    """Whether an agent obeys what was published for it, and that does not have the replica."""
    assignment = found.observed.assignments.get(beat.node)
    if assignment is None:
        return beat.accepted is None
    is_newest = beat.accepted_generation == assignment.generation
    return is_newest and all(one.name != replica for one in assignment.replicas)
