"""Values for tests, valid by default: a test names only what matters to it.

Each builder takes the fields of its dataclass as keywords; a few common ones have short forms.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.observing.node import Gpu, Node
from reconciler.placing.plan import Need, Placement
from schemas.assignment import AssignedReplica, Assignment, GpuShare, Why
from schemas.deployment import Deployment
from schemas.fleet import Fleet
from schemas.heartbeat import (
    GpuReport,
    Heartbeat,
    HostReport,
    ReplicaReport,
    ReplicaState,
    RuntimeReport,
    ServiceReport,
)
from schemas.names import (
    DeploymentName,
    FleetName,
    GpuUuid,
    NodeName,
    ReplicaName,
    TemplateName,
    replica_name,
    split_replica,
)
from schemas.node import NodeRecord
from schemas.problem import Place
from schemas.resources import GpuNeed, Resources
from schemas.template import Template

GIB: Final = 1024
A_MOMENT: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

# What the driver reports of cards that people own: name, memory in MiB, compute capability.
CARDS: Final[dict[str, tuple[str, int, tuple[int, int]]]] = {
    "t4": ("Tesla T4", 15360, (7, 5)),
    "rtx3090": ("NVIDIA GeForce RTX 3090", 24576, (8, 6)),
    "rtx4090": ("NVIDIA GeForce RTX 4090", 24564, (8, 9)),
    "a10": ("NVIDIA A10", 23028, (8, 6)),
    "l40s": ("NVIDIA L40S", 46068, (8, 9)),
    "a100": ("NVIDIA A100-SXM4-80GB", 81920, (8, 0)),
    "h100": ("NVIDIA H100 80GB HBM3", 81559, (9, 0)),
}


def a_gpu_uuid(number: int = 0, owner: str = "alpha") -> GpuUuid:
    """Make a UUID of the driver's form; the same arguments always give the same one."""
    return GpuUuid(f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{number}.{owner}.example.org')}")


def a_fleet(name: str = "test", **fields: Any) -> Fleet:
    """Make a fleet with the default settings."""
    return Fleet(name=FleetName(name), **fields)


def a_record(name: str = "alpha", **fields: Any) -> NodeRecord:
    """Make the operator's word on a node: active, no labels, no taints."""
    return NodeRecord(name=NodeName(name), **{"place": Place(f"nodes/{name}.yaml"), **fields})


def a_template(name: str = "web", **fields: Any) -> Template:
    """Make a template that takes no parameters and brings no ports and no volumes."""
    ours: dict[str, Any] = {
        "description": "A template for tests.",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        "resources": Resources(cpu_milli=100, memory_mib=64, disk_mib=0),
        "place": Place(f"templates/{name}/template.yaml"),
    }
    return Template(name=TemplateName(name), **{**ours, **fields})


def a_deployment(name: str = "chat", *, template: str = "web", **fields: Any) -> Deployment:
    """Make a deployment of one replica that leaves everything to its template."""
    ours = {"place": Place(f"deployments/{name}.yaml")}
    return Deployment(
        name=DeploymentName(name), template=TemplateName(template), **{**ours, **fields}
    )


def a_need(name: str = "chat", **fields: Any) -> Need:
    """Make a need of one replica: a tenth of a core and 64 MiB."""
    ours: dict[str, Any] = {"replicas": 1, "resources": Resources(cpu_milli=100, memory_mib=64)}
    return Need(deployment=DeploymentName(name), **{**ours, **fields})


def a_gpu_need(**fields: Any) -> GpuNeed:
    """Make a need of one whole GPU of any kind."""
    return GpuNeed(**fields)


def a_gpu(number: int = 0, *, card: str = "l40s", owner: str = "alpha", **fields: Any) -> Gpu:
    """Make a free, healthy GPU of one of CARDS that can be given out."""
    model, memory_mib, capability = CARDS[card]
    ours: dict[str, Any] = {
        "uuid": a_gpu_uuid(number, owner),
        "vendor": "nvidia",
        "model": model,
        "memory_mib": memory_mib,
        "compute_capability": capability,
        "driver": (580, 65, 6),
        "cuda": (13, 0),
    }
    merged = {**ours, **fields}
    return Gpu(**{"free_mib": merged["memory_mib"], **merged})


def a_node(name: str = "alpha", *, cards: Iterable[str] = (), **fields: Any) -> Node:
    """Make a ready node with 16 cores, 64 GiB and 500 GiB of disk, with these CARDS in it."""
    labels = {"miaas/node": name, "miaas/os": "linux", "miaas/arch": "amd64"}
    ours: dict[str, Any] = {
        "room": Resources(cpu_milli=16_000, memory_mib=64 * GIB, disk_mib=500 * GIB),
        "gpus": tuple(a_gpu(i, card=card, owner=name) for i, card in enumerate(cards)),
    }
    merged = {**ours, **fields}
    merged["labels"] = {**labels, **fields.get("labels", {})}
    return Node(name=NodeName(name), **merged)


def a_gpu_report(
    number: int = 0, *, card: str = "l40s", owner: str = "alpha", **fields: Any
) -> GpuReport:
    """Make what an agent reports of an idle, healthy card of CARDS."""
    model, memory_mib, capability = CARDS[card]
    ours: dict[str, Any] = {
        "uuid": a_gpu_uuid(number, owner),
        "index": number,
        "vendor": "nvidia",
        "model": model,
        "memory_mib": memory_mib,
        "compute_capability": capability,
        "driver": (580, 65, 6),
        "cuda": (13, 0),
        "utilisation_percent": 0,
        "temperature_c": 35,
        "power_w": 30,
    }
    return GpuReport(**{**ours, **fields})


def a_host(**fields: Any) -> HostReport:
    """Make a Debian host with 16 cores, 64 GiB and 500 GiB of disk, all of it free."""
    ours: dict[str, Any] = {
        "os": "linux",
        "architecture": "amd64",
        "kernel": "6.1.0-39-amd64",
        "cpu_milli": 16_000,
        "memory_mib": 64 * GIB,
        "disk_mib": 500 * GIB,
        "addresses": ("192.0.2.10",),
        "ports": (22,),
    }
    return HostReport(**{**ours, **fields})


def a_heartbeat(node: str = "alpha", *, cards: Iterable[str] = (), **fields: Any) -> Heartbeat:
    """Make the first heartbeat of a node with these CARDS that runs nothing yet."""
    ours: dict[str, Any] = {
        "incarnation": "b0c1d2e3-0000-4000-8000-000000000001",
        "sequence": 1,
        "sent_at": A_MOMENT,
        "agent": "0.1.0",
        "host": a_host(),
        "runtime": RuntimeReport(docker="28.3.3", compose="5.6.1"),
        "gpus": tuple(a_gpu_report(i, card=card, owner=node) for i, card in enumerate(cards)),
    }
    return Heartbeat(node=NodeName(node), **{**ours, **fields})


def a_service_report(name: str = "web", **fields: Any) -> ServiceReport:
    """Make a running, healthy service."""
    ours: dict[str, Any] = {
        "image": "example.org/web:1.0",
        "state": "running",
        "health": "healthy",
    }
    return ServiceReport(name=name, **{**ours, **fields})


def a_replica_report(replica: str = "chat-0", **fields: Any) -> ReplicaReport:
    """Make the report of a replica that runs as it should."""
    ours: dict[str, Any] = {
        "state": ReplicaState.RUNNING,
        "observed": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "services": (a_service_report(),),
    }
    deployment, _ = split_replica(replica)
    return ReplicaReport(name=ReplicaName(replica), deployment=deployment, **{**ours, **fields})


def a_placement(
    deployment: str = "chat", index: int = 0, *, node: str = "alpha", **fields: Any
) -> Placement:
    """Make the placement of a small replica without GPU."""
    ours: dict[str, Any] = {
        "resources": Resources(cpu_milli=100, memory_mib=64),
        "why": Why(text="the only node"),
    }
    name = DeploymentName(deployment)
    return Placement(
        replica=replica_name(name, index),
        deployment=name,
        node=NodeName(node),
        **{**ours, **fields},
    )


def a_share(number: int = 0, *, owner: str = "alpha", memory_mib: int = 46068) -> GpuShare:
    """Make a replica's part of the GPU that `a_gpu` of the same number and owner makes."""
    return GpuShare(uuid=a_gpu_uuid(number, owner), memory_mib=memory_mib)


def an_assigned_replica(deployment: str = "chat", index: int = 0, **fields: Any) -> AssignedReplica:
    """Make a small assigned replica without GPU."""
    name = DeploymentName(deployment)
    ours: dict[str, Any] = {
        "template": TemplateName("web"),
        "resources": Resources(cpu_milli=100, memory_mib=64),
        "why": Why(text="the only node"),
    }
    return AssignedReplica(name=replica_name(name, index), deployment=name, **{**ours, **fields})


def an_assignment(
    node: str = "alpha", replicas: tuple[AssignedReplica, ...] = (), **fields: Any
) -> Assignment:
    """Make the first assignment of a node."""
    ours: dict[str, Any] = {"generation": 1, "heartbeat_seconds": 30, "poll_seconds": 15}
    return Assignment(node=NodeName(node), replicas=replicas, **{**ours, **fields})
