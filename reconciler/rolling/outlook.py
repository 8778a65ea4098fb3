"""What a pass would change, and all that the gates look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.observing.node import Node
from reconciler.placing.plan import Placement
from reconciler.rolling.holding import Held
from reconciler.rolling.rollout import Course
from reconciler.rolling.standing import Standing
from schemas.assignment import Phase
from schemas.deployment import Deployment
from schemas.fleet import Fleet
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name
from schemas.rollout import UpdateStrategy


class Pending(StrEnum):
    """What the target plan would do to a replica."""

    ADD = "add"
    CHANGE = "change"  # other files, on the same node
    MOVE = "move"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Everything that the gates look at.

    deployments: those that are not held. previous, target: placements before, and as they are
    finally wanted. pending: replicas that differ in them. closed: why the time is none for planned
    changes; empty: it is one. fenced: replicas that cannot start where they are to go, and why.
    held: replicas that other brakes hold already. recovering: replicas that left lost nodes.
    refused: why no node takes a replica, of those that are finally to have none. arrived: those
    that had the version that is wanted at the last pass.
    """

    fleet: Fleet
    deployments: Mapping[DeploymentName, Deployment]
    courses: Mapping[DeploymentName, Course]
    nodes: Mapping[NodeName, Node]
    previous: Mapping[ReplicaName, Placement]
    target: Mapping[ReplicaName, Placement]
    pending: Mapping[ReplicaName, Pending]
    standing: Mapping[ReplicaName, Standing]
    closed: str = ""
    fenced: Mapping[ReplicaName, Held] = field(default_factory=dict)
    held: Mapping[ReplicaName, Held] = field(default_factory=dict)
    recovering: frozenset[ReplicaName] = frozenset()
    refused: Mapping[ReplicaName, str] = field(default_factory=dict)
    arrived: frozenset[ReplicaName] = frozenset()


def is_ready(replica: ReplicaName, view: Outlook) -> bool:
    """Whether a replica is well in what is published."""
    return replica in view.standing and view.standing[replica].ready


def is_settled(replica: ReplicaName, view: Outlook) -> bool:
    """Whether a replica is ready in the version that is wanted."""
    return is_ready(replica, view) and replica not in view.pending


def rolls(name: DeploymentName, view: Outlook) -> bool:
    """Whether another version than the last good one comes in."""
    going = view.courses.get(name)
    if going is None or going.phase is not Phase.ROLLING or going.goes_back:
        return False
    return going.versions.next is not None and going.versions.good is not None


def is_between(name: DeploymentName, view: Outlook) -> bool:
    """Whether another version than the last good one comes in, stalled, or has to leave again."""
    going = view.courses.get(name)
    if going is None or going.versions.good is None:
        return False
    return going.versions.next is not None or going.goes_back


def replicas_of(deployment: Deployment) -> list[ReplicaName]:
    """The replicas that are asked for, by number."""
    return [replica_name(deployment.name, index) for index in range(deployment.replicas)]


def most_down(deployment: Deployment, replicas: int) -> int:
    """How many of so many may be down. Who starts first has one more, so that none is missed."""
    if deployment.update.strategy is UpdateStrategy.START_FIRST:
        return 1
    return deployment.update.max_unavailable.of(replicas, least=1)


def extra_of(deployment: Deployment) -> ReplicaName:
    """The name of the extra replica of a rollout that starts first."""
    return replica_name(deployment.name, deployment.replicas)
