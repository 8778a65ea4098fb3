"""One whole decision: what was read goes in, what is to be written comes out.

The loop, the command line and the page all ask this one function, so that a preview can never
differ from what would happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.observing.inventory import Sightings
from reconciler.observing.node import Node
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.placing.plan import Placement, Plan
from reconciler.publishing.changes import Changes
from reconciler.rendering.port import Renderer
from schemas.assignment import Assignment, Decision
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Everything that one pass found out and decided. Nothing of it is published yet.

    sightings: to be given to the next pass.
    previous: what was placed before this pass.
    rendered: the files of every placed replica, by path in its folder; what is held keeps its own.
    held: deployments that stay as they last were, and why: broken documents or templates.
    problems: of people's documents: those that belong to no deployment, then those in `held`.
    notices: of what machines wrote, such as a heartbeat without a node document. Never published.
    assignments: what every node is told from now on.
    """

    snapshot: Snapshot
    observed: Observed
    sightings: Sightings
    nodes: tuple[Node, ...]
    previous: tuple[Placement, ...]
    plan: Plan
    rendered: Mapping[ReplicaName, Mapping[str, bytes]]
    held: Mapping[DeploymentName, tuple[Problem, ...]]
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    assignments: Mapping[NodeName, Assignment]
    decision: Decision
    changes: Changes


def decide(snapshot: Snapshot, now: datetime, sightings: Sightings, renderer: Renderer) -> Pass:
    """Decide everything that follows from a snapshot. `now` is aware, and counts evenly.

    Raises:
        BadDocumentError: our own last decision cannot be understood, so nothing may be decided.
        AssertionError: the finished plan breaks a promise; nothing of it may be published.
    """
    raise NotImplementedError
