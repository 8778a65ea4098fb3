"""Why here and not there: every node's answer to one more replica of a deployment, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconciler.observing.node import Node
from reconciler.placing.around import each_rule
from reconciler.placing.checks import FREE_CHECKS, STATIC_CHECKS
from reconciler.placing.draft import Draft
from reconciler.placing.engine import drafted, refusals_of
from reconciler.placing.plan import FREE, Bound, Desired, Need, Placement
from reconciler.placing.why import why_here
from schemas.assignment import Refusal, Why
from schemas.names import DeploymentName, GpuUuid, NodeName, ReplicaName, replica_name
from schemas.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer:
    """What one node says to one more replica: the first that has no node, else the next number.

    objections: everything that speaks against it; empty if it would do. why: its score, if it
    would do. free, gpu_free_mib: what it has left. replicas: those of the deployment it has.
    """

    node: NodeName
    objections: tuple[str, ...]
    why: Why | None
    free: Resources
    gpu_free_mib: tuple[tuple[GpuUuid, int], ...]
    replicas: tuple[ReplicaName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a deployment's replicas are, why others are nowhere, and every node's answer."""

    deployment: DeploymentName
    placements: tuple[Placement, ...]
    refusals: tuple[Refusal, ...]
    nodes: tuple[NodeAnswer, ...]


def explain(
    desired: tuple[Desired, ...],
    inventory: tuple[Node, ...],
    previous: tuple[Placement, ...],
    deployment: DeploymentName,
    bound: Bound = FREE,
) -> Explanation:
    """Explain one deployment as the plan made now would leave it, around what is bound.

    Raises:
        KeyError: no such deployment is desired, or it is held.
    """
    draft = drafted(desired, inventory, previous, bound)
    need = draft.needs[deployment]
    replica = _one_more(need, draft)
    return Explanation(
        deployment=deployment,
        placements=tuple(
            one for _, one in sorted(draft.placed.items()) if one.deployment == deployment
        ),
        refusals=tuple(
            one for one in refusals_of(draft) if one.replica.rsplit("-", 1)[0] == deployment
        ),
        nodes=tuple(_answer(replica, need, row, draft) for row in range(len(draft.ground.nodes))),
    )


def _one_more(need: Need, draft: Draft) -> ReplicaName:
    """The replica that would come next."""
    names = (replica_name(need.deployment, index) for index in range(need.replicas))
    without = (name for name in names if name not in draft.placed)
    return next(without, replica_name(need.deployment, need.replicas))


def _answer(replica: ReplicaName, need: Need, row: int, draft: Draft) -> NodeAnswer:
    host = draft.hosted(row)
    objections = _objections(need, row, draft)
    ask, drawn = draft.ask(need), draft.columns.drawn(replica, need)
    choice = None if objections else draft.core.on(ask, row, drawn)
    return NodeAnswer(
        node=host.node.name,
        objections=objections,
        why=None if choice is None else why_here(need, ask, choice, draft, ()),
        free=host.free(),
        gpu_free_mib=tuple((gpu.uuid, host.gpu_free(gpu)) for gpu in host.node.gpus),
        replicas=tuple(
            sorted(n for n, one in host.placements.items() if one.deployment == need.deployment)
        ),
    )


def _objections(need: Need, row: int, draft: Draft) -> tuple[str, ...]:
    """Everything that speaks against a node, in the order of the checks."""
    host = draft.hosted(row)
    fixed = [text for check in STATIC_CHECKS if (text := check(need, host.node)) is not None]
    free = [text for check in FREE_CHECKS if (text := check(need, host)) is not None]
    rules = [text for text, rows in each_rule(need, draft) if not np.take(rows, row)]
    return (*fixed, *free, *rules)
