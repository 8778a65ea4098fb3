"""Random fleets and deployments, from a seed: small enough to be crowded, odd enough to be real."""

from __future__ import annotations

import random
from collections import defaultdict

from reconciler.observing.node import Freshness, Gpu, Node
from reconciler.placing.plan import Need, Placement, Plan
from schemas.fleet import PortRange
from schemas.names import DeploymentName, GpuUuid, NodeName, ReplicaName
from schemas.node import Duty
from schemas.resources import (
    Expression,
    GpuNeed,
    Neighbourhood,
    Operator,
    PlacementRules,
    Preemption,
    Preference,
    Resources,
    Sharing,
    Spread,
    Strategy,
    Taint,
    Toleration,
)

MODELS = {"A10": 24000, "T4": 16000, "H100": 80000}
ZONES = ("north", "south", "west")
PORTS = PortRange(first=20000, last=20005)


def some_nodes(rng: random.Random, most: int = 8) -> tuple[Node, ...]:
    return tuple(a_node(rng, f"node-{number}") for number in range(rng.randint(1, most)))


def a_node(rng: random.Random, name: str) -> Node:
    labels = {"miaas/node": name, "miaas/os": "linux", "miaas/arch": rng.choice(["x86", "arm"])}
    if rng.random() < 0.9:
        labels["zone"] = rng.choice(ZONES)
    model = rng.choice(list(MODELS))
    return Node(
        name=NodeName(name),
        freshness=rng.choices(list(Freshness), [20, 1, 1, 1, 1, 1])[0],
        duty=rng.choices(list(Duty), [12, 1, 1])[0],
        labels=labels,
        taints=(Taint(key="dedicated", value="ml"),) if rng.random() < 0.1 else (),
        room=Resources(
            cpu_milli=rng.choice([4000, 8000, 16000]),
            memory_mib=rng.choice([8192, 16384]),
            disk_mib=100_000,
        ),
        gpus=tuple(
            a_gpu(rng, f"GPU-{name}-{slot}", model if rng.random() < 0.8 else "T4")
            for slot in range(rng.choice([0, 0, 1, 2, 4]))
        ),
        ports=frozenset({20000}) if rng.random() < 0.2 else frozenset(),
        images=frozenset({"img"}) if rng.random() < 0.3 else frozenset(),
        volumes=some_volumes(rng),
        runtime_error="no daemon" if rng.random() < 0.05 else "",
    )


def some_volumes(rng: random.Random) -> frozenset[ReplicaName]:
    """Of some replicas, whether they are placed there, elsewhere, nowhere, or long forgotten."""
    count = rng.choice([0, 0, 1, 4, 12])
    return frozenset(
        ReplicaName(f"app-{rng.randint(0, 9)}-{rng.randint(0, 6)}") for _ in range(count)
    )


def a_gpu(rng: random.Random, uuid: str, model: str) -> Gpu:
    memory = MODELS[model]
    return Gpu(
        uuid=GpuUuid(uuid),
        vendor="nvidia",
        model=model,
        memory_mib=memory,
        free_mib=memory - rng.choice([0, 0, 0, 1000]),
        compute_capability=(8, 0) if model != "T4" else (7, 5),
        driver=(550, 54),
        cuda=(12, 4),
    )


def some_needs(rng: random.Random, most: int = 8) -> tuple[Need, ...]:
    names = [f"app-{number}" for number in range(rng.randint(1, most))]
    return tuple(a_need(rng, name, names) for name in names)


def a_need(rng: random.Random, name: str, names: list[str]) -> Need:
    has_data = rng.random() < 0.25
    return Need(
        deployment=DeploymentName(name),
        replicas=rng.choice([1, 1, 2, 3, 6]),
        resources=Resources(
            cpu_milli=rng.choice([0, 500, 1000, 2500]),
            memory_mib=rng.choice([0, 512, 2048, 5000]),
            disk_mib=rng.choice([0, 100, 30_000]),
        ),
        gpus=some_gpus(rng),
        rules=some_rules(rng, names),
        strategy=rng.choice(list(Strategy)),
        ports=rng.choice([{}, {"http": None}, {"http": None, "rpc": None}, {"http": 20003}]),
        auto_ports=PORTS,
        priority=rng.choice([0, 0, 0, 5, 9]),
        has_data=has_data,
        pinned=has_data and rng.random() < 0.7,
        image=rng.choice(["", "img"]),
    )


def some_gpus(rng: random.Random) -> GpuNeed | None:
    return rng.choice(
        [
            None,
            None,
            GpuNeed(memory_mib=rng.choice([1000, 6000, 12000]), sharing=Sharing.SHARED),
            GpuNeed(memory_mib=rng.choice([None, 15000, 16000, 16001])),
            GpuNeed(count=2),
            GpuNeed(count=2, memory_mib=4000, sharing=Sharing.SHARED),
            GpuNeed(model="a1*", compute_capability=(8, 0)),
        ]
    )


def some_rules(rng: random.Random, names: list[str]) -> PlacementRules:
    def now_and_then() -> bool:
        return rng.random() < 0.12

    def others() -> tuple[DeploymentName, ...]:
        return (DeploymentName(rng.choice(names)),)

    over = rng.choice(["miaas/node", "zone"])
    return PlacementRules(
        require=(Expression(key="miaas/arch", operator=Operator.IN, values=("x86",)),)
        if now_and_then()
        else (),
        prefer=(Preference(expression=Expression(key="zone", operator=Operator.EXISTS)),)
        if now_and_then()
        else (),
        near=(Neighbourhood(deployments=others(), over=over),) if now_and_then() else (),
        apart=(Neighbourhood(deployments=others(), over=over),) if now_and_then() else (),
        spread=(Spread(over="zone", max_skew=rng.choice([1, 2])),) if now_and_then() else (),
        pin=(NodeName("node-0"), NodeName("node-1")) if now_and_then() else (),
        tolerations=(Toleration(key="dedicated"),) if now_and_then() else (),
        gang=rng.choice(["red", "blue"]) if now_and_then() else None,
        preemption=Preemption.LOWER_PRIORITY if now_and_then() else Preemption.NEVER,
    )


def where(plan: Plan) -> dict[str, str]:
    return {one.replica: one.node for one in plan.placements}


def breaches(nodes: tuple[Node, ...], placements: tuple[Placement, ...]) -> list[str]:
    """Count everything again, by other means than the engine's, and say what is overfull."""
    found = []
    by_node: defaultdict[str, list[Placement]] = defaultdict(list)
    for one in placements:
        by_node[one.node].append(one)
    for node in nodes:
        here = by_node.pop(node.name, [])
        found += [
            f"{node.name}: {what}"
            for what in ("cpu_milli", "memory_mib", "disk_mib")
            if sum(getattr(one.resources, what) for one in here) > getattr(node.room, what)
        ]
        ports = [number for one in here for number in one.ports.values()]
        if len(ports) != len(set(ports)) or set(ports) & node.ports:
            found.append(f"{node.name}: ports")
        for gpu in node.gpus:
            holders = [one for one in here if any(s.uuid == gpu.uuid for s in one.gpus)]
            alone = any(one.sharing is Sharing.EXCLUSIVE for one in holders)
            used = sum(s.memory_mib for one in holders for s in one.gpus if s.uuid == gpu.uuid)
            if (alone and len(holders) > 1) or (not alone and used > gpu.free_mib):
                found.append(f"{gpu.uuid}: {used}")
        known = {gpu.uuid: gpu.model for gpu in node.gpus}
        found += [
            f"{one.replica}: two models"
            for one in here
            if len({known.get(share.uuid) for share in one.gpus}) > 1
        ]
    return found + [f"unknown node {name}" for name in by_node]
