"""The words of placing: what is needed, what was decided, and why not otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from schemas.assignment import GpuShare, Refusal, Why
from schemas.fleet import PortRange
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.resources import GpuNeed, PlacementRules, Resources, Sharing, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One deployment as the planner sees it: template and deployment merged, nothing left open.

    ports: host port by name; None means that any free one of `auto_ports` will do.
    pinned: its volumes tie each replica to the node that has them.
    has_data: its volumes hold what must not be lost, tied to them or not.
    image: reference of the main image where it is known before rendering; empty otherwise.
    """

    deployment: DeploymentName
    replicas: int
    resources: Resources
    gpus: GpuNeed | None = None
    rules: PlacementRules = field(default_factory=PlacementRules)
    strategy: Strategy = Strategy.PACK
    ports: Mapping[str, int | None] = field(default_factory=dict)
    auto_ports: PortRange = field(default_factory=PortRange)
    priority: int = 0
    pinned: bool = False
    has_data: bool = False
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A deployment that stays exactly as it was: its documents are broken, or it is held."""

    deployment: DeploymentName


Desired: TypeAlias = Need | Keep


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One replica and where it is. As `previous`, it says what the replica was promised then."""

    replica: ReplicaName
    deployment: DeploymentName
    node: NodeName
    resources: Resources
    sharing: Sharing = Sharing.EXCLUSIVE
    gpus: tuple[GpuShare, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    pinned: bool = False
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a plan must leave alone.

    frozen: replicas that stay exactly as they were, wherever that is.
    absent: replicas that have no place for now, whether they had one or not.
    """

    frozen: frozenset[ReplicaName] = frozenset()
    absent: frozenset[ReplicaName] = frozenset()


FREE: Final = Bound()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who goes where, and who goes nowhere and why. Both are sorted by replica."""

    placements: tuple[Placement, ...] = ()
    refusals: tuple[Refusal, ...] = ()
