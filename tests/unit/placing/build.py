"""Builders: valid by default, so that a test names only what matters to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.observing.node import Gpu, Node
from reconciler.placing.plan import Need, Placement, Plan
from schemas.assignment import Why
from schemas.fleet import PortRange
from schemas.names import DeploymentName, GpuUuid, NodeName, ReplicaName
from schemas.resources import PlacementRules, Resources

ROOM = Resources(cpu_milli=8000, memory_mib=32768, disk_mib=100_000)


def a_gpu(uuid: str = "GPU-0", **changes: object) -> Gpu:
    gpu = Gpu(
        uuid=GpuUuid(uuid),
        vendor="nvidia",
        model="NVIDIA A10",
        memory_mib=24000,
        free_mib=24000,
        compute_capability=(8, 6),
        driver=(550, 54, 14),
        cuda=(12, 4),
    )
    return replace(gpu, **changes)  # type: ignore[arg-type]


def changed_node(changes: Mapping[str, object]) -> Node:
    return replace(a_node(), **changes)  # type: ignore[arg-type]


def a_node(name: str = "a", **changes: object) -> Node:
    labels = {"miaas/node": name, "miaas/os": "linux", "miaas/arch": "x86_64"}
    node = Node(name=NodeName(name), room=ROOM, labels=labels)
    return replace(node, **changes)  # type: ignore[arg-type]


def a_gpu_node(name: str = "a", gpus: int = 1, **changes: object) -> Node:
    return a_node(name, gpus=tuple(a_gpu(f"GPU-{name}-{n}") for n in range(gpus)), **changes)


def a_need(name: str = "chat", **changes: object) -> Need:
    need = Need(
        deployment=DeploymentName(name),
        replicas=1,
        resources=Resources(cpu_milli=1000, memory_mib=1024),
        auto_ports=PortRange(first=20000, last=20003),
    )
    return replace(need, **changes)  # type: ignore[arg-type]


def a_ruled(name: str = "chat", replicas: int = 1, **rules: object) -> Need:
    return a_need(name, replicas=replicas, rules=PlacementRules(**rules))  # type: ignore[arg-type]


def a_placement(replica: str, node: str, **changes: object) -> Placement:
    placement = Placement(
        replica=ReplicaName(replica),
        deployment=DeploymentName(replica.rsplit("-", 1)[0]),
        node=NodeName(node),
        resources=Resources(cpu_milli=1000, memory_mib=1024),
        why=Why(text="was there"),
    )
    return replace(placement, **changes)  # type: ignore[arg-type]


def where(plan: Plan) -> Mapping[str, str]:
    return {one.replica: one.node for one in plan.placements}


def why_not(plan: Plan) -> Mapping[str, tuple[str, ...]]:
    return {one.replica: tuple(reason.text for reason in one.reasons) for one in plan.refusals}
