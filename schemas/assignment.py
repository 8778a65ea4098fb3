"""assignment.json: what one node has to run. decision.json: what became of every deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.codec import dump_json, parse_json
from schemas.names import CommitId, DeploymentName, GpuUuid, NodeName, ReplicaName, TemplateName
from schemas.probes import Probe
from schemas.problem import Problem
from schemas.resources import Drift, Resources, Sharing, VolumeRemoval


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShare:
    """A replica's part of one GPU. memory_mib: what it was promised; all of it if exclusive."""

    uuid: GpuUuid
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTerm:
    """One reason that spoke for a node, and how much, 0 to 1 before its weight."""

    name: str
    value: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """A node that would have done as well, and what it scored."""

    node: NodeName
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a replica is where it is. A change of this alone is never a reason to write."""

    text: str
    score: float = 0.0
    terms: tuple[ScoreTerm, ...] = ()
    runners_up: tuple[RunnerUp, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The grant of a replica of which no two copies may run; see `schemas.fencing`.

    incarnation: of the node; in any other its agent must not start it.
    epoch: grows with every grant of this replica.
    stop_after_seconds: how long the agent may be cut off before it stops it.
    """

    incarnation: str
    epoch: int
    stop_after_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedReplica:
    """One replica that a node has to run. Its files stand in the folder of its name.

    ports: host port by the name of the template's port.
    pinned: its volumes tie it to this node.
    probes: what its agent asks it. rollback: whether a failed start brings the last version back.
    drift: whether its agent mends what differs though nobody decided so, or only tells.
    on_remove: what becomes of its volumes here once this node no longer has to run it.
    fence: None: a second copy does no harm.
    """

    name: ReplicaName
    deployment: DeploymentName
    template: TemplateName
    resources: Resources
    sharing: Sharing = Sharing.EXCLUSIVE
    gpus: tuple[GpuShare, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    pinned: bool = False
    probes: tuple[Probe, ...] = ()
    rollback: bool = False
    drift: Drift = Drift.HEAL
    on_remove: VolumeRemoval = VolumeRemoval.KEEP
    fence: Fence | None = None
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Everything one node has to run. Holding one means that it is valid.

    generation: grows by one with every change of this node's assignment, and never goes back.
    heartbeat_seconds, poll_seconds: the fleet's timings, which the agent keeps to.
    """

    node: NodeName
    generation: int
    heartbeat_seconds: int
    poll_seconds: int
    replicas: tuple[AssignedReplica, ...] = ()


class Verdict(StrEnum):
    """What became of a deployment in a decision."""

    PLACED = "placed"  # every replica has its node
    PARTIAL = "partial"  # some replicas have none
    UNPLACED = "unplaced"  # no replica has one
    HELD = "held"  # its documents are broken: it stays as it last was


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why some nodes were refused. Nodes are sorted; an empty tuple speaks of the whole fleet."""

    text: str
    nodes: tuple[NodeName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a replica has no node, grouped, and the smallest change that would help, if known."""

    replica: ReplicaName
    reasons: tuple[Reason, ...]
    hint: str = ""


class Phase(StrEnum):
    """How the newest version of a deployment fares."""

    SETTLED = "settled"  # it is everywhere, or none ever began
    ROLLING = "rolling"  # it comes in, replica by replica
    STALLED = "stalled"  # it did not get ready in time, and stays as it is
    ROLLED_BACK = "rolledBack"  # it did not get ready: the last good one is back until main changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why some replicas are not changed now, or not started yet. reason: one word."""

    reason: str
    text: str = ""
    replicas: tuple[ReplicaName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentDecision:
    """What became of one deployment. The wording of a refusal or hold is no reason to write.

    phase: of its newest version. source: the commit of main that brought this one; None: unknown.
    good_source: the one that brought the last good version, where that is another; None: it is not,
    there is none, or it is unknown. message: why it stalled or was rolled back.
    """

    name: DeploymentName
    template: str
    replicas: int
    verdict: Verdict
    problems: tuple[Problem, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    phase: Phase = Phase.SETTLED
    source: CommitId | None = None
    good_source: CommitId | None = None
    message: str = ""
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """Who holds a replica of which no two copies may run, or held it last.

    node: empty: the state was restored from a backup, and nobody knows. machine: the one under the
    node's name; two may claim one name.
    stop_after_seconds: the longest time that the holder may be cut off before it stops it, by any
    grant that it obeys or may obey; 0: it is not known to stop it by itself.
    """

    replica: ReplicaName
    node: NodeName
    incarnation: str
    epoch: int
    machine: str = ""
    stop_after_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescheduled:
    """A replica that left a node on which it kept failing: once in a version.

    version: names the document and the template that it failed with.
    """

    replica: ReplicaName
    node: NodeName
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of every deployment, and what is wrong with documents that belong to none.

    tenures, rescheduled: sorted by replica.
    """

    deployments: tuple[DeploymentDecision, ...] = ()
    problems: tuple[Problem, ...] = ()
    tenures: tuple[Tenure, ...] = ()
    rescheduled: tuple[Rescheduled, ...] = ()


def parse_assignment(text: str, *, path: str) -> Assignment:
    """Read assignment.json.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    return parse_json(Assignment, text, path=path)


def dump_assignment(assignment: Assignment) -> str:
    """Write assignment.json: the same bytes for equal assignments."""
    return dump_json(assignment)


def parse_decision(text: str, *, path: str) -> Decision:
    """Read decision.json.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    return parse_json(Decision, text, path=path)


def dump_decision(decision: Decision) -> str:
    """Write decision.json: the same bytes for equal decisions."""
    return dump_json(decision)
