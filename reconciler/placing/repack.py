"""Make room by moving others: a chain in which each takes the place of the next, until one fits.

Used for those who do not run yet, which move for nothing, and for rebalancing, where each move of
one that runs is counted. Nobody is ever dropped: a chain is carried out whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from reconciler.placing.core import Core
from reconciler.placing.ground import Bools, Floats, Ints
from reconciler.placing.trials import NEVER, Ask, Choice

# So many who could leave are followed at each link of a chain but the last.
BREADTH: Final = 6
NOWHERE: Final = -1


@dataclass(slots=True)
class Piece:
    """One replica that can be moved, or that is still to be placed (choice None)."""

    ask: Ask
    choice: Choice | None


class Repack:
    """Pieces on the ground of a core."""

    def __init__(self, core: Core, pieces: Iterable[Piece]) -> None:
        self.core = core
        self.pieces = list(pieces)
        self.classes = {id(one.ask): number for number, one in enumerate(self.pieces)}
        asks = [one.ask for one in self.pieces]
        self.kind = np.array([self.classes[id(ask)] for ask in asks], dtype=np.int64)
        shapes = [ask.shape for ask in asks]
        self.need: Floats = np.array([(s.cpu, s.memory, s.disk) for s in shapes]).reshape(-1, 3)
        self.gpus = np.array([shape.gpus for shape in shapes], dtype=np.int64)
        self.alone = np.array([shape.alone for shape in shapes], dtype=np.bool_)
        self.mib = np.array([shape.mib for shape in shapes])
        self.row: Ints = np.full(len(asks), NOWHERE, dtype=np.int64)
        self.slot: Ints = np.zeros(len(asks), dtype=np.int64)
        for number, one in enumerate(self.pieces):
            if one.choice is not None:
                self._note(number, one.choice)

    def place(self, number: int, links: int) -> list[int] | None:
        """Place one piece that is nowhere, moving at most `links` others; say who moved.

        None if that cannot be done; then everything is as it was.
        """
        ask = self.pieces[number].ask
        choice = self.core.best(ask)
        if choice is not None:
            self._put(number, choice)
            return []
        return self._chain(number, links, frozenset({number}))

    def _chain(self, number: int, links: int, busy: frozenset[int]) -> list[int] | None:
        """Take the place of another, who goes elsewhere."""
        if links == 0:
            return None
        ask = self.pieces[number].ask
        able = self._who_could_leave(ask, busy)
        easy = self._easiest(able)
        if easy is not None and self._exchange(number, easy) is not None:
            return [easy]
        if links == 1:
            return None
        for other in self._promising(able, ask):
            before = self._replace(number, other)
            if before is None:
                continue
            moved = self._chain(other, links - 1, busy | {other})
            if moved is not None:
                return [other, *moved]
            self._take_back(number, other, before)
        return None

    def _exchange(self, number: int, other: int) -> Choice | None:
        """Put one where the other is, and the other where it fits best."""
        before = self._replace(number, other)
        if before is None:
            return None
        choice = self.core.best(self.pieces[other].ask)
        if choice is None:
            self._take_back(number, other, before)
            return None
        self._put(other, choice)
        return choice

    def _replace(self, number: int, other: int) -> Choice | None:
        """Put one where the other is, who is nowhere then. Returns the place; None if no use."""
        before = self.pieces[other].choice
        if before is None:
            return None
        self._out(other)
        choice = self.core.on(self.pieces[number].ask, before.row)
        if choice is None:
            self._put(other, before)
            return None
        self._put(number, choice)
        return before

    def _take_back(self, number: int, other: int, before: Choice) -> None:
        self._out(number)
        self._put(other, before)

    def _who_could_leave(self, ask: Ask, busy: frozenset[int]) -> Ints:
        """Whose leaving would make room for one more of this class on its row."""
        shape, now = ask.shape, self.core.ground.now
        able = (self.row != NOWHERE) & ask.allowed[self.row]
        if busy:
            able[list(busy)] = False
        need = np.array([shape.cpu, shape.memory, shape.disk])
        left = now.free[self.row] + self.need
        able &= ((left >= need) | (need == 0)).all(axis=1)
        if shape.gpus:
            able &= self._gpu_after(ask)
        return np.flatnonzero(able)

    def _gpu_after(self, ask: Ask) -> Bools:
        """Whether the GPUs of its row would do for one more of this class if each piece left."""
        shape, ground = ask.shape, self.core.ground
        now = ground.now
        if not ground.kinds:
            return np.zeros(len(self.row), dtype=np.bool_)
        suits = np.array([*shape.kinds, False])[now.kind]
        usable = suits & (now.gpu_free >= shape.mib)
        if shape.alone:
            usable &= now.whole
        enough = usable.sum(axis=1)
        freed = np.where(self.alone, ground.all_mib[self.row, self.slot], self.mib)
        then = now.gpu_free[self.row, self.slot] + freed >= shape.mib
        helps = (self.gpus > 0) & suits[self.row, self.slot] & then
        if shape.alone:
            helps &= ground.holders[self.row, self.slot] == 1
        had = usable[self.row, self.slot]
        more = np.where(helps & ~had, np.maximum(self.gpus, 1), 0)
        after: Bools = enough[self.row] + more >= shape.gpus
        return after

    def _easiest(self, able: Ints) -> int | None:
        """Of those that fit elsewhere as things stand, the one whose new place is best."""
        if not len(able):
            return None
        value = np.full(len(able), NEVER)
        for kind in np.unique(self.kind[able]).tolist():
            mine = self.kind[able] == kind
            scores = self.core.scores(self.pieces[kind].ask)
            first = int(scores.argmax())
            best = float(scores[first])
            if best == NEVER:
                continue
            rows = self.row[able[mine]]
            value[mine] = np.where(rows == first, self._second(scores, first), best)
        place = int(value.argmax())
        return None if value[place] == NEVER else int(able[place])

    def _second(self, scores: Floats, first: int) -> float:
        return max(
            float(scores[:first].max(initial=NEVER)), float(scores[first + 1 :].max(initial=NEVER))
        )

    def _promising(self, able: Ints, ask: Ask) -> list[int]:
        """The few to follow further: the smallest, one of each class and row."""
        size = self.gpus[able] * np.where(self.alone[able], 1e6, self.mib[able])
        order = able[np.lexsort((able, self.need[able, 0], size))]
        seen: set[int] = set()
        chosen: list[int] = []
        for number in order.tolist():
            kind = int(self.kind[number])
            if kind not in seen and self.pieces[number].ask is not ask:
                seen.add(kind)
                chosen.append(number)
            if len(chosen) == BREADTH:
                break
        return chosen

    def _put(self, number: int, choice: Choice) -> None:
        piece = self.pieces[number]
        self.core.put(piece.ask, choice)
        piece.choice = choice
        self._note(number, choice)

    def _out(self, number: int) -> None:
        piece = self.pieces[number]
        if piece.choice is not None:
            self.core.out(piece.ask, piece.choice)
        piece.choice = None
        self.row[number] = NOWHERE

    def _note(self, number: int, choice: Choice) -> None:
        self.row[number] = choice.row
        self.slot[number] = choice.slots[0] if choice.slots else 0


def fill(repack: Repack, waiting: list[int], links: int) -> list[int]:
    """Place whoever can be, the largest first; return who moved for it.

    A class that found no way is not asked again until something has changed.
    """
    order = sorted(waiting, key=lambda n: (-_size(repack.pieces[n].ask), n))
    moved: list[int] = []
    again = True
    while again:
        again, stuck = False, set[int]()
        left = []
        for number in order:
            kind = int(repack.kind[number])
            found = None if kind in stuck else repack.place(number, links)
            if found is None:
                stuck.add(kind)
                left.append(number)
            else:
                moved.extend(found)
                again = True
        order = left
    return moved


def _size(ask: Ask) -> float:
    shape = ask.shape
    return shape.gpus * (1e9 if shape.alone else shape.mib) + shape.cpu * 1e-6


def fill_within(repack: Repack, waiting: list[int], moves: int) -> int:
    """Place whoever can be with at most so many moves in all, most GPU for each move first.

    Returns how many moved.
    """
    left = moves
    order = sorted(waiting, key=lambda n: (-_size(repack.pieces[n].ask), n))
    for links in (1, 2, 3):
        again = True
        while again and left > 0:
            again, stuck, rest = False, set[int](), []
            for number in order:
                kind = int(repack.kind[number])
                allowed = min(links, left)
                found = None if kind in stuck else repack.place(number, allowed)
                if found is None:
                    stuck.add(kind)
                    rest.append(number)
                else:
                    left -= len(found)
                    again = True
            order = rest
    return moves - left
