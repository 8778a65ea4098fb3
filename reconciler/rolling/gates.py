"""Which of the pending changes may be made now, and what holds the others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from reconciler.rolling.depending import behind, missing
from reconciler.rolling.holding import Because, Brakes, Held
from reconciler.rolling.homeless import keeps
from reconciler.rolling.inputs import understood
from reconciler.rolling.outlook import (
    Outlook,
    Pending,
    extra_of,
    is_ready,
    is_settled,
    most_down,
    replicas_of,
    rolls,
)
from reconciler.rolling.rollout import Course
from reconciler.rolling.waves import Front, canaries, front_of, wave_of
from schemas.assignment import Phase
from schemas.deployment import Deployment
from schemas.names import DeploymentName, ReplicaName, split_replica
from schemas.quantity import format_duration
from schemas.rollout import UpdateStrategy

NO_EXTRA: Final = "no node has room for the extra replica"


def gates(view: Outlook) -> Brakes:
    """Hold whatever may not be changed now, and name what other brakes hold already."""
    frozen = {name: held for name, held in view.held.items() if name in view.previous}
    absent: dict[ReplicaName, Held] = {}
    front = front_of(view)
    by_name: dict[DeploymentName, list[ReplicaName]] = {}
    for replica in view.pending:
        by_name.setdefault(split_replica(replica)[0], []).append(replica)
    for name, replicas in sorted(by_name.items()):
        for replica, held in _of_one(name, sorted(replicas, key=split_replica), view, front):
            (frozen if replica in view.previous else absent)[replica] = held
    absent |= {name: held for name, held in view.fenced.items() if name not in frozen}
    return Brakes(frozen=frozen, absent=absent)


def starts(replicas: Iterable[ReplicaName], view: Outlook) -> Mapping[ReplicaName, Held]:
    """Hold those of some new replicas that may not start yet."""
    found = {
        replica: _start(replica, view.deployments[name], view)
        for replica in replicas
        if (name := split_replica(replica)[0]) in view.deployments
    }
    return {replica: held for replica, held in found.items() if held is not None}


def surging(view: Outlook) -> frozenset[DeploymentName]:
    """The deployments that have, or need, an extra replica while others are changed or moved."""
    return frozenset(
        name
        for name, one in view.deployments.items()
        if one.update.strategy is UpdateStrategy.START_FIRST
        and any(_needs_surge(replica, view) for replica in replicas_of(one))
    )


def _needs_surge(replica: ReplicaName, view: Outlook) -> bool:
    """Whether a replica is about to be touched, or was and is not ready yet."""
    if replica not in view.previous or replica in view.recovering or replica in view.held:
        return False
    pending, one = view.pending.get(replica), view.standing.get(replica)
    if pending in {Pending.CHANGE, Pending.MOVE}:
        return True
    # Not ready in the version that is wanted: the extra one serves on, where there is one.
    extra = extra_of(view.deployments[split_replica(replica)[0]])
    return one is not None and not one.ready and extra in view.previous


def _of_one(
    name: DeploymentName, replicas: list[ReplicaName], view: Outlook, front: Front
) -> Iterator[tuple[ReplicaName, Held]]:
    """Go through the held ones among the pending replicas of a deployment."""
    for replica in replicas:
        if replica in view.held:
            yield replica, view.held[replica]
    deployment = view.deployments.get(name)
    if deployment is None:
        return
    left = [replica for replica in replicas if replica not in view.held]
    unproven: set[ReplicaName] = set()
    for replica in left:
        if view.pending[replica] is Pending.ADD:
            held = _start(replica, deployment, view) or _added(replica, deployment, view, front)
            if held is not None:
                yield replica, held
            if held is not None and held.because is Because.CANARY:
                unproven.add(replica)
        if view.pending[replica] is Pending.REMOVE and (held := keeps(replica, view)):
            yield replica, held
    touched = [
        replica
        for replica in sorted(left, key=lambda one: (wave_of(one, view), split_replica(one)))
        if view.pending[replica] in {Pending.CHANGE, Pending.MOVE}
        and replica not in view.recovering
    ]
    waiting = dict(_touched(touched, deployment, view, front, unproven))
    yield from waiting.items()
    extra = extra_of(deployment)
    is_missed = any(one.because is Because.SURGE for one in waiting.values())
    if is_missed and extra not in view.target and extra not in view.previous:
        # Or else it would take the room that those who wait for it are to have.
        yield extra, Held(Because.SURGE, NO_EXTRA)


def _start(replica: ReplicaName, deployment: Deployment, view: Outlook) -> Held | None:
    """Say why a new replica is not started yet."""
    if replica in view.recovering or _goes_back(deployment, view):
        return None
    waits = missing(deployment, view)
    return Held(Because.DEPENDENCY, waits) if waits else None


def _added(
    replica: ReplicaName, deployment: Deployment, view: Outlook, front: Front
) -> Held | None:
    """Say why a version that is not proven, or stalled, comes to no additional replica."""
    going = view.courses.get(deployment.name)
    if replica in view.recovering:
        return None
    if replica == extra_of(deployment):
        return _without_use(deployment, view, front)
    if going is None or not (rolls(deployment.name, view) or going.phase is Phase.STALLED):
        return None
    known = going.versions.good and understood(going.versions.good, deployment.name)
    if known and split_replica(replica)[1] >= known[0].replicas:
        return _stalled(going) or _canary(replica, deployment, view, going)
    return None


def _stalled(going: Course) -> Held | None:
    if going.phase is not Phase.STALLED:
        return None
    return Held(Because.STALLED, f"the rollout stalled: {going.message}")


def _without_use(deployment: Deployment, view: Outlook, front: Front) -> Held | None:
    """Say why the extra replica would start for nothing: none that it stands in for may change."""
    ours = [
        one
        for one in replicas_of(deployment)
        if one in view.previous and view.pending.get(one) in {Pending.CHANGE, Pending.MOVE}
    ]
    reasons = [view.held.get(one) or _before_extra(one, deployment, view, front) for one in ours]
    return reasons[0] if reasons and all(reasons) else None


def _touched(
    replicas: list[ReplicaName],
    deployment: Deployment,
    view: Outlook,
    front: Front,
    unproven: Collection[ReplicaName],
) -> Iterator[tuple[ReplicaName, Held]]:
    """Let as many be changed or moved as health allows, in their order, and hold the others.

    One that is not ready is changed at once: it serves nobody, and this may be what mends it. But
    a version that stalled goes no further.
    unproven: those that wait for the canaries themselves, and so are no part of this yet.
    """
    wanted = [one for one in replicas_of(deployment) if one not in unproven]
    # One that has no place is no part of this: nothing that is done here could make it ready.
    down = [one for one in wanted if one in view.target and not is_ready(one, view)]
    # Nor for the way back one that nothing may be done to, as on a lost node: that never ends.
    mendable = [one for one in down if one not in view.held]
    most = most_down(deployment, len(wanted))
    gone: list[ReplicaName] = []  # by what this pass does
    for replica in replicas:
        one = view.standing.get(replica)
        is_down = one is not None and one.fresh and not one.ready
        if is_down and not _would_get_stalled(replica, view):
            continue
        held = _planned(replica, deployment, view, front)
        others = mendable if _leaves(replica, deployment, view) else down
        if held is None and len(others) + len(gone) >= most:
            held = Held(Because.GATE, f"waits for {', '.join((*others, *gone))} to be ready")
        if held is None:
            gone.append(replica)
        else:
            yield replica, held


def _planned(
    replica: ReplicaName, deployment: Deployment, view: Outlook, front: Front
) -> Held | None:
    """Say why a replica that serves is not touched now, whatever the others do.

    The way back waits for no extra replica either: there may never be room for one.
    """
    held, extra = _before_extra(replica, deployment, view, front), extra_of(deployment)
    if held is not None or replica == extra or _leaves(replica, deployment, view):
        return held
    starts_first = deployment.update.strategy is UpdateStrategy.START_FIRST
    if starts_first and not (extra in view.previous and is_settled(extra, view)):
        return Held(Because.SURGE, f"waits for the extra replica {extra} to be ready")
    return None


def _before_extra(
    replica: ReplicaName, deployment: Deployment, view: Outlook, front: Front
) -> Held | None:
    """Say why a replica is not touched now even if an extra one stood in for it."""
    one = view.standing.get(replica)
    if one is not None and not one.fresh:
        return Held(Because.SILENT, f"{one.node} was not heard of lately")
    if view.closed and not _goes_back(deployment, view):
        return Held(Because.WINDOW, view.closed)
    return None if replica == extra_of(deployment) else _version(replica, deployment, view, front)


def _would_get_stalled(replica: ReplicaName, view: Outlook) -> bool:
    """Whether a change or a move would bring a version that stalled to one that has it not yet."""
    going = view.courses.get(split_replica(replica)[0])
    return going is not None and going.phase is Phase.STALLED and replica not in view.arrived


def _leaves(replica: ReplicaName, deployment: Deployment, view: Outlook) -> bool:
    """Whether it is to leave a version in place; who only moves has all the time of others."""
    return _goes_back(deployment, view) and view.pending.get(replica) is Pending.CHANGE


def _goes_back(deployment: Deployment, view: Outlook) -> bool:
    going = view.courses.get(deployment.name)
    return going is not None and going.goes_back


def _version(
    replica: ReplicaName, deployment: Deployment, view: Outlook, front: Front
) -> Held | None:
    """Say why a new version does not come to a replica yet. A move brings it along.

    The way back is free: what is rejected must not serve on, whatever else is going on.
    """
    if _goes_back(deployment, view):
        return None
    if waits := missing(deployment, view):
        return Held(Because.DEPENDENCY, waits)
    going = view.courses.get(deployment.name)
    if going is not None and _would_get_stalled(replica, view):
        return _stalled(going)
    if going is None or view.pending[replica] is not Pending.CHANGE:
        return None
    return _in_turn(replica, deployment, view, front) or _canary(replica, deployment, view, going)


def _in_turn(
    replica: ReplicaName, deployment: Deployment, view: Outlook, front: Front
) -> Held | None:
    """Say who gets a new version before a replica: what it depends on, and earlier waves."""
    if waits := behind(deployment, view):
        return Held(Because.DEPENDENCY, waits)
    if wave_of(replica, view) > front.wave:
        text = f"waits for {front.replica} on {view.previous[front.replica].node}, an earlier wave"
        return Held(Because.WAVE, text)
    return None


def _canary(
    replica: ReplicaName, deployment: Deployment, view: Outlook, going: Course
) -> Held | None:
    first = canaries(deployment, view)
    if not first or replica in first:
        return None
    waits = [one for one in first if not is_settled(one, view)]
    if waits:
        return Held(Because.CANARY, f"waits for the canary {', '.join(waits)} to be ready")
    soak = deployment.update.soak
    if going.proven < soak:
        text = f"waits until the canaries were ready for {format_duration(soak)}"
        return Held(Because.CANARY, text)
    return None
