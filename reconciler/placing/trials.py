"""What one more replica of a class would mean for some nodes: does it fit, where, is that good."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from reconciler.placing.ground import Bools, Floats, Ground, Ints, Rows
from reconciler.placing.workload import Shape, Workload
from schemas.resources import Resources, Strategy

# Weights of the terms, in replicas of the mean class that a node loses the room for. A preference
# always wins over packing, and data that stands somewhere over every preference: anywhere else the
# replica would start empty. An image that is there saves a pull and is worth half a replica; files
# of models, which are as large or larger and come from further away, twice that. Filling in a fixed
# order keeps whole nodes free for what needs them: measured to help most near a quarter.
DATA: Final = 1000.0
PREFER: Final = 100.0
PACKING: Final = 10.0
ORDER: Final = 0.25
MODEL: Final = 1.0
IMAGE: Final = 0.5
# What needs no GPU goes where none is, if that costs less than the room for half a replica.
SPARES_GPUS: Final = 0.5
LEVEL: Final = 10.0
# Where nodes are to be levelled, their order only decides between equals.
TIE: Final = 1e-3

NEVER: Final = -np.inf


@dataclass(slots=True, eq=False)
class Ask:
    """One class: its shape, where it may go at all, and what its nodes are worth to it.

    allowed: per row. liked: per row, what preference and image add. scores, chosen: per row, the
    score of one more replica, and the GPUs it would get. seen: how much of the log is in them.
    """

    shape: Shape
    allowed: Bools
    liked: Floats
    strategy: Strategy
    amounts: Resources
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    chosen: Bools = field(default_factory=lambda: np.zeros((0, 0), dtype=np.bool_))
    seen: int = -1


@dataclass(frozen=True, slots=True)
class Choice:
    """One replica more on a row.

    slots: the GPUs it gets there. drawn: of the score, what its own volumes bring.
    """

    row: int
    slots: tuple[int, ...]
    score: float
    drawn: float = 0.0


@dataclass(slots=True)
class Trial:
    """What one more replica of a class would mean for some rows.

    scores: -inf where it does not fit. chosen: the GPUs it would get. worth, brought: of the rows
    then.
    """

    scores: Floats
    chosen: Bools
    worth: Floats
    brought: Floats


@dataclass(slots=True)
class Value:
    """What rows are worth as they stand, and what their GPUs bring to each class of the mix."""

    worth: Floats
    brought: Floats

    def at(self, rows: Ints) -> Value:
        """Copy some of the rows."""
        return Value(self.worth[rows], self.brought[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Tries replicas out on rows of a ground, against the expected mix. Changes nothing.

    order: per row, what speaks for it by its place in the order of names.
    """

    ground: Ground
    order: Floats
    workload: Workload

    def own(self, ask: Ask, rows: Ints) -> Floats:
        """What speaks for a row whatever its state."""
        order = self.order[rows]
        own: Floats = ask.liked[rows] + (order if ask.strategy is Strategy.PACK else order * TIE)
        return own

    def attempt(self, ask: Ask, rows: Rows, index: Ints, value: Value) -> Trial:
        """Say what one more replica would mean for rows in this state."""
        shape = ask.shape
        fits = self._fits(shape, rows)
        usable = usable_gpus(shape, rows)
        if shape.gpus:
            fits &= usable.any(axis=1)
        live = np.flatnonzero(fits)
        trial = Trial(
            np.full(len(index), NEVER),
            np.zeros(rows.whole.shape, dtype=np.bool_),
            value.worth,
            value.brought,
        )
        if not len(live):
            return trial
        part = rows if len(live) == len(index) else rows.at(live)
        before = value if len(live) == len(index) else value.at(live)
        mine, after = self._afterwards(shape, part, before.brought, usable[live])
        trial.scores[live] = self.own(ask, index[live]) + self._strategic(
            ask, part, index[live], before.worth - after.worth
        )
        trial.chosen[live], trial.worth[live], trial.brought[live] = (
            mine,
            after.worth,
            after.brought,
        )
        return trial

    def _fits(self, shape: Shape, rows: Rows) -> Bools:
        """Whether CPU, memory and disk suffice. Nothing needed always fits."""
        need = np.array([shape.cpu, shape.memory, shape.disk])
        fits: Bools = ((rows.free >= need) | (need == 0)).all(axis=1)
        return fits

    def _strategic(self, ask: Ask, rows: Rows, index: Ints, loss: Floats) -> Floats:
        """Pack: the less the fleet loses the better. Spread: the emptier the node the better."""
        if ask.strategy is Strategy.PACK:
            return PACKING - loss
        return LEVEL * self.level(ask, rows, index)

    def level(self, ask: Ask, rows: Rows, index: Ints) -> Floats:
        """How empty the fullest of CPU, memory and GPUs would be left, 0 to 1."""
        need = np.array([ask.shape.cpu, ask.shape.memory])
        left = ((rows.free[:, :2] - need) / np.maximum(self.ground.room[index, :2], 1.0)).min(
            axis=1
        )
        if ask.shape.gpus:
            there = np.maximum((rows.model >= 0).sum(axis=1), 1)
            left = np.minimum(left, rows.whole.sum(axis=1) / there)
        level: Floats = np.clip(left, 0.0, 1.0)
        return level

    def _afterwards(
        self, shape: Shape, rows: Rows, brought: Floats, usable: Bools
    ) -> tuple[Bools, Value]:
        """Return the GPUs that cost the row least, and the row's value with one more on them."""
        load = self.workload
        free = rows.free - np.array([shape.cpu, shape.memory, shape.disk])
        if shape.gpus == 0:
            return usable, Value(load.value(free, brought), brought)
        if shape.gpus == 1 and not shape.alone:
            return self._on_one_shared(shape, rows, free, brought, usable)
        mine = _smallest(usable, rows.gpu_free, shape.gpus)
        lines, slots = np.nonzero(mine)
        lost = self._lost(shape, rows, lines, slots)
        # Each line has exactly as many GPUs as are needed, one after the other.
        left = brought - lost.reshape(len(brought), shape.gpus, -1).sum(axis=1)
        return mine, Value(load.value(free, left), left)

    def _on_one_shared(
        self, shape: Shape, rows: Rows, free: Floats, brought: Floats, usable: Bools
    ) -> tuple[Bools, Value]:
        """Try every GPU that differs, and keep the one that leaves the row worth most."""
        lines, slots = np.nonzero(_distinct(usable, rows))
        left = brought[lines] - self._lost(shape, rows, lines, slots)
        values = self.workload.value(free[lines], left)
        table = np.full(usable.shape, NEVER)
        table[lines, slots] = values
        best = table.argmax(axis=1)
        number = np.zeros(usable.shape, dtype=np.int64)
        number[lines, slots] = np.arange(len(lines))
        every = np.arange(len(best))
        taken = number[every, best]
        mine = np.zeros_like(usable)
        mine[every, best] = True
        return mine, Value(values[taken], left[taken])

    def _lost(self, shape: Shape, rows: Rows, lines: Ints, slots: Ints) -> Floats:
        """How much less each of these GPUs brings with a replica of this shape on it."""
        suits = self.workload.suits[rows.kind[lines, slots]]
        gpu_free = rows.gpu_free[lines, slots]
        now = self.workload.by_gpu(gpu_free, rows.whole[lines, slots], suits)
        if shape.alone:
            return now
        nobody = np.zeros(len(lines), dtype=np.bool_)
        lost: Floats = now - self.workload.by_gpu(gpu_free - shape.mib, nobody, suits)
        return lost


def usable_gpus(shape: Shape, rows: Rows) -> Bools:
    """Which GPUs one replica can use; none on a row that has too few of one model."""
    if not shape.gpus:
        return np.zeros(rows.whole.shape, dtype=np.bool_)
    suits = np.array([*shape.kinds, False])
    usable: Bools = suits[rows.kind] & (rows.gpu_free >= shape.mib)
    if shape.alone:
        usable &= rows.whole
    return usable if shape.gpus == 1 else _of_one_model(usable, rows.model, shape.gpus)


def _distinct(usable: Bools, rows: Rows) -> Bools:
    """Leave out GPUs that are like the one before them: untouched and of one kind and size."""
    alike = usable.copy()
    alike[:, 1:] &= (
        usable[:, :-1]
        & (rows.gpu_free[:, 1:] == rows.gpu_free[:, :-1])
        & (rows.whole[:, 1:] == rows.whole[:, :-1])
        & (rows.kind[:, 1:] == rows.kind[:, :-1])
    )
    alike[:, :1] = False
    return usable & ~alike


def _of_one_model(usable: Bools, model: Ints, count: int) -> Bools:
    """Keep the GPUs of the first model of each node that has enough of them."""
    kept = np.zeros_like(usable)
    undecided = np.ones(len(usable), dtype=np.bool_)
    for code in range(int(model.max(initial=-1)) + 1):
        mine = usable & (model == code)
        enough = undecided & (mine.sum(axis=1) >= count)
        kept[enough] = mine[enough]
        undecided &= ~enough
    return kept


def _smallest(usable: Bools, gpu_free: Floats, count: int) -> Bools:
    """Choose on each row the `count` usable GPUs with the least left, the first of equals."""
    if count == 1:
        best = np.where(usable, gpu_free, np.inf).argmin(axis=1)
        mine = np.zeros_like(usable)
        mine[np.arange(len(best)), best] = True
        return mine & usable
    order = np.argsort(np.where(usable, gpu_free, np.inf), axis=1, kind="stable")
    mine = np.zeros_like(usable)
    np.put_along_axis(mine, order[:, :count], values=True, axis=1)
    return mine & usable
