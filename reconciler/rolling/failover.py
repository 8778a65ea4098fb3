"""Whose node is lost, and what of that is moved away now. Pure: silence is a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from reconciler.observing.node import Freshness, Node
from reconciler.placing.plan import Placement
from reconciler.rolling.holding import Because, Held
from schemas.deployment import Deployment, VolumeMoves
from schemas.fencing import lose_after
from schemas.fleet import Fleet
from schemas.names import DeploymentName, NodeName, ReplicaName

# From this share of the nodes on, and more than two, a fault of ours is likelier than theirs: the
# Git server, the network, this reconciler. Kubernetes stops evictions at the same share of a zone.
MASS_PERCENT: Final = 55
MASS_LEAST: Final = 2
MINUTE: Final = timedelta(minutes=1)
MUTE: Final = frozenset({Freshness.LATE, Freshness.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """What becomes of replicas on lost nodes.

    leaving: they count as gone from their node, and are placed anew. held: they stay, and why.
    nodes: those that work is moved away from.
    """

    leaving: frozenset[ReplicaName] = frozenset()
    held: Mapping[ReplicaName, Held] = field(default_factory=dict)
    nodes: frozenset[NodeName] = frozenset()


def failover(  # noqa: PLR0913 - everything that has a say
    fleet: Fleet,
    deployments: Mapping[DeploymentName, Deployment],
    nodes: tuple[Node, ...],
    previous: Iterable[Placement],
    lately: frozenset[NodeName],
    *,
    suspended: frozenset[ReplicaName] = frozenset(),
    homeless: frozenset[ReplicaName] = frozenset(),
) -> Failover:
    """Choose which replicas of lost nodes are placed anew in this pass.

    lately: nodes that were evacuated within the last minute; they count against the limit, and
    what was left on one of them may follow. suspended: replicas that nobody may touch. homeless:
    those that no node takes; they stay, and keep nobody else from leaving.
    """
    silent = {node.name: node for node in nodes if node.silence}
    lost = [
        (one, deployments[one.deployment], silent[one.node])
        for one in sorted(previous, key=lambda one: (one.node, one.replica))
        if one.node in silent
        and one.deployment in deployments
        and one.replica not in suspended
        and is_lost(silent[one.node], fleet, deployments[one.deployment])
    ]
    held: dict[ReplicaName, Held] = {}
    leaving: set[ReplicaName] = set()
    open_nodes = set(lately)
    for one, deployment, node in lost:
        reason = _stays(one, deployment, fleet, nodes)
        if reason is None and one.replica in homeless:
            text = f"{one.node} is lost, and no other node takes it"
            reason = Held(Because.LOST, text)
        if reason is None and node.name not in open_nodes:
            if len(open_nodes) >= fleet.guards.evacuations_per_minute:
                text = f"{node.name} is lost, and other lost nodes go first"
                reason = Held(Because.EVACUATION, text)
            else:
                open_nodes.add(node.name)
        if reason is None:
            leaving.add(one.replica)
        else:
            held[one.replica] = reason
    moved = frozenset(one.node for one, _, _ in lost if one.replica in leaving)
    return Failover(leaving=frozenset(leaving), held=held, nodes=moved)


def is_lost(node: Node, fleet: Fleet, deployment: Deployment) -> bool:
    """Whether a node is silent for so long that a deployment's replicas on it count as gone."""
    return node.silence >= lose_after(fleet.timings, deployment.disconnect)


def mass_loss(nodes: Iterable[Node], span: timedelta) -> str | None:
    """Say that so many nodes are silent that nothing may move; None: they are few.

    Only once one is silent for a span. Then all count whose heartbeats are overdue: those that
    vanish together spoke last at different times, and the first must not be moved for being it.
    Who says what we cannot read is not heard of either.
    """
    seen = [node for node in nodes if node.freshness is not Freshness.UNSEEN]
    if not any(node.silence >= span for node in seen):
        return None
    mute = [node for node in seen if node.freshness in MUTE]
    many = len(mute) > MASS_LEAST and len(mute) * 100 >= MASS_PERCENT * len(seen)
    if many or len(mute) == len(seen):
        how = "silent" if all(node.silence for node in mute) else "silent or cannot be read"
        return f"{len(mute)} of {len(seen)} nodes are {how}, so the fault is probably ours"
    return None


def _stays(
    one: Placement, deployment: Deployment, fleet: Fleet, nodes: tuple[Node, ...]
) -> Held | None:
    span = lose_after(fleet.timings, deployment.disconnect)
    if reason := mass_loss(nodes, span):
        return Held(Because.MASS_LOSS, reason)
    replace = deployment.disconnect.replace
    is_tied = one.pinned and deployment.on_move is VolumeMoves.STAY
    if replace is None and is_tied:
        return Held(Because.LOST, f"{one.node} is lost, and its volumes tie it to that node")
    if replace is False:
        return Held(Because.LOST, f"{one.node} is lost, and it says `replace: false`")
    return None
