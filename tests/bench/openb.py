"""`make bench-placement`: how well a GPU trace is packed, through the engine itself.

Prints one JSON line. `--mode stream`: tasks arrive in turn and stay where they are put. `batch`:
all are known at once, as a Git repository knows them. `--max-moves`: start from a BestFit packing
and improve it by moving at most so many.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from reconciler.observing.node import Node
from reconciler.placing.asks import Columns, ask_of
from reconciler.placing.core import Core
from reconciler.placing.engine import plan
from reconciler.placing.ground import Ground
from reconciler.placing.learning import Learner
from reconciler.placing.repack import Piece, Repack, fill_within
from reconciler.placing.trials import Ask, Choice
from tests.bench.placement_references import BestFit, Fgd, FirstFit, Policy, Spot, run
from tests.bench.placement_trace import WHOLE, Task, arriving, need_for, read_nodes, read_tasks

NODES, PODS = "openb_node_list_gpu_node.csv", "openb_pod_list_default.csv"
FOLDER = "MIAAS_OPENB"  # where the two files are, unless named


def main(words: list[str]) -> int:
    """Read arguments, pack, print."""
    asked = _arguments(words)
    nodes_path, pods_path = _paths(asked)
    if not nodes_path.is_file() or not pods_path.is_file():
        print(f"skipped: no trace at {nodes_path} and {pods_path}; name it by --nodes and --pods")
        return 0
    nodes, tasks = read_nodes(nodes_path), read_tasks(pods_path)
    nodes = tuple(sorted(nodes, key=lambda node: node.name))
    stream = arriving(tasks, capacity(nodes), asked.seed, asked.arrived)
    begun = time.perf_counter()
    spots, moves = packing(asked.mode, asked.max_moves, nodes, stream, tasks)
    seconds = time.perf_counter() - begun
    figures = judged(nodes, stream, spots)
    figures |= {"moves": moves, "seconds": round(seconds, 3)}
    print(json.dumps(figures | {"tasks_per_s": round(len(stream) / seconds, 1)}, sort_keys=True))
    if asked.out:
        write(asked.out, nodes, stream, spots)
    return 1 if figures["violations"] else 0


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="openb", description=__doc__)
    parser.add_argument("--nodes", type=Path)
    parser.add_argument("--pods", type=Path)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--arrived", type=float, default=1.0)
    modes = ["stream", "batch", "fgd", "bestfit", "firstfit"]
    parser.add_argument("--mode", choices=modes, default="stream")
    parser.add_argument("--max-moves", type=int, default=None)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(words)


def _paths(asked: argparse.Namespace) -> tuple[Path, Path]:
    folder = Path(os.environ.get(FOLDER, "data/openb"))
    return asked.nodes or folder / NODES, asked.pods or folder / PODS


def capacity(nodes: Sequence[Node]) -> int:
    """GPU thousandths of all nodes."""
    return WHOLE * sum(len(node.gpus) for node in nodes)


def packing(
    mode: str,
    max_moves: int | None,
    nodes: Sequence[Node],
    stream: list[Task],
    tasks: Sequence[Task],
) -> tuple[list[Spot], int]:
    """Place the stream in one of the ways; return where each task went, and how many moved."""
    policies: dict[str, Callable[[], Policy]] = {
        "fgd": lambda: Fgd(nodes, tasks),
        "bestfit": BestFit,
        "firstfit": FirstFit,
    }
    if max_moves is not None:
        return repaired(nodes, stream, max_moves)
    if mode == "stream":
        return streamed(nodes, stream), 0
    if mode == "batch":
        return batched(nodes, stream), 0
    return run(nodes, stream, policies[mode]()), 0


def streamed(nodes: Sequence[Node], stream: list[Task]) -> list[Spot]:
    """One after the other through the engine's core, and the mix is learned from what arrives."""
    ground = Ground(nodes)
    columns, core = Columns(ground), Core(ground, {})
    learner = Learner(core)
    classes: dict[Task, Ask] = {}
    spots = []
    for task in stream:
        ask = _class(task, classes, columns, core)
        learner.expect(ask)
        choice = core.best(ask)
        if choice is not None:
            core.put(ask, choice)
        spots.append(_spot(choice))
    return spots


def _class(task: Task, classes: dict[Task, Ask], columns: Columns, core: Core) -> Ask:
    key = replace(task, name="")
    if key not in classes:
        classes[key] = core.add(ask_of(need_for(key, "task"), columns))
    return classes[key]


def batched(nodes: Sequence[Node], stream: list[Task]) -> list[Spot]:
    """All at once through plan(), each task a deployment of its own."""
    names = [f"t{place:06}" for place in range(len(stream))]
    desired = tuple(need_for(task, name) for task, name in zip(stream, names, strict=True))
    made = plan(desired, tuple(nodes), ())
    where = {one.deployment: one for one in made.placements}
    rows = {node.name: row for row, node in enumerate(nodes)}
    spots = []
    for need in desired:
        one = where.get(need.deployment)
        if one is None:
            spots.append(Spot(-1, ()))
        else:
            gpus = tuple(int(share.uuid.rsplit("-", 1)[1]) for share in one.gpus)
            spots.append(Spot(rows[one.node], gpus))
    return spots


def repaired(nodes: Sequence[Node], stream: list[Task], moves: int) -> tuple[list[Spot], int]:
    """From a BestFit packing, let the engine move at most so many to place more."""
    ground = Ground(nodes)
    columns, core = Columns(ground), Core(ground, {})
    classes: dict[Task, Ask] = {}
    pieces = []
    mix: dict[object, float] = {}
    for task, spot in zip(stream, run(nodes, stream, BestFit()), strict=True):
        ask = _class(task, classes, columns, core)
        mix[ask.shape] = mix.get(ask.shape, 0.0) + 1.0
        choice = Choice(spot.node, spot.gpus, 0.0) if spot.node >= 0 else None
        if choice is not None:
            core.put(ask, choice)
        pieces.append(Piece(ask, choice))
    core.learn(mix)  # type: ignore[arg-type]
    waiting = [number for number, one in enumerate(pieces) if one.choice is None]
    moved = fill_within(Repack(core, pieces), waiting, moves)
    return [_spot(piece.choice) for piece in pieces], moved


def _spot(choice: Choice | None) -> Spot:
    return Spot(-1, ()) if choice is None else Spot(choice.row, choice.slots)


def judged(nodes: Sequence[Node], stream: list[Task], spots: list[Spot]) -> dict[str, float]:
    """Count again from the result alone: what was placed, and whether anything is overfull."""
    left = {row: [n.room.cpu_milli, n.room.memory_mib] for row, n in enumerate(nodes)}
    gpus = {row: [WHOLE] * len(node.gpus) for row, node in enumerate(nodes)}
    violations = 0
    for task, spot in zip(stream, spots, strict=True):
        if spot.node < 0:
            continue
        left[spot.node][0] -= task.cpu_milli
        left[spot.node][1] -= task.memory_mib
        for gpu in spot.gpus:
            gpus[spot.node][gpu] -= task.gpu_milli
        model = nodes[spot.node].gpus[0].model if nodes[spot.node].gpus else ""
        violations += len(set(spot.gpus)) != task.gpus
        violations += bool(task.gpus and task.models) and model not in task.models
    violations += sum(min(line) < 0 for line in left.values())
    violations += sum(part < 0 for line in gpus.values() for part in line)
    placed = [task for task, spot in zip(stream, spots, strict=True) if spot.node >= 0]
    allocated = sum(task.demand for task in placed)
    return {
        "gpu_percent": round(100 * allocated / capacity(nodes), 3),
        "placed": len(placed),
        "cpu_only_placed": sum(task.gpus == 0 for task in placed),
        "arrived": len(stream),
        "violations": violations,
    }


def write(path: Path, nodes: Sequence[Node], stream: list[Task], spots: list[Spot]) -> None:
    """Write one line a task: task, node, GPU indices joined by `|`; empty where unplaced."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("task", "node", "gpus"))
        for task, spot in zip(stream, spots, strict=True):
            node = nodes[spot.node].name if spot.node >= 0 else ""
            lines.writerow((task.name, node, "|".join(map(str, spot.gpus))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
