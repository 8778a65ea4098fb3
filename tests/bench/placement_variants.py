"""Fleets and mixes unlike the trace at hand, each made from it by a seeded rule.

`python -m tests.bench.placement_variants [--modes stream,batch] [NAME...]` packs them beside the
references and prints a table: the mean over seeds 42 to 46 of GPU allocation, tasks placed, and
tasks placed that need no GPU.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reconciler.observing.node import Node
from schemas.names import GpuUuid, NodeName
from tests.bench.openb import FOLDER, NODES, PODS, capacity, judged, packing
from tests.bench.placement_trace import WHOLE, Task, arriving, read_nodes, read_tasks

SEEDS = range(42, 47)
MODES = ("stream", "fgd", "bestfit", "firstfit")
FIGURES = ("gpu_percent", "placed", "cpu_only_placed", "violations")


class Trace(NamedTuple):
    """Nodes, and the tasks that are drawn from."""

    nodes: tuple[Node, ...]
    tasks: tuple[Task, ...]


Rule = Callable[[Trace, random.Random], Trace]


def some_name_models(part: float) -> Rule:
    """So much of the GPU tasks names one or two models, the common ones more often."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        models = [gpu.model for node in trace.nodes for gpu in node.gpus]

        def named(task: Task) -> Task:
            chosen = {rng.choice(models) for _ in range(rng.choice((1, 2)))}
            return replace(task, models=tuple(sorted(chosen)))

        return _changed(trace, lambda task: task.gpus > 0 and rng.random() < part, named)

    return rule


def some_name_any_model(part: float) -> Rule:
    """So much of the GPU tasks names one model, the rare ones as often as the common ones."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        models = sorted({gpu.model for node in trace.nodes for gpu in node.gpus})
        return _changed(
            trace,
            lambda task: task.gpus == 1 and rng.random() < part,
            lambda task: replace(task, models=(rng.choice(models),)),
        )

    return rule


def more_want_several(part: float) -> Rule:
    """So much of the one-GPU tasks wants 2, 4 or 8 instead."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        return _changed(
            trace,
            lambda task: task.gpus == 1 and rng.random() < part,
            lambda task: replace(task, gpus=rng.choice((2, 4, 8)), gpu_milli=WHOLE),
        )

    return rule


def more_share(part: float) -> Rule:
    """So much of the one-GPU tasks wants a uniform part of one instead."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        return _changed(
            trace,
            lambda task: task.gpus == 1 and rng.random() < part,
            lambda task: replace(task, gpu_milli=rng.randrange(50, WHOLE, 50)),
        )

    return rule


def demand_of(sort: Callable[[Task], bool], part: float) -> Rule:
    """Tasks of one sort are drawn so often that they ask for this part of the GPUs in all."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        gpu = [task for task in trace.tasks if task.gpus]
        mine = [task for task in gpu if sort(task)]
        others = [task for task in gpu if not sort(task)]
        demand = sum(task.demand for task in gpu)
        drawn = [task for task in trace.tasks if not task.gpus]
        drawn += _drawn(mine, part * demand, rng) + _drawn(others, (1 - part) * demand, rng)
        return Trace(trace.nodes, _numbered(drawn))

    return rule


def plain_times(factor: float) -> Rule:
    """So many times the tasks without GPU."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        plain = [task for task in trace.tasks if not task.gpus]
        drawn = [task for task in trace.tasks if task.gpus]
        drawn += [rng.choice(plain) for _ in range(round(factor * len(plain)))]
        return Trace(trace.nodes, _numbered(drawn))

    return rule


def less_on_nodes(cpu: float, memory: float) -> Rule:
    """Each node has only so much of its CPU and memory."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        del rng
        return Trace(tuple(_scaled(node, cpu, memory) for node in trace.nodes), trace.tasks)

    return rule


def large_nodes(trace: Trace, rng: random.Random) -> Trace:
    """Some nodes of 8 GPUs alone."""
    large = [node for node in trace.nodes if len(node.gpus) == 8]
    return Trace(tuple(rng.sample(large, 120)), trace.tasks)


def small_nodes(trace: Trace, rng: random.Random) -> Trace:
    """Nodes of one or two GPUs: the large ones are cut into pieces."""
    del rng
    pieces = [piece for node in trace.nodes for piece in _cut(node)]
    tasks = tuple(task for task in trace.tasks if task.gpus <= 2)
    return Trace(tuple(pieces), tasks)


def uneven_nodes(trace: Trace, rng: random.Random) -> Trace:
    """A third of the nodes, each with a part of its CPU and memory that differs by node."""
    some = rng.sample(trace.nodes, len(trace.nodes) // 3)
    return Trace(
        tuple(_scaled(node, rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.4)) for node in some),
        trace.tasks,
    )


def all_of(*rules: Rule) -> Rule:
    """One rule after the other."""

    def rule(trace: Trace, rng: random.Random) -> Trace:
        for one in rules:
            trace = one(trace, rng)
        return trace

    return rule


def _shares(task: Task) -> bool:
    return task.gpus == 1 and task.gpu_milli < WHOLE


def _wants_several(task: Task) -> bool:
    return task.gpus > 1


VARIANTS: dict[str, Rule] = {
    "default": all_of(),
    "10 % name models": some_name_models(0.1),
    "33 % name models": some_name_models(0.33),
    "33 % name one of any": some_name_any_model(0.33),
    "30 % want several": more_want_several(0.3),
    "60 % want several": more_want_several(0.6),
    "several ask for 20 %": demand_of(_wants_several, 0.2),
    "several ask for 50 %": demand_of(_wants_several, 0.5),
    "80 % share": more_share(0.8),
    "sharing asks for 60 %": demand_of(_shares, 0.6),
    "sharing asks for all": demand_of(_shares, 1.0),
    "half the plain tasks": plain_times(0.5),
    "four times the plain": plain_times(4.0),
    "little CPU": less_on_nodes(0.7, 1.0),
    "much CPU": less_on_nodes(1.5, 1.5),
    "little memory": less_on_nodes(1.0, 0.4),
    "large nodes": large_nodes,
    "small nodes": small_nodes,
    "uneven nodes": uneven_nodes,
    "several, models, uneven": all_of(more_want_several(0.15), some_name_models(0.2), uneven_nodes),
}


def variant(name: str, trace: Trace) -> Trace:
    """Make one of the variants, always the same."""
    made = VARIANTS[name](trace, random.Random(name))
    nodes = tuple(sorted(made.nodes, key=lambda node: node.name))
    return Trace(nodes, tuple(sorted(made.tasks, key=lambda task: task.name)))


def main(words: list[str]) -> int:
    """Read arguments, pack each variant in each mode, print."""
    parser = argparse.ArgumentParser(prog="placement_variants", description=__doc__)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args(words)
    folder = Path(os.environ.get(FOLDER, "data/openb"))
    if not (folder / NODES).is_file() or not (folder / PODS).is_file():
        print(f"skipped: no trace in {folder}; name a folder in {FOLDER}")
        return 0
    trace = Trace(read_nodes(folder / NODES), read_tasks(folder / PODS))
    for name in asked.names or VARIANTS:
        for mode in asked.modes.split(","):
            gpu, placed, plain, violations = figures(variant(name, trace), mode)
            line = f"{gpu:7.2f} {placed:8.0f} {plain:8.0f} {violations:3.0f}"
            print(f"{name:24} {mode:9} {line}", flush=True)
    return 0


def figures(trace: Trace, mode: str) -> tuple[float, ...]:
    """Return `FIGURES` of one mode, the mean over the seeds."""
    found = []
    for seed in SEEDS:
        stream = arriving(trace.tasks, capacity(trace.nodes), seed, 1.0)
        spots = packing(mode, None, trace.nodes, stream, trace.tasks)[0]
        found.append(judged(trace.nodes, stream, spots))
    return tuple(sum(one[what] for one in found) / len(found) for what in FIGURES)


def _changed(trace: Trace, who: Callable[[Task], bool], how: Callable[[Task], Task]) -> Trace:
    tasks = (how(task) if who(task) else task for task in trace.tasks)
    return Trace(trace.nodes, tuple(tasks))


def _drawn(tasks: Sequence[Task], demand: float, rng: random.Random) -> list[Task]:
    drawn: list[Task] = []
    while demand > 0 and tasks:
        drawn.append(rng.choice(tasks))
        demand -= drawn[-1].demand
    return drawn


def _numbered(tasks: Iterable[Task]) -> tuple[Task, ...]:
    return tuple(replace(task, name=f"task-{place:05}") for place, task in enumerate(tasks))


def _scaled(node: Node, cpu: float, memory: float) -> Node:
    room = replace(
        node.room,
        cpu_milli=round(node.room.cpu_milli * cpu),
        memory_mib=round(node.room.memory_mib * memory),
    )
    return replace(node, room=room)


def _cut(node: Node) -> list[Node]:
    """Cut into pieces of two GPUs, or of one where that is all there is."""
    pieces = max(len(node.gpus) // 2, 1)
    each = _scaled(node, 1 / pieces, 1 / pieces)
    return [
        replace(
            each,
            name=NodeName(f"{node.name}-{piece}"),
            gpus=tuple(
                replace(gpu, uuid=GpuUuid(f"{node.name}-{piece}-{slot:02}"))
                for slot, gpu in enumerate(node.gpus[2 * piece : 2 * piece + 2])
            ),
        )
        for piece in range(pieces)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
