"""A GPU trace as nodes and needs, and the protocol by which tasks arrive."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from reconciler.observing.node import Gpu, Node
from reconciler.placing.plan import Need
from schemas.names import DeploymentName, GpuUuid, NodeName
from schemas.resources import (
    Expression,
    GpuNeed,
    Operator,
    PlacementRules,
    Resources,
    Sharing,
    Strategy,
)

# The trace gives GPUs in thousandths and no memory: a thousandth stands for one MiB here.
WHOLE = 1000
TIMES_CAPACITY = 1.3


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the trace."""

    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int
    gpu_milli: int
    models: tuple[str, ...]

    @property
    def demand(self) -> int:
        """GPU thousandths in all."""
        return self.gpus * self.gpu_milli


def read_nodes(path: Path) -> tuple[Node, ...]:
    """Read the list of nodes."""
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(_node(line) for line in csv.DictReader(lines))


def _node(line: dict[str, str]) -> Node:
    name = line["sn"]
    return Node(
        name=NodeName(name),
        labels={"gpu": line["model"]},
        room=Resources(cpu_milli=int(line["cpu_milli"]), memory_mib=int(line["memory_mib"])),
        gpus=tuple(
            Gpu(
                uuid=GpuUuid(f"{name}-{index:02}"),
                vendor="any",
                model=line["model"],
                memory_mib=WHOLE,
                free_mib=WHOLE,
            )
            for index in range(int(line["gpu"]))
        ),
    )


def read_tasks(path: Path) -> tuple[Task, ...]:
    """Read the list of tasks, sorted by name."""
    with path.open(encoding="utf-8", newline="") as lines:
        tasks = [_task(line) for line in csv.DictReader(lines)]
    return tuple(sorted(tasks, key=lambda task: task.name))


def _task(line: dict[str, str]) -> Task:
    count = int(line["num_gpu"] or 0)
    return Task(
        name=line["name"],
        cpu_milli=int(line["cpu_milli"]),
        memory_mib=int(line["memory_mib"]),
        gpus=count,
        gpu_milli=0 if not count else WHOLE if count > 1 else int(line["gpu_milli"]),
        models=tuple(filter(None, (line.get("gpu_spec") or "").split("|"))),
    )


def arriving(tasks: tuple[Task, ...], capacity: int, seed: int, part: float) -> list[Task]:
    """Shuffle, draw on until 1.3 times the capacity, and cut where `part` of it has arrived."""
    rng = random.Random(seed)
    stream = list(tasks)
    rng.shuffle(stream)
    demand = sum(task.demand for task in stream)
    while True:
        task = rng.choice(tasks)
        if demand + task.demand > TIMES_CAPACITY * capacity:
            break
        demand += task.demand
        stream.append(task)
    return _prefix(stream, part * capacity)


def _prefix(stream: list[Task], limit: float) -> list[Task]:
    demand = 0
    for place, task in enumerate(stream):
        demand += task.demand
        if demand > limit:
            return stream[:place]
    return stream


def need_for(task: Task, name: str) -> Need:
    """Say a task in the words of the planner."""
    rules = PlacementRules()
    if task.models and task.gpus:
        named = Expression(key="gpu", operator=Operator.IN, values=task.models)
        rules = PlacementRules(require=(named,))
    return Need(
        deployment=DeploymentName(name),
        replicas=1,
        resources=Resources(cpu_milli=task.cpu_milli, memory_mib=task.memory_mib),
        gpus=_gpus(task),
        rules=rules,
        strategy=Strategy.PACK,
    )


def _gpus(task: Task) -> GpuNeed | None:
    if not task.gpus:
        return None
    if task.gpu_milli >= WHOLE:
        return GpuNeed(count=task.gpus)
    return GpuNeed(memory_mib=task.gpu_milli, sharing=Sharing.SHARED)
