"""Why a deployment is not on a node: the planner is asked about one replica more there. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.placing.explain import explain
from reconciler.placing.plan import Bound
from reconciler.publishing.assignments import previous_placements
from reconciler.settling import desired_of
from reconciler.web.facts import Facts
from schemas.names import DeploymentName, NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer:
    """What speaks against one more replica of a deployment on a node; nothing: it would fit.

    here: its replicas that are on the node now. score: what the node would score; None: it cannot
    take one.
    """

    deployment: str
    node: str
    here: tuple[str, ...]
    objections: tuple[str, ...]
    score: float | None = None

    @property
    def text(self) -> str:
        """The answer as a sentence."""
        if self.here:
            verb = "is" if len(self.here) == 1 else "are"
            more = f"no more: {'; '.join(self.objections)}" if self.objections else "one more fits"
            return f"{', '.join(self.here)} {verb} on {self.node}; {more}"
        if self.objections:
            return f"not on {self.node}: {'; '.join(self.objections)}"
        return (
            f"one would fit on {self.node}; what runs stays where it is, and a new one goes where "
            "it scores best"
        )


def why_not(facts: Facts, deployment: DeploymentName, node: NodeName) -> NodeAnswer:
    """Say what the planner has against a deployment on a node, with all else where it is."""
    desired = desired_of(facts.observed, facts.held)
    placed = previous_placements(facts.observed)
    still = Bound(frozen=frozenset(one.replica for one in placed))
    told = explain(desired, facts.nodes, placed, deployment, still)
    (answer,) = (one for one in told.nodes if one.node == node)
    return NodeAnswer(
        deployment=deployment,
        node=node,
        here=tuple(
            one.replica for one in placed if one.node == node and one.deployment == deployment
        ),
        objections=answer.objections,
        score=None if answer.why is None else answer.why.score,
    )
