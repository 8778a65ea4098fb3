"""The engine's core: the best row for one more replica of a class, fast.

A class is everything that replicas have in common. Each keeps one score a node; a placement changes
one node and goes into the ground's log, and a class that is asked again refreshes only the rows
that changed since. Many replicas of one class at once are simulated ahead on the best rows.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from reconciler.placing.ground import Bools, Floats, Ground, Ints, Rows
from reconciler.placing.workload import Shape, Workload
from schemas.resources import Resources, Strategy

# Weights of the terms, in replicas of the mean class that a node loses the room for. A preference
# always wins over packing; an image that is there saves a pull and is worth half a replica. Filling
# in a fixed order keeps whole nodes free for what needs them: measured to help most near a quarter.
PREFER: Final = 100.0
PACKING: Final = 10.0
ORDER: Final = 0.25
IMAGE: Final = 0.5
# What needs no GPU goes where none is, if that costs less than the room for half a replica.
SPARES_GPUS: Final = 0.5
LEVEL: Final = 10.0
# Where nodes are to be levelled, their order only decides between equals.
TIE: Final = 1e-3

# So many rows are simulated at once when many replicas of a class are placed.
ROWS_AHEAD: Final = 64
# So many rows are scored at once: enough to be quick, few enough to stay in the cache.
AT_ONCE: Final = 1024
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
    """One replica more on a row. slots: the GPUs it gets there."""

    row: int
    slots: tuple[int, ...]
    score: float


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


class Core:
    """Scores and places."""

    def __init__(self, ground: Ground, mix: dict[Shape, float]) -> None:
        self.ground = ground
        self.asks: list[Ask] = []
        many = len(ground.nodes)
        self.order = ORDER * (1.0 - np.arange(many) / max(many, 1))
        self.arrived = 0
        self.next_look = 1
        self.learn(mix)

    def expect(self, ask: Ask) -> None:
        """Learn from one more that was asked for, where the mix is not known beforehand.

        The mix is taken anew when half as much again has come as at the last time.
        """
        self.mix[ask.shape] = self.mix.get(ask.shape, 0.0) + 1.0
        self.arrived += 1
        if self.arrived >= self.next_look:
            self.learn(self.mix)
            self.next_look = self.arrived * 3 // 2 + 8

    def learn(self, mix: dict[Shape, float]) -> None:
        """Take a new expected mix; every score is made anew when it is next asked for."""
        self.mix = dict(mix)
        self.look_again()

    def look_again(self) -> None:
        """Weigh the same mix by what the fleet has left now."""
        self.workload = Workload(self.ground, self.mix)
        everywhere = self.workload.value_of(self.ground.now)
        self._value = Value(*everywhere)
        self._value_seen = len(self.ground.log)
        for ask in self.asks:
            ask.seen = -1

    def add(self, ask: Ask) -> Ask:
        """Get to know a class."""
        self.asks.append(ask)
        return ask

    def best(self, ask: Ask, allowed: Bools | None = None) -> Choice | None:
        """Return the best place for one more replica, or None. Equals go to the first name."""
        scores = self.scores(ask)
        if allowed is not None:
            scores = np.where(allowed, scores, NEVER)
        row = int(scores.argmax()) if len(scores) else -1
        if row < 0 or scores[row] == NEVER:
            return None
        return self._choice(ask, row)

    def on(self, ask: Ask, row: int) -> Choice | None:
        """Return the place for one more replica on this row; None if it has no room."""
        return None if self.scores(ask)[row] == NEVER else self._choice(ask, row)

    def _choice(self, ask: Ask, row: int) -> Choice:
        return Choice(row, tuple(np.flatnonzero(ask.chosen[row]).tolist()), float(ask.scores[row]))

    def best_rows(self, ask: Ask, count: int) -> list[int]:
        """Return the best rows, best first."""
        scores = self.scores(ask)
        rows = np.flatnonzero(scores > NEVER)
        if len(rows) > count:
            edge = np.partition(scores[rows], -count)[-count]
            rows = rows[scores[rows] >= edge]
        best: list[int] = rows[np.lexsort((rows, -scores[rows]))][:count].tolist()
        return best

    def put(self, ask: Ask, choice: Choice) -> None:
        """Count a replica of this class."""
        self.ground.take(choice.row, ask.amounts, choice.slots, self.mib(ask, choice))

    def out(self, ask: Ask, choice: Choice) -> None:
        """Count a replica of this class no more."""
        self.ground.give(choice.row, ask.amounts, choice.slots, self.mib(ask, choice))

    def mib(self, ask: Ask, choice: Choice) -> list[int]:
        """What a replica takes of each of its GPUs: all if alone."""
        gpus = self.ground.gpus[choice.row]
        if ask.shape.alone:
            return [gpus[slot].memory_mib for slot in choice.slots]
        return [int(ask.shape.mib)] * len(choice.slots)

    def scores(self, ask: Ask) -> Floats:
        """Return one score a row, -inf where one more does not fit. Not to be changed."""
        log = self.ground.log
        if ask.seen < 0:
            self._score_all(ask)
        elif ask.seen < len(log):
            self._score(ask, np.unique(np.array(log[ask.seen :], dtype=np.int64)))
        ask.seen = len(log)
        return ask.scores

    def _score_all(self, ask: Ask) -> None:
        """Score every row; rows in the same state are scored once."""
        ask.scores = np.full(len(self.ground.nodes), NEVER)
        ask.chosen = np.zeros(self.ground.now.whole.shape, dtype=np.bool_)
        rows = np.flatnonzero(ask.allowed)
        if not len(rows):
            return
        _, first, same = np.unique(self.ground.state[rows], return_index=True, return_inverse=True)
        same = same.reshape(-1)
        for start in range(0, len(first), AT_ONCE):
            some = rows[first[start : start + AT_ONCE]]
            trial = self.attempt(ask, self.ground.now.at(some), some, self.value_at(some))
            raw = trial.scores - self.own(ask, some)
            mine = np.flatnonzero((same >= start) & (same < start + len(some)))
            like = same[mine] - start
            ask.scores[rows[mine]] = raw[like] + self.own(ask, rows[mine])
            ask.chosen[rows[mine]] = trial.chosen[like]

    def _score(self, ask: Ask, rows: Ints) -> None:
        """Score some rows anew."""
        rows = rows[ask.allowed[rows]]
        if len(rows):
            trial = self.attempt(ask, self.ground.now.at(rows), rows, self.value_at(rows))
            ask.scores[rows] = trial.scores
            ask.chosen[rows] = trial.chosen

    def own(self, ask: Ask, rows: Ints) -> Floats:
        """What speaks for a row whatever its state."""
        order = self.order[rows]
        own: Floats = ask.liked[rows] + (order if ask.strategy is Strategy.PACK else order * TIE)
        return own

    def value_at(self, rows: Ints) -> Value:
        """Return what rows are worth, having looked again at those that changed."""
        log = self.ground.log
        if self._value_seen < len(log):
            stale = np.unique(np.array(log[self._value_seen :], dtype=np.int64))
            worth, brought = self.workload.value_of(self.ground.now.at(stale))
            self._value.worth[stale], self._value.brought[stale] = worth, brought
            self._value_seen = len(log)
        return self._value.at(rows)

    def attempt(self, ask: Ask, rows: Rows, index: Ints, value: Value) -> Trial:
        """Say what one more replica would mean for rows in this state."""
        shape = ask.shape
        fits = self._fits(shape, rows)
        usable = _usable(shape, rows)
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

    def many(self, ask: Ask, count: int) -> list[Choice]:
        """Place up to `count` replicas of one class, one after the other; fewer if room ends.

        The result is that of `best` and `put` in turns, found by simulating the best rows ahead.
        """
        if count == 1:
            choice = self.best(ask)
            if choice is None:
                return []
            self.put(ask, choice)
            return [choice]
        placed: list[Choice] = []
        while len(placed) < count:
            some = self._ahead(ask, count - len(placed))
            if not some:
                break
            placed.extend(some)
        return placed

    def _ahead(self, ask: Ask, count: int) -> list[Choice]:
        """Place what the best rows decide among themselves without looking at the others."""
        rows, bar = _best_rows(self.scores(ask))
        if not len(rows):
            return []
        ahead = _Ahead(self, ask, rows)
        heads = [(-score, row, 0, line) for line, (row, score) in enumerate(ahead.heads())]
        heapq.heapify(heads)
        placed: list[Choice] = []
        while heads and len(placed) < count and (not placed or heads[0][:2] < bar):
            cost, row, step, line = heads[0]
            placed.append(Choice(row, ahead.slots(line, step), -cost))
            if len(placed) == count:
                break
            score = ahead.score(line, step + 1)
            if score == NEVER:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (-score, row, step + 1, line))
        self.ground.take_all(ask.amounts, [(c.row, c.slots) for c in placed], self._each_mib(ask))
        return placed

    def _each_mib(self, ask: Ask) -> int | None:
        """What a replica takes of each GPU; None for all there is."""
        return None if ask.shape.alone else int(ask.shape.mib)


class _Ahead:
    """Some rows, each simulated by itself with one replica of a class after the other.

    Rows in the same state are simulated once; steps are simulated when they are first asked for.
    """

    def __init__(self, core: Core, ask: Ask, rows: Ints) -> None:
        self._core, self._ask, self._rows = core, ask, rows
        ground = core.ground
        _, first, same = np.unique(ground.state[rows], return_index=True, return_inverse=True)
        self._like: list[int] = same.reshape(-1).tolist()
        self._examples = rows[first]
        self._own: list[float] = core.own(ask, rows).tolist()
        self._state = ground.now.at(self._examples)
        self._value = core.value_at(self._examples)
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
        trial = self._core.attempt(self._ask, self._state, self._examples, self._value)
        own = self._core.own(self._ask, self._examples)
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


def _usable(shape: Shape, rows: Rows) -> Bools:
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
