"""The planner's speed and packing, as figures by name."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reconciler.observing.node import Gpu, Node
from reconciler.placing.asks import Columns, ask_of
from reconciler.placing.core import Core
from reconciler.placing.engine import plan
from reconciler.placing.ground import Ground
from reconciler.placing.plan import Need
from reconciler.placing.workload import Shape
from schemas.names import DeploymentName, GpuUuid, NodeName
from schemas.resources import GpuNeed, Resources, Sharing, Strategy
from tests.bench.openb import FOLDER, NODES, PODS, batched, capacity, judged, repaired, streamed
from tests.bench.placement_references import BestFit, Fgd, FirstFit, Spot, run
from tests.bench.placement_trace import Task, arriving, read_nodes, read_tasks

SEEDS = range(42, 47)
# Model, GPU memory in MiB, GPUs, milli-cores, GiB: what such fleets are made of.
MACHINES = (
    ("A10", 24_000, 4, 64_000, 256),
    ("T4", 16_000, 2, 48_000, 192),
    ("H100", 80_000, 8, 128_000, 1024),
    ("L40", 48_000, 4, 96_000, 512),
    ("", 0, 0, 64_000, 256),
)


def measure() -> dict[str, float]:
    """Measure everything; what needs a trace is left out where there is none."""
    return core_speed() | plan_speed() | trace_figures()


def a_fleet(count: int, rng: random.Random) -> tuple[Node, ...]:
    """Nodes of five sorts, in random order."""
    return tuple(_machine(f"node-{number:05}", rng) for number in range(count))


def _machine(name: str, rng: random.Random) -> Node:
    model, memory, gpus, cpu, gib = rng.choice(MACHINES)
    return Node(
        name=NodeName(name),
        room=Resources(cpu_milli=cpu, memory_mib=gib * 1024, disk_mib=1_000_000),
        gpus=tuple(
            Gpu(
                uuid=GpuUuid(f"GPU-{name}-{slot}"),
                vendor="nvidia",
                model=model,
                memory_mib=memory,
                free_mib=memory,
            )
            for slot in range(gpus)
        ),
    )


def some_needs(count: int, replicas: int, rng: random.Random) -> tuple[Need, ...]:
    """Deployments: most share GPUs, a few want them whole, the rest need none."""
    return tuple(_need(f"app-{number:04}", replicas, rng) for number in range(count))


def _need(name: str, replicas: int, rng: random.Random) -> Need:
    sort = rng.random()
    gpus = None
    if sort < 0.6:
        memory = rng.choice([2000, 3000, 4000, 6000, 8000])
        gpus = GpuNeed(memory_mib=memory, sharing=Sharing.SHARED)
    elif sort < 0.65:
        gpus = GpuNeed(count=rng.choice([1, 1, 2]))
    return Need(
        deployment=DeploymentName(name),
        replicas=replicas,
        resources=Resources(
            cpu_milli=rng.choice([500, 1000, 2000, 3000]),
            memory_mib=rng.choice([1, 2, 4, 8]) * 1024,
        ),
        gpus=gpus,
        strategy=Strategy.PACK,
        ports={"http": None},
    )


def core_speed() -> dict[str, float]:
    """Place 100,000 replicas of 200 classes on 10,000 nodes, class by class, by the core alone.

    Measured: the scores and choices. Not measured: reading the fleet, and writing plans down.
    """
    rng = random.Random(1)
    needs = some_needs(200, 500, rng)
    ground = Ground(a_fleet(10_000, rng))
    columns = Columns(ground)
    asks = [ask_of(need, columns) for need in needs]
    mix: dict[Shape, float] = {}
    for need, ask in zip(needs, asks, strict=True):
        mix[ask.shape] = mix.get(ask.shape, 0.0) + need.replicas
    core = Core(ground, mix)
    begun = time.perf_counter()
    placed = sum(
        len(core.many(core.add(ask), need.replicas)) for need, ask in zip(needs, asks, strict=True)
    )
    return {"placements_per_s": round(placed / (time.perf_counter() - begun), 1)}


def plan_speed() -> dict[str, float]:
    """A whole plan() for 500 nodes and 5,000 replicas, and one after one deployment changed."""
    rng = random.Random(2)
    needs, nodes = some_needs(250, 20, rng), a_fleet(500, rng)
    gc.collect()
    begun = time.perf_counter()
    made = plan(needs, nodes, ())
    cold = time.perf_counter() - begun
    changed = (*needs[1:], replace(needs[0], replicas=needs[0].replicas + 3))
    gc.collect()
    begun = time.perf_counter()
    plan(changed, nodes, made.placements)
    change = time.perf_counter() - begun
    return {
        "plan_500_nodes_cold_s": round(cold, 3),
        "plan_500_nodes_change_ms": round(1000 * change, 1),
    }


def trace_figures() -> dict[str, float]:
    """Packing of the trace, mean of five seeds, beside the references on the same streams."""
    folder = Path(os.environ.get(FOLDER, "data/openb"))
    if not (folder / NODES).is_file() or not (folder / PODS).is_file():
        print(f"left out the GPU trace: {folder} does not have it; name a folder in {FOLDER}")
        return {}
    nodes = tuple(sorted(read_nodes(folder / NODES), key=lambda node: node.name))
    tasks = read_tasks(folder / PODS)
    streams = [arriving(tasks, capacity(nodes), seed, 1.0) for seed in SEEDS]
    return (
        _speed_of_stream(nodes, streams[0])
        | _mean("stream", [judged(nodes, s, streamed(nodes, s)) for s in streams])
        | _mean("batch", [judged(nodes, s, batched(nodes, s)) for s in streams])
        | _mean("fgd", [judged(nodes, s, run(nodes, s, Fgd(nodes, tasks))) for s in streams])
        | _mean("bestfit", [judged(nodes, s, run(nodes, s, BestFit())) for s in streams])
        | _mean("firstfit", [judged(nodes, s, run(nodes, s, FirstFit())) for s in streams])
        | _mean("repaired", [judged(nodes, s, _one_percent(nodes, s)) for s in streams])
    )


def _speed_of_stream(nodes: Sequence[Node], stream: list[Task]) -> dict[str, float]:
    begun = time.perf_counter()
    streamed(nodes, stream)
    return {"openb_tasks_per_s": round(len(stream) / (time.perf_counter() - begun), 1)}


def _one_percent(nodes: Sequence[Node], stream: list[Task]) -> list[Spot]:
    return repaired(nodes, stream, len(stream) // 100)[0]


def _mean(name: str, figures: list[dict[str, float]]) -> dict[str, float]:
    return {
        f"openb_{name}_percent": _average(figures, "gpu_percent"),
        f"openb_{name}_placed": _average(figures, "placed"),
        f"openb_{name}_violations": sum(one["violations"] for one in figures),
    }


def _average(figures: list[dict[str, float]], what: str) -> float:
    return round(sum(one[what] for one in figures) / len(figures), 3)
