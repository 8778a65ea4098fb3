"""Why a deployment is not on a node: the planner is asked for one replica more there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from reconciler.placing.engine import plan
from reconciler.placing.needs import need_of
from reconciler.placing.plan import Desired, Keep, Need
from reconciler.publishing.assignments import previous_placements
from reconciler.web.facts import Facts
from schemas.deployment import Deployment
from schemas.names import DeploymentName, NodeName, replica_name

_NAME_MAX: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer:
    """What speaks against one more replica of a deployment on a node; nothing: it would fit.

    here: its replicas that are on the node now.
    """

    deployment: str
    node: str
    here: tuple[str, ...]
    objections: tuple[str, ...]

    @property
    def text(self) -> str:
        """The answer as a sentence."""
        if self.here:
            verb = "is" if len(self.here) == 1 else "are"
            return f"{', '.join(self.here)} {verb} on {self.node}"
        if self.objections:
            return f"not on {self.node}: {'; '.join(self.objections)}"
        return (
            f"one would fit on {self.node}; what runs stays where it is, and a new one goes where "
            "it scores best"
        )


def why_not(facts: Facts, deployment: Deployment, node: NodeName) -> NodeAnswer:
    """Say what the planner has against a deployment on a node, with all else where it is."""
    assignment = facts.observed.assignments.get(node)
    there = assignment.replicas if assignment is not None else ()
    here = tuple(one.name for one in there if one.deployment == deployment.name)
    objections = () if here else tuple(dict.fromkeys(_objections(facts, deployment, node)))
    return NodeAnswer(deployment=deployment.name, node=node, here=here, objections=objections)


def _objections(facts: Facts, deployment: Deployment, node: NodeName) -> Iterator[str]:
    need = _need(facts, deployment)
    if need.rules.pin and node not in need.rules.pin:
        yield f"it is pinned to {', '.join(need.rules.pin)}"
    probe = _probe(need, node)
    placed = previous_placements(facts.observed)
    refusals = plan((probe, *_others(facts, deployment)), facts.nodes, placed).refusals
    ours = (one for one in refusals if one.replica == replica_name(probe.deployment, 0))
    for refusal in ours:
        yield from (r.text for r in refusal.reasons if node in r.nodes or not r.nodes)


def _probe(need: Need, node: NodeName) -> Need:
    """One replica more, under a name of its own, so that those that run count as its neighbours."""
    name = DeploymentName(f"{need.deployment[: _NAME_MAX - 6]}-probe")
    rules = replace(need.rules, pin=(node,), gang=None)
    return replace(need, deployment=name, replicas=1, rules=rules)


def _others(facts: Facts, deployment: Deployment) -> Iterator[Desired]:
    assigned = {r.deployment for a in facts.observed.assignments.values() for r in a.replicas}
    wanted = {one.name: one for one in facts.observed.deployments if one.name not in facts.held}
    for name in sorted(assigned | wanted.keys()):
        if name in wanted and name != deployment.name:
            yield _need(facts, wanted[name])
        elif name in assigned:
            yield Keep(deployment=name)


def _need(facts: Facts, deployment: Deployment) -> Need:
    template = facts.observed.templates[deployment.template].template
    return need_of(facts.observed.fleet, template, deployment)
