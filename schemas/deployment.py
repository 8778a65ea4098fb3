"""deployments/<name>.yaml: what should run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.names import DeploymentName, TemplateName
from schemas.problem import Place
from schemas.resources import GpuNeed, PlacementRules


class VolumeMoves(StrEnum):
    """What its volumes mean for where a replica may go."""

    STAY = "stay"
    LOSE = "lose"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """What the deployment says of its needs. None means: as the template says."""

    cpu_milli: int | None = None
    memory_mib: int | None = None
    disk_mib: int | None = None
    gpus: GpuNeed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A parsed deployment. Holding one means that it is valid.

    ports: host port by the name of the template's port; None means `auto`, as does a missing name.
    on_move: `stay` ties a replica with volumes to its node; `lose` lets it go without its data.
    priority: higher goes first; 0 unless said otherwise.
    """

    name: DeploymentName
    template: TemplateName
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)
    replicas: int = 1
    resources: ResourceRequest = field(default_factory=ResourceRequest)
    placement: PlacementRules = field(default_factory=PlacementRules)
    ports: Mapping[str, int | None] = field(default_factory=dict)
    on_move: VolumeMoves = VolumeMoves.STAY
    priority: int = 0
    place: Place
