"""Why a node will not do because of who runs where: near, apart and spread."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.observing.node import Node
from reconciler.placing.hosted import Scene, domain
from reconciler.placing.plan import Need
from schemas.names import DeploymentName
from schemas.resources import Neighbourhood, Spread


def near_objection(
    need: Need, node: Node, scene: Scene, waived: frozenset[DeploymentName]
) -> str | None:
    """Refuse a node that is not where the deployments to be near to are.

    waived: those that wait for this one in turn, so that one of the two has to go first.
    """
    for rule in need.rules.near:
        value = domain(node, rule.over)
        for other in sorted(set(rule.deployments) - waived):
            if other == need.deployment and scene.everywhere(other) == 0:
                continue
            if scene.everywhere(other) == 0:
                return f"must be near {other}, which runs nowhere"
            if value is None or scene.in_domain(rule.over, value, other) == 0:
                return f"must be near {other} ({rule.over})"
    return None


def apart_objection(
    need: Need,
    node: Node,
    scene: Scene,
    repelled: Mapping[DeploymentName, tuple[Neighbourhood, ...]],
) -> str | None:
    """Refuse a node where a deployment runs that this one must be apart from, or the reverse.

    repelled: the rules of others that name this deployment, by who made the rule.
    """
    for rule in need.rules.apart:
        for other in sorted(rule.deployments):
            if _together(node, scene, rule.over, other):
                return f"must be apart from {other} ({rule.over})"
    for other, rules in sorted(repelled.items()):
        for rule in rules:
            if _together(node, scene, rule.over, other):
                return f"{other} must be apart from it ({rule.over})"
    return None


def spread_objection(
    need: Need, node: Node, scene: Scene, domains: Mapping[str, frozenset[str]]
) -> str | None:
    """Refuse a node whose domain would come to hold too many.

    domains: by label, the values it has among the nodes that the deployment may use at all.
    """
    for rule in need.rules.spread:
        value = domain(node, rule.over)
        if value is None:
            return f"has no label {rule.over} to spread over"
        objection = _skew_objection(need, value, rule, scene, domains.get(rule.over, frozenset()))
        if objection is not None:
            return objection
    return None


def _skew_objection(
    need: Need, value: str, rule: Spread, scene: Scene, values: frozenset[str]
) -> str | None:
    """Refuse one more replica in `value` where it would lead by more than the allowed skew."""
    counts = {one: scene.in_domain(rule.over, one, need.deployment) for one in values | {value}}
    least = min(counts.values())
    if counts[value] + 1 - least <= rule.max_skew:
        return None
    return f"{rule.over} {value} has {counts[value]} replicas, another has {least}"


def _together(node: Node, scene: Scene, over: str, other: DeploymentName) -> bool:
    """Whether the other deployment has a replica in this node's domain."""
    value = domain(node, over)
    return value is not None and scene.in_domain(over, value, other) > 0
