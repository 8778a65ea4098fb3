"""The plan as a whole, in small."""

from __future__ import annotations

from reconciler.observing.node import Gpu, Node
from reconciler.placing.engine import plan
from reconciler.placing.plan import Need, Plan
from schemas.names import DeploymentName, GpuUuid, NodeName
from schemas.resources import GpuNeed, Resources, Sharing


def a_node(name: str, gpus: int = 1) -> Node:
    return Node(
        name=NodeName(name),
        room=Resources(cpu_milli=8000, memory_mib=32768, disk_mib=100000),
        gpus=tuple(
            Gpu(
                uuid=GpuUuid(f"GPU-{name}-{i}"),
                vendor="nvidia",
                model="NVIDIA A10",
                memory_mib=24000,
                free_mib=24000,
            )
            for i in range(gpus)
        ),
    )


def a_need(name: str, replicas: int = 1, mib: int = 10000) -> Need:
    return Need(
        deployment=DeploymentName(name),
        replicas=replicas,
        resources=Resources(cpu_milli=1000, memory_mib=1024),
        gpus=GpuNeed(memory_mib=mib, sharing=Sharing.SHARED),
        ports={"http": None},
    )


def nodes_of(made: Plan) -> dict[str, str]:
    return {one.replica: one.node for one in made.placements}


def test_packs_two_on_one_gpu_and_the_third_elsewhere() -> None:
    made = plan((a_need("chat", 3),), (a_node("a"), a_node("b")), ())

    assert nodes_of(made) == {"chat-0": "a", "chat-1": "a", "chat-2": "b"}
    assert [dict(one.ports) for one in made.placements] == [
        {"http": 20000},
        {"http": 20001},
        {"http": 20000},
    ]


def test_second_pass_changes_nothing() -> None:
    desired, nodes = (a_need("chat", 5),), (a_node("a"), a_node("b"))

    first = plan(desired, nodes, ())

    assert plan(desired, nodes, first.placements) == first
    assert len(first.refusals) == 1
