"""The packings to compare with: FirstFit, BestFit and fragmentation gradient descent (FGD).

Written from the description in "Beware of Fragmentation" (USENIX ATC 2023). FGD places a task where
the GPU memory that a task drawn from the workload could not use grows least. As in the published
experiments its score passes through a sigmoid and is cut to a hundred steps, and equals go to the
first node: without that cut it packs worse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from reconciler.observing.node import Node
from tests.bench.placement_trace import WHOLE, Task

Floats = NDArray[np.float64]
NEVER = -np.inf


class Spot(NamedTuple):
    """Where a task went; node -1 for nowhere."""

    node: int
    gpus: tuple[int, ...]


class State:
    """What is left on each node."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.models = np.array([node.gpus[0].model if node.gpus else "" for node in nodes])
        self.left = np.array([(n.room.cpu_milli, n.room.memory_mib) for n in nodes], dtype=float)
        self.room = self.left.copy()
        most = max(len(node.gpus) for node in nodes)
        self.gpu = np.zeros((len(nodes), most))
        for row, node in enumerate(nodes):
            self.gpu[row, : len(node.gpus)] = WHOLE

    def fits(self, task: Task, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these rows have room."""
        enough = self.left[rows] >= (task.cpu_milli, task.memory_mib)
        able: NDArray[np.bool_] = np.logical_and.reduce(enough, axis=1)
        if task.gpus:
            able &= (self.gpu[rows] >= task.gpu_milli).sum(axis=1) >= task.gpus
            if task.models:
                able &= np.isin(self.models[rows], task.models)
        return able

    def take(self, task: Task, spot: Spot) -> None:
        """Count a task."""
        self.left[spot.node] -= (task.cpu_milli, task.memory_mib)
        self.gpu[spot.node, list(spot.gpus)] -= task.gpu_milli


class Policy(Protocol):
    """Scores nodes, the higher the better, and chooses the part of a GPU."""

    def scores(self, state: State, task: Task, rows: NDArray[np.int64]) -> Floats: ...
    def share(self, state: State, task: Task, row: int) -> int: ...


def run(nodes: Sequence[Node], tasks: Sequence[Task], policy: Policy) -> list[Spot]:
    """Place the tasks in turn. A class keeps its scores; only nodes that changed are looked at."""
    state = State(nodes)
    kept: dict[tuple[object, ...], tuple[Floats, list[int]]] = {}
    log: list[int] = []
    spots = []
    for task in tasks:
        key = (task.cpu_milli, task.memory_mib, task.gpus, task.gpu_milli, task.models)
        if key not in kept:
            kept[key] = (np.full(len(nodes), NEVER), [0])
            rows = np.arange(len(nodes))
        else:
            rows = np.unique(np.array(log[kept[key][1][0] :], dtype=np.int64))
        scores, seen = kept[key]
        seen[0] = len(log)
        _refresh(scores, state, task, rows, policy)
        spots.append(_best(scores, state, task, policy))
        if spots[-1].node >= 0:
            state.take(task, spots[-1])
            log.append(spots[-1].node)
    return spots


def _refresh(
    scores: Floats, state: State, task: Task, rows: NDArray[np.int64], policy: Policy
) -> None:
    if len(rows):
        able = state.fits(task, rows)
        scores[rows] = NEVER
        live = rows[able]
        if len(live):
            scores[live] = policy.scores(state, task, live)


def _best(scores: Floats, state: State, task: Task, policy: Policy) -> Spot:
    row = int(scores.argmax())
    if scores[row] == NEVER:
        return Spot(-1, ())
    if task.gpus == 1 and task.gpu_milli < WHOLE:
        return Spot(row, (policy.share(state, task, row),))
    whole = np.flatnonzero(state.gpu[row] >= WHOLE)
    return Spot(row, tuple(whole[: task.gpus].tolist()))


class FirstFit:
    """The first node, and on it the first GPU, that has room."""

    def scores(self, state: State, task: Task, rows: NDArray[np.int64]) -> Floats:
        del state, task
        return -rows.astype(float)

    def share(self, state: State, task: Task, row: int) -> int:
        return int((state.gpu[row] >= task.gpu_milli).argmax())


class BestFit:
    """The node with the least left over all resources, and on it the fullest GPU that does."""

    def scores(self, state: State, task: Task, rows: NDArray[np.int64]) -> Floats:
        left = state.left[rows] - (task.cpu_milli, task.memory_mib)
        gpu = state.gpu[rows].sum(axis=1) - task.demand
        largest = state.room.max(axis=0)
        score: Floats = -((left / largest).sum(axis=1) + gpu / (state.gpu.shape[1] * WHOLE))
        return score

    def share(self, state: State, task: Task, row: int) -> int:
        gpu = state.gpu[row]
        return int(np.where(gpu >= task.gpu_milli, gpu, np.inf).argmin())


class Fgd:
    """Fragmentation gradient descent against a workload that is known beforehand."""

    STEPS = 100

    def __init__(self, nodes: Sequence[Node], workload: Sequence[Task]) -> None:
        asked = [task for task in workload if task.gpus]
        self.cpus = np.unique([task.cpu_milli for task in asked])
        self.memories = np.unique([task.memory_mib for task in asked])
        self.parts = np.unique([task.gpu_milli for task in asked if task.gpus == 1])
        self.models = {model: place for place, model in enumerate(sorted(_models(nodes)))}
        shape = (len(self.models), len(self.cpus) + 1, len(self.memories) + 1)
        most = max(len(node.gpus) for node in nodes)
        self.single = np.zeros((*shape, len(self.parts) + 1))
        self.several = np.zeros((*shape, most + 1))
        for task, count in Counter(asked).items():
            self._add(task, count / len(workload), most)
        for table in (self.single, self.several):
            for axis in (1, 2, 3):
                np.cumsum(table, axis=axis, out=table)

    def _add(self, task: Task, share: float, most: int) -> None:
        """Count a class of the workload for every model that it allows."""
        at = (self._rank(self.cpus, task.cpu_milli), self._rank(self.memories, task.memory_mib))
        for model, place in self.models.items():
            if task.models and model not in task.models:
                continue
            if task.gpus == 1:
                self.single[(place, *at, self._rank(self.parts, task.gpu_milli))] += share
            elif task.gpus <= most:
                self.several[(place, *at, task.gpus)] += share

    @staticmethod
    def _rank(steps: NDArray[np.int64], values: Floats | float) -> NDArray[np.int64]:
        return np.searchsorted(steps, values, side="right")

    def scores(self, state: State, task: Task, rows: NDArray[np.int64]) -> Floats:
        best: Floats = self._table(state, task, rows).max(axis=1)
        return best

    def share(self, state: State, task: Task, row: int) -> int:
        return int(self._table(state, task, np.array([row]))[0].argmax())

    def _table(self, state: State, task: Task, rows: NDArray[np.int64]) -> Floats:
        """The score of each GPU of each row; of the first alone where there is no choice."""
        left, gpu = state.left[rows], state.gpu[rows]
        model = np.array([self.models.get(one, 0) for one in state.models[rows]])
        before = self._usable(model, left, gpu)
        then = left - (task.cpu_milli, task.memory_mib)
        if task.gpus != 1 or task.gpu_milli >= WHOLE:
            whole = (gpu >= WHOLE) & (np.cumsum(gpu >= WHOLE, axis=1) <= task.gpus)
            after = self._usable(model, then, np.where(whole, 0.0, gpu))
            return self._stepped(after - before + task.demand)[:, None]
        scores = np.full(gpu.shape, NEVER)
        for slot in range(gpu.shape[1]):
            able = gpu[:, slot] >= task.gpu_milli
            if able.any():
                changed = gpu[able]
                changed[:, slot] -= task.gpu_milli
                after = self._usable(model[able], then[able], changed)
                scores[able, slot] = self._stepped(after - before[able] + task.demand)
        return scores

    def _usable(self, model: NDArray[np.int64], left: Floats, gpu: Floats) -> Floats:
        """How much free GPU a task drawn from the workload could use, on the average."""
        cpu, memory = self._rank(self.cpus, left[:, 0]), self._rank(self.memories, left[:, 1])
        one = self.single[
            model[:, None], cpu[:, None], memory[:, None], self._rank(self.parts, gpu)
        ]
        whole = (gpu >= WHOLE).sum(axis=1)
        several = self.several[model, cpu, memory, whole]
        usable: Floats = (gpu * one).sum(axis=1) + whole * WHOLE * several
        return usable

    def _stepped(self, less_fragment: Floats) -> Floats:
        return np.floor(self.STEPS / (1 + np.exp(-less_fragment / WHOLE)))


def _models(nodes: Sequence[Node]) -> set[str]:
    return {gpu.model for node in nodes for gpu in node.gpus}
