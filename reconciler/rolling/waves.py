"""In which order nodes and replicas get a new version: waves, and canaries within them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.placing.labels import holds
from reconciler.rolling.depending import behind, missing
from reconciler.rolling.outlook import Outlook, Pending, extra_of, is_ready, most_down, replicas_of
from reconciler.rolling.standing import Standing
from schemas.assignment import Phase
from schemas.deployment import Deployment
from schemas.names import ReplicaName, split_replica
from schemas.rollout import UpdateStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """How far new versions have come through the waves.

    wave: the earliest that is not through; larger than any: all are. replica: who is not.
    """

    wave: int
    replica: ReplicaName


def canaries(deployment: Deployment, view: Outlook) -> tuple[ReplicaName, ...]:
    """The replicas that get a new version first: in the order of waves and numbers.

    Not those that nothing may be done to, as on a lost node, nor those whose new version no node
    takes: nobody could wait for them.
    """
    names = [
        one
        for one in replicas_of(deployment)
        if one in view.previous
        and one not in view.held
        and view.pending.get(one) is not Pending.REMOVE
    ]
    ordered = sorted(names, key=lambda one: (wave_of(one, view), split_replica(one)))
    return tuple(ordered[: deployment.update.canary])


def front_of(view: Outlook) -> Front:
    """The earliest wave in which a new version is on its way, and somebody there who keeps it open.

    Stalled rollouts hold nobody, nor does the way back, and none that waits for what is no part of
    it.
    """
    waits = {name for name, one in view.deployments.items() if _waits_for_others(one, view)}
    still = [
        (wave_of(replica, view), replica)
        for replica, one in view.previous.items()
        if one.deployment in view.deployments
        and one.deployment in view.courses
        and view.courses[one.deployment].phase is Phase.ROLLING
        and not view.courses[one.deployment].goes_back
        and replica not in view.held
        and (
            (view.pending.get(replica) is Pending.CHANGE and one.deployment not in waits)
            or (
                view.courses[one.deployment].versions.next is not None
                and replica in view.standing
                and _settles(view.standing[replica])
            )
        )
    ]
    wave, replica = min(still, default=(len(view.fleet.waves), ReplicaName("")))
    return Front(wave=wave, replica=replica)


def _waits_for_others(deployment: Deployment, view: Outlook) -> bool:
    """Whether a rollout waits for another deployment, for room for its extra replica, or for nodes.

    For nodes: so many of its replicas are down where nothing may be done to them, as on a lost one,
    that no other may be touched.
    """
    if missing(deployment, view) or behind(deployment, view):
        return True
    names = replicas_of(deployment)
    away = [one for one in names if one in view.target and one in view.held]
    if sum(not is_ready(one, view) for one in away) >= most_down(deployment, len(names)):
        return True
    starts_first = deployment.update.strategy is UpdateStrategy.START_FIRST
    extra = extra_of(deployment)
    return starts_first and extra not in view.target and extra not in view.previous


def _settles(one: Standing) -> bool:
    return one.fresh and not one.ready


def wave_of(replica: ReplicaName, view: Outlook) -> int:
    """The wave of a replica's node: the first condition that it meets, or one past the last."""
    one = view.previous.get(replica)
    node = view.nodes.get(one.node) if one else None
    for number, condition in enumerate(view.fleet.waves):
        if node is not None and holds(condition, node.labels):
            return number
    return len(view.fleet.waves)
