"""The engine's core: the best row for one more replica of a class, fast.

A class is everything that replicas have in common. Each keeps one score a node; a placement changes
one node and goes into the ground's log, and a class that is asked again refreshes only the rows
that changed since. Many replicas of one class at once are simulated ahead on the best rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from reconciler.placing.ahead import best_ahead
from reconciler.placing.ground import Bools, Floats, Ground, Ints
from reconciler.placing.trials import NEVER, ORDER, Ask, Choice, Trials, Value
from reconciler.placing.workload import Shape, Workload

# So many rows are scored at once: enough to be quick, few enough to stay in the cache.
AT_ONCE: Final = 1024


class Core:
    """Scores and places."""

    def __init__(self, ground: Ground, mix: Mapping[Shape, float], steep: float = ORDER) -> None:
        self.ground = ground
        self.asks: list[Ask] = []
        self.fill_in_order(steep)
        self.learn(mix)

    def fill_in_order(self, steep: float) -> None:
        """Set how much the first row has over the last. Scores know of it after the next look."""
        many = len(self.ground.nodes)
        self.order = steep * (1.0 - np.arange(many) / max(many, 1))

    def learn(self, mix: Mapping[Shape, float]) -> None:
        """Take a new expected mix; every score is made anew when it is next asked for."""
        self.mix = dict(mix)
        self.look_again()

    def look_again(self) -> None:
        """Weigh the same mix by what the fleet has left now."""
        workload = Workload(self.ground, self.mix)
        self.trials = Trials(self.ground, self.order, workload)
        everywhere = workload.value_of(self.ground.now)
        self._value = Value(*everywhere)
        self._value_seen = len(self.ground.log)
        for ask in self.asks:
            ask.seen = -1

    def add(self, ask: Ask) -> Ask:
        """Get to know a class."""
        self.asks.append(ask)
        return ask

    def best(
        self, ask: Ask, allowed: Bools | None = None, drawn: Floats | None = None
    ) -> Choice | None:
        """Return the best place for one more replica, or None. Equals go to the first name.

        drawn: what draws this one replica to each row, over the score of its class.
        """
        scores = self.scores(ask) if drawn is None else self.scores(ask) + drawn
        if allowed is not None:
            scores = np.where(allowed, scores, NEVER)
        row = int(scores.argmax()) if len(scores) else -1
        if row < 0 or scores[row] == NEVER:
            return None
        return self._choice(ask, row, drawn)

    def on(self, ask: Ask, row: int, drawn: Floats | None = None) -> Choice | None:
        """Return the place for one more replica on this row; None if it has no room."""
        return None if self.scores(ask)[row] == NEVER else self._choice(ask, row, drawn)

    def _choice(self, ask: Ask, row: int, drawn: Floats | None) -> Choice:
        slots = tuple(np.flatnonzero(ask.chosen[row]).tolist())
        files = 0.0 if drawn is None else float(drawn[row])
        return Choice(row, slots, float(ask.scores[row]) + files, files)

    def best_rows(
        self, ask: Ask, count: int, drawn: Floats | None = None
    ) -> list[tuple[int, float]]:
        """Return the best rows with their scores, best first. drawn: as for `best`."""
        scores = self.scores(ask) if drawn is None else self.scores(ask) + drawn
        rows = np.flatnonzero(scores > NEVER)
        if len(rows) > count:
            edge = np.partition(scores[rows], -count)[-count]
            rows = rows[scores[rows] >= edge]
        best = rows[np.lexsort((rows, -scores[rows]))][:count]
        return list(zip(best.tolist(), scores[best].tolist(), strict=True))

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
            trial = self.trials.attempt(ask, self.ground.now.at(some), some, self.value_at(some))
            raw = trial.scores - self.trials.own(ask, some)
            mine = np.flatnonzero((same >= start) & (same < start + len(some)))
            like = same[mine] - start
            ask.scores[rows[mine]] = raw[like] + self.trials.own(ask, rows[mine])
            ask.chosen[rows[mine]] = trial.chosen[like]

    def _score(self, ask: Ask, rows: Ints) -> None:
        """Score some rows anew."""
        rows = rows[ask.allowed[rows]]
        if len(rows):
            trial = self.trials.attempt(ask, self.ground.now.at(rows), rows, self.value_at(rows))
            ask.scores[rows] = trial.scores
            ask.chosen[rows] = trial.chosen

    def value_at(self, rows: Ints) -> Value:
        """Return what rows are worth, having looked again at those that changed."""
        log = self.ground.log
        if self._value_seen < len(log):
            stale = np.unique(np.array(log[self._value_seen :], dtype=np.int64))
            worth, brought = self.trials.workload.value_of(self.ground.now.at(stale))
            self._value.worth[stale], self._value.brought[stale] = worth, brought
            self._value_seen = len(log)
        return self._value.at(rows)

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
        """Place what can be said without looking at any but the best rows."""
        placed = best_ahead(self.trials, ask, self.scores(ask), count, self.value_at)
        self.ground.take_all(ask.amounts, [(c.row, c.slots) for c in placed], self._each_mib(ask))
        return placed

    def _each_mib(self, ask: Ask) -> int | None:
        """What a replica takes of each GPU; None for all there is."""
        return None if ask.shape.alone else int(ask.shape.mib)
