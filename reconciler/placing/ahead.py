"""Many replicas of one class at once: the best rows are simulated ahead, each by itself."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

import numpy as np

from reconciler.placing.ground import Bools, Floats, Ints, Rows
from reconciler.placing.trials import NEVER, Ask, Choice, Trial, Trials, Value
from reconciler.placing.workload import Shape
from schemas.resources import Resources

# So many rows are simulated at once when many replicas of a class are placed.
ROWS_AHEAD: Final = 64


def best_ahead(
    trials: Trials, ask: Ask, scores: Floats, count: int, value_at: Callable[[Ints], Value]
) -> list[Choice]:
    """Choose what the best rows decide among themselves without looking at the others.

    scores: of one more replica, per row. value_at: says what rows are worth. Counts nothing.
    """
    rows, bar = _best_rows(scores)
    if not len(rows):
        return []
    ahead = _Ahead(trials, ask, rows, value_at)
    heads = [(-score, row, 0, line) for line, (row, score) in enumerate(ahead.heads())]
    heapq.heapify(heads)
    chosen: list[Choice] = []
    while heads and len(chosen) < count and (not chosen or heads[0][:2] < bar):
        cost, row, step, line = heads[0]
        chosen.append(Choice(row, ahead.slots(line, step), -cost))
        if len(chosen) == count:
            break
        score = ahead.score(line, step + 1)
        if score == NEVER:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (-score, row, step + 1, line))
    return chosen


class _Ahead:
    """Some rows, each simulated by itself with one replica of a class after the other.

    Rows in the same state are simulated once; steps are simulated when they are first asked for.
    """

    def __init__(
        self, trials: Trials, ask: Ask, rows: Ints, value_at: Callable[[Ints], Value]
    ) -> None:
        self._trials, self._ask, self._rows = trials, ask, rows
        ground = trials.ground
        _, first, same = np.unique(ground.state[rows], return_index=True, return_inverse=True)
        self._like: list[int] = same.reshape(-1).tolist()
        self._examples = rows[first]
        self._own: list[float] = trials.own(ask, rows).tolist()
        self._state = ground.now.at(self._examples)
        self._value = value_at(self._examples)
        self._scores: list[list[float]] = []
        self._slots: list[list[tuple[int, ...]]] = []
        self._step()

    def heads(self) -> list[tuple[int, float]]:
        """Return each row with the score of its first replica."""
        return [(row, self.score(line, 0)) for line, row in enumerate(self._rows.tolist())]

    def score(self, line: int, step: int) -> float:
        """The score of one more replica on this line after `step` others; -inf if it is full."""
        while len(self._scores) <= step:
            self._step()
        return self._scores[step][self._like[line]] + self._own[line]

    def slots(self, line: int, step: int) -> tuple[int, ...]:
        """The GPUs of the replica number `step` on this line."""
        return self._slots[step][self._like[line]]

    def _step(self) -> None:
        """Put one replica more on every row."""
        trial = self._trials.attempt(self._ask, self._state, self._examples, self._value)
        own = self._trials.own(self._ask, self._examples)
        self._scores.append((trial.scores - own).tolist())
        self._slots.append(_slots_of(trial.chosen, self._ask.shape.gpus))
        _apply(self._ask.shape, self._state, trial, self._ask.amounts)
        self._value = Value(trial.worth, trial.brought)


def _slots_of(chosen: Bools, count: int) -> list[tuple[int, ...]]:
    """List the chosen GPUs of each row, of which there are `count` or none."""
    slots: list[tuple[int, ...]] = [()] * len(chosen)
    if count:
        lines, columns = np.nonzero(chosen)
        each = columns.reshape(-1, count).tolist()
        for line, some in zip(lines[::count].tolist(), each, strict=True):
            slots[line] = tuple(some)
    return slots


def _apply(shape: Shape, rows: Rows, trial: Trial, amounts: Resources) -> None:
    """Count one replica on every row where it fits."""
    fits = trial.scores > NEVER
    need = np.array([amounts.cpu_milli, amounts.memory_mib, amounts.disk_mib], dtype=np.float64)
    rows.free[fits] -= need
    taken = trial.chosen & fits[:, None]
    rows.whole &= ~taken
    rows.gpu_free[taken] -= np.inf if shape.alone else shape.mib


def _best_rows(scores: Floats) -> tuple[Ints, tuple[float, int]]:
    """Return the rows to look at, and the key (cost, row) that the best of the others has."""
    if len(scores) <= ROWS_AHEAD:
        return np.flatnonzero(scores > NEVER), (np.inf, len(scores))
    edge = np.partition(scores, -ROWS_AHEAD - 1)[-ROWS_AHEAD - 1]
    rows = np.flatnonzero((scores >= edge) & (scores > NEVER))
    if len(rows) <= ROWS_AHEAD:
        return rows, (np.inf, len(scores))
    rows = rows[np.lexsort((rows, -scores[rows]))]
    return rows[:ROWS_AHEAD], (-float(scores[rows[ROWS_AHEAD]]), int(rows[ROWS_AHEAD]))
