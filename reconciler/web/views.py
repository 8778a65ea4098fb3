"""What people see of a fleet. The page, the API and `miaas status` show these same values.

Every state is a word with its reason. Field names are those of the JSON API, in camel case there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.conditions.condition import Condition
from reconciler.web.rollout_views import (
    AbsentView,
    BannerView,
    HolderView,
    HoldView,
    RolloutView,
)
from schemas.problem import REPOSITORY


class Sync(StrEnum):
    """Whether what runs is what the commit asks for."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"  # its node is silent: old data is never shown as good


class Health(StrEnum):
    """How it fares."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"  # on its way, nothing wrong yet
    DEGRADED = "Degraded"
    MISSING = "Missing"  # wanted, and nowhere
    UNKNOWN = "Unknown"


class NodeState(StrEnum):
    """What a node is worth at the moment."""

    READY = "Ready"
    DEGRADED = "Degraded"  # speaks, and something on it is broken
    HELD_DOWN = "HeldDown"  # was lost and is back: given nothing new for a while
    CONTESTED = "Contested"  # two machines speak under its name: neither gets anything new
    LATE = "Late"
    LOST = "Lost"
    UNSEEN = "Unseen"  # has a record and never sent a heartbeat
    NOT_ADMITTED = "NotAdmitted"  # sends heartbeats and has no record


class Level(StrEnum):
    """How the fleet as a whole fares, for the line at the top."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncMark:
    """The state of synchrony, and why."""

    state: Sync
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMark:
    """The state of health, and why."""

    state: Health
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMark:
    """The state of a node, and why."""

    state: NodeState
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemView:
    """Something to mend in a document: where, what, and how. Line 0: the document as a whole.

    path: `.`: it is of no file, but of the commit as a whole. holds: deployments that stay as they
    last were because of it. deployment: the only one of them; empty: there is none, or several.
    """

    path: str
    line: int
    column: int
    what: str
    fix: str
    deployment: str = ""
    holds: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Print as editors and compilers do; empty: it is of no file."""
        if self.path == REPOSITORY.path:
            return ""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountsView:
    """Milli-cores, MiB of memory, MiB of disk."""

    cpu_milli: int = 0
    memory_mib: int = 0
    disk_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One service of a replica, as its node reports it. health: empty where it has no check."""

    name: str
    image: str
    state: str
    health: str
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """Where a port answers. url and curl are empty where the port does not speak HTTP."""

    replica: str
    port: str
    address: str
    url: str
    curl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShareView:
    """A replica's part of one GPU. model: empty while its node does not report the card."""

    uuid: str
    model: str
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreView:
    """One reason that spoke for the node, 0 to 1, and its weight."""

    name: str
    value: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUpView:
    """A node that was considered too, and what it scored."""

    node: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """Why a replica is where it is."""

    text: str
    score: float
    terms: tuple[ScoreView, ...]
    runners_up: tuple[RunnerUpView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """The last lines of a failing service's log. Its node masked the secrets in them."""

    service: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaView:
    """One replica: where, why there, and how it fares. message: what its node last complained of.

    wanted: False where a node still has what is no longer assigned to it.
    """

    name: str
    deployment: str
    node: str
    wanted: bool
    sync: SyncMark
    health: HealthMark
    why: WhyView
    resources: AmountsView
    gpus: tuple[GpuShareView, ...]
    ports: Mapping[str, int]
    endpoints: tuple[EndpointView, ...]
    services: tuple[ServiceView, ...]
    message: str
    conditions: tuple[Condition, ...]
    logs: tuple[LogView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """Why some nodes were refused; no nodes means the fleet as a whole."""

    text: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalView:
    """Why a replica has no node, and the smallest change that would help, if one is known."""

    replica: str
    reasons: tuple[ReasonView, ...]
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """One deployment: what is wanted, what became of it, and what is in its way.

    source: the file it stands in. wanted: replicas asked for. healthy: of the placed ones.
    last_error: the worst thing anyone said of it; empty where nobody complained.
    depends_on: deployments that have to be ready before it is started or changed.
    absent: replicas that are wanted and have no node. holders: of replicas of which no two copies
    may run.
    """

    name: str
    template: str
    source: str
    priority: int
    labels: Mapping[str, str]
    wanted: int
    placed: int
    healthy: int
    sync: SyncMark
    health: HealthMark
    rollout: RolloutView
    conditions: tuple[Condition, ...]
    last_error: str
    depends_on: tuple[str, ...]
    replicas: tuple[ReplicaView, ...]
    unplaced: tuple[RefusalView, ...]
    absent: tuple[AbsentView, ...]
    holds: tuple[HoldView, ...]
    holders: tuple[HolderView, ...]
    problems: tuple[ProblemView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuView:
    """One GPU. promised_mib: given to replicas. used_mib, foreign_mib: as the driver counts.

    sickness: why it must not be used; empty when it is well. parent: of a MIG instance.
    withheld: why it is only told of and not given out. throttles: what slows it down just now.
    """

    uuid: str
    index: int
    vendor: str
    model: str
    memory_mib: int
    promised_mib: int
    used_mib: int
    foreign_mib: int
    utilisation_percent: int | None
    temperature_c: int | None
    power_w: int | None
    sickness: str
    withheld: str
    throttles: tuple[str, ...]
    parent: str
    replicas: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node: what it is, what it has to give, what it was given, and how it fares.

    duty_text: what the operator lets it do, and how far that has come; empty: it takes work.
    drained: it is to be empty, and is. held_down_until: it came back from being lost, and is given
    nothing new before; null: it is not held down.
    seen_at: when a heartbeat was last seen to arrive; None: never. room: what can be given out.
    promised: what is given out. generation: of its assignment; observed_generation: the one that
    its agent last converged to. to_mend: what is wrong with its document; while that is so, its
    `duty` is the one of a stand-in: cordoned.
    """

    name: str
    mark: NodeMark
    duty: str
    duty_text: str
    suspended: bool
    drained: bool
    held_down_until: datetime | None
    conditions: tuple[Condition, ...]
    seen_at: datetime | None
    sync: SyncMark
    generation: int
    observed_generation: int
    agent: str
    os: str
    architecture: str
    kernel: str
    docker: str
    compose: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str]
    taints: tuple[str, ...]
    room: AmountsView
    promised: AmountsView
    gpus: tuple[GpuView, ...]
    replicas: tuple[ReplicaView, ...]
    problems: tuple[str, ...]
    to_mend: tuple[ProblemView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """The one line at the top."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionView:
    """A node or deployment that is not as it should be. kind: `node` or `deployment`."""

    kind: str
    name: str
    state: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """Everything about one fleet at one look. Ends never in a clock: ages are for who shows it.

    source: the commit that people made. decided: the reconciler's newest decision.
    leader: which of several reconcilers decides; empty: none is elected, the lease is free, or
    nobody has been heard of for too long. leading_since: since when, by its own clock.
    leader_renewed: when who leads, or led, was last heard of. term: how often one took over.
    banners: what holds back the whole fleet. problems: of what people wrote.
    notices: of what machines wrote.
    """

    name: str
    source: str
    decided: str
    leader: str
    leading_since: datetime | None
    leader_renewed: datetime | None
    term: int
    verdict: VerdictView
    banners: tuple[BannerView, ...]
    exceptions: tuple[ExceptionView, ...]
    nodes: tuple[NodeView, ...]
    deployments: tuple[DeploymentView, ...]
    problems: tuple[ProblemView, ...]
    notices: tuple[ProblemView, ...]
    nodes_by_name: Mapping[str, NodeView] = field(default_factory=dict, repr=False)
    deployments_by_name: Mapping[str, DeploymentView] = field(default_factory=dict, repr=False)
