"""deployments/<name>.yaml: what should run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.expressions import check_expressions
from schemas.marks import NO_MARKS, Marks
from schemas.names import DeploymentName, TemplateName
from schemas.page import Page, open_page
from schemas.problem import Place
from schemas.resources import Drift, GpuNeed, PlacementRules, VolumeRemoval
from schemas.rollout import (
    Disconnect,
    Update,
    read_disconnect,
    read_update,
    write_disconnect,
    write_update,
)
from schemas.shape import (
    check_gpus,
    present,
    read_amounts,
    read_gpus,
    read_rules,
    unless,
    write_amounts,
    write_document,
    write_gpus,
    write_rules,
)


class VolumeMoves(StrEnum):
    """What its volumes mean for where a replica may go."""

    STAY = "stay"
    LOSE = "lose"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """What the deployment says of its needs. None means: as the template says.

    gpus: with a count of 0 it needs none, whatever the template says.
    """

    cpu_milli: int | None = None
    memory_mib: int | None = None
    disk_mib: int | None = None
    gpus: GpuNeed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A parsed deployment. Holding one means that it is valid.

    ports: host port by the name of the template's port; None means `auto`, as does a missing name.
    on_move: `stay` ties a replica with volumes to its node; `lose` lets it go without its data.
    on_remove: `delete` gives the volumes of a replica up when its node no longer has to run it.
    drift: None means: as fleet.yaml says.
    priority: higher goes first; 0 unless said otherwise.
    depends_on: deployments that have to be ready before this one is started or changed.
    suspend: nothing about it is changed; what runs goes on.
    marks: where each value stands in the file.
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
    on_remove: VolumeRemoval = VolumeRemoval.KEEP
    drift: Drift | None = None
    update: Update = field(default_factory=Update)
    disconnect: Disconnect = field(default_factory=Disconnect)
    depends_on: tuple[DeploymentName, ...] = ()
    suspend: bool = False
    priority: int = 0
    place: Place
    marks: Marks = field(default=NO_MARKS, compare=False, repr=False)


def parse_deployment(text: str, *, path: str) -> Deployment:
    """Read deployments/<name>.yaml.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    page = open_page(text, path=path, schema="deployment")
    check_gpus(page)
    _check_ports(page)
    for rule in ("require", "prefer"):
        check_expressions(page, "spec", "placement", rule)
    page.close()
    metadata, spec = page.get("metadata"), page.get("spec")
    ports = spec.get("ports", {})
    return Deployment(
        name=DeploymentName(metadata["name"]),
        template=TemplateName(spec["template"]),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        parameters=spec.get("parameters", {}),
        replicas=spec.get("replicas", 1),
        resources=_read_request(spec.get("resources", {})),
        placement=read_rules(spec.get("placement", {})),
        ports={name: None if port == "auto" else port for name, port in ports.items()},
        on_move=VolumeMoves(spec.get("volumes", {}).get("onMove", VolumeMoves.STAY)),
        on_remove=VolumeRemoval(spec.get("volumes", {}).get("onRemove", VolumeRemoval.KEEP)),
        drift=Drift(spec["drift"]) if "drift" in spec else None,
        update=read_update(spec.get("update", {})),
        disconnect=read_disconnect(spec.get("disconnect", {})),
        depends_on=tuple(DeploymentName(name) for name in spec.get("dependsOn", [])),
        suspend=spec.get("suspend", False),
        priority=spec.get("priority", 0),
        place=Place(path),
        marks=page.marks,
    )


def dump_deployment(deployment: Deployment) -> str:
    """Write deployments/<name>.yaml, without what equals the defaults."""
    metadata = {
        "name": deployment.name,
        "labels": dict(deployment.labels),
        "annotations": dict(deployment.annotations),
    }
    on_move = unless(deployment.on_move.value, VolumeMoves.STAY.value)
    on_remove = unless(deployment.on_remove.value, VolumeRemoval.KEEP.value)
    spec = {
        "template": deployment.template,
        "parameters": dict(deployment.parameters),
        "replicas": unless(deployment.replicas, 1),
        "resources": _write_request(deployment.resources),
        "placement": write_rules(deployment.placement),
        "ports": {
            name: "auto" if port is None else port for name, port in deployment.ports.items()
        },
        "volumes": present({"onMove": on_move, "onRemove": on_remove}),
        "drift": deployment.drift and deployment.drift.value,
        "update": write_update(deployment.update),
        "disconnect": write_disconnect(deployment.disconnect),
        "dependsOn": list(deployment.depends_on),
        "suspend": deployment.suspend or None,
        "priority": unless(deployment.priority, 0),
    }
    return write_document("Deployment", metadata, spec)


def _read_request(plain: Mapping[str, Any]) -> ResourceRequest:
    gpus = read_gpus(plain["gpus"]) if "gpus" in plain else None
    return ResourceRequest(**read_amounts(plain), gpus=gpus)


def _write_request(request: ResourceRequest) -> dict[str, Any]:
    gpus = {} if request.gpus is None else {"gpus": write_gpus(request.gpus)}
    return write_amounts(request.cpu_milli, request.memory_mib, request.disk_mib) | gpus


def _check_ports(page: Page) -> None:
    seen: dict[int, str] = {}
    for name, port in page.entries("spec", "ports"):
        if isinstance(port, int) and port in seen:
            what = f"the host port {port} is given to {seen[port]!r} and to {name!r}"
            page.refuse(("spec", "ports", name), (what, "use another port, or auto"))
        seen.setdefault(port, name)
