"""Who may run a replica of which no two copies may run: one node in one incarnation. Pure.

A grant moves only when its holder is proved to be out; see `proofs`, and docs/decisions/0045.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from reconciler.placing.plan import Placement
from reconciler.rolling.holders import UNKNOWN, Evidence, stop_after, told
from reconciler.rolling.holding import Because, Held
from reconciler.rolling.proofs import claimed, is_silent, still_in
from schemas.assignment import Fence, Tenure
from schemas.deployment import Deployment
from schemas.fencing import lose_after
from schemas.heartbeat import Heartbeat, ReplicaState
from schemas.names import DeploymentName, NodeName, ReplicaName, split_replica

# What an agent says of a replica whose containers are as it was told; all else may be older.
_AS_TOLD: Final = frozenset({ReplicaState.PENDING, ReplicaState.STARTING, ReplicaState.RUNNING})


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
        if reason is None and (tenure is None or tenure.node != one.node):
            reason = _unheard(found, span)
        if reason is not None:
            held[one.replica] = Held(Because.FENCE, reason)
    return held


def _in_the_way(
    one: Placement, tenure: Tenure | None, found: Evidence, span: timedelta
) -> str | None:
    """Say why a holder elsewhere keeps a replica from its place; None: none does."""
    if tenure is None:
        return claimed(one.replica, found, span)
    if _is_at(tenure, one.node, found):
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
        return before, _fence(before, UNKNOWN, seconds)
    tenure = _tenure(one, before, found, seconds)
    return tenure, _fence(tenure, tenure.incarnation, seconds)


def _fence(tenure: Tenure, incarnation: str, seconds: int) -> Fence:
    """A grant to an incarnation. Epoch 0 is that of a holder that was not fenced: none has it."""
    epoch = max(tenure.epoch, 1)
    return Fence(incarnation=incarnation, epoch=epoch, stop_after_seconds=seconds)


def _spans(found: Evidence) -> Mapping[DeploymentName, timedelta]:
    """How long silence lasts until a holder is lost. Of broken documents, that is the default."""
    timings = found.observed.fleet.timings
    asked = {one.name: lose_after(timings, one.disconnect) for one in found.observed.deployments}
    return {name: asked.get(name, timings.lost) for name in stop_after(found.observed)}


def _has_its_grant(one: Placement, tenure: Tenure | None, found: Evidence) -> bool:
    """Whether a replica may run already where it is placed, as the node was told.

    Whoever else says that it has it was proved to be out before that, and only has to clear away.
    """
    beat, fence = found.beats.get(one.node), told(one.node, one.replica, found)
    return (
        tenure is not None
        and beat is not None
        and fence is not None
        and fence.epoch == tenure.epoch
        and beat.incarnation == tenure.incarnation == fence.incarnation
    )


def _elsewhere(one: Placement, found: Evidence, span: timedelta) -> str | None:
    """Say which other node reports a replica, or did before it fell silent.

    A copy without a grant does not stop by itself, however long its host is silent: people say that
    it is gone, by taking its record away. Where it runs already nobody else's word stops it.
    """
    admitted = {record.name for record in found.observed.records}
    reports = found.reports.get(one.replica, ())
    here = any(node == one.node for node, _ in reports)
    for node, report in reports:
        runs_on = not report.epoch and report.state is not ReplicaState.PENDING
        stays = runs_on and not here and node in admitted
        if node != one.node and (stays or not is_silent(node, found, span)):
            return f"waits for {node} to stop it"
    return None


def _unheard(found: Evidence, span: timedelta) -> str | None:
    """Say whose word may be from before we began to look: it may have got the grant since."""
    late = [node for node in sorted(found.unheard) if not is_silent(node, found, span)]
    if not late:
        return None
    # Of many there is no list, which would be another one with each that is heard of.
    return f"waits until {late[0] if len(late) == 1 else 'every node'} is heard of, or lost"


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
    fence = told(before.node, before.replica, found)
    is_read = beat and assignment and beat.accepted_generation == assignment.generation
    if beat and is_read and fence and _is_under_it(beat, before.replica):
        return max(fence.stop_after_seconds, seconds)
    return max(before.stop_after_seconds, seconds) if before.stop_after_seconds else 0


def _is_under_it(beat: Heartbeat, replica: ReplicaName) -> bool:
    """Whether what runs of a replica was made as it was last told, or nothing does."""
    states = [one.state for one in beat.replicas if one.name == replica]
    return all(one in _AS_TOLD for one in states)


def _is_at(tenure: Tenure, node: NodeName, found: Evidence) -> bool:
    """Whether a holder is the machine that speaks as a node now."""
    beat = found.beats.get(node)
    same = beat is None or beat.host.machine == tenure.machine
    return tenure.node == node and tenure.incarnation != UNKNOWN and same


def _known(found: Evidence) -> frozenset[DeploymentName]:
    """Deployments of which somebody may ask again who holds them."""
    fenced = stop_after(found.observed)
    leaving = {
        split_replica(one.replica)[0]
        for one in found.observed.decision.tenures
        if still_in(one, found, found.observed.fleet.timings.lost)
    }
    return frozenset({*fenced, *leaving})
