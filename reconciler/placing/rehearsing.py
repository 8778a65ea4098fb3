"""How steeply to fill nodes in order: tried out on a part of the fleet with the mix seen so far.

To fill node after node keeps whole nodes free for whoever comes, whatever that is. To fill where
least is lost pairs those that need much CPU with those that need little. Which of them places more
depends on fleet and mix in a way that no formula here foresaw, so both are rehearsed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from reconciler.placing.core import Core
from reconciler.placing.ground import Ground, Ints
from reconciler.placing.trials import ORDER, Ask
from reconciler.placing.workload import Shape

# The two weights of the order that are rehearsed: none, and one that matters.
LOOSE: Final = 0.0
STEEP: Final = 1.0
# A rehearsal takes about so many nodes, and no more than a quarter of them: it must stay cheap.
STAGE: Final = 120
PART: Final = 4
# On fewer nodes than this chance says more than merit.
LEAST: Final = 20
# Runs on so few nodes differ by chance by up to a percent. Where no more is between the two, to
# fill in order serves better those whom the rehearsal did not foresee.
BETTER: Final = 0.015


def steepness(ground: Ground, asks: list[Ask], mix: Mapping[Shape, float]) -> float:
    """Return the weight of the order under which more GPU is placed. Changes nothing.

    The usual one where that cannot be said: on a small fleet, or where nobody asks for GPUs.
    """
    step = max(len(ground.nodes) // STAGE, PART)
    stage = _Stage(ground, asks, mix, np.arange(0, len(ground.nodes), step))
    if len(stage.nodes) < LEAST or not stage.arrivals:
        return ORDER
    return LOOSE if stage.placed(LOOSE) > stage.placed(STEEP) * (1 + BETTER) else STEEP


class _Stage:
    """Some nodes, empty, and arrivals drawn from the mix until all their GPUs are asked for.

    The draw is the same every time.
    """

    def __init__(
        self, ground: Ground, asks: list[Ask], mix: Mapping[Shape, float], rows: Ints
    ) -> None:
        self.nodes = [ground.nodes[row] for row in rows.tolist()]
        sample = Ground(self.nodes)
        codes = [ground.kinds.index(kind) for kind in sample.kinds]
        wanted = [ask for ask in asks if mix.get(ask.shape)]
        self.parts = [_part(ask, rows, codes) for ask in wanted]
        self.sizes = [ask.shape.gpus * _share(ask.shape, sample) for ask in wanted]
        self.mix: dict[Shape, float] = {}
        for ask, part in zip(wanted, self.parts, strict=True):
            self.mix[part.shape] = self.mix.get(part.shape, 0.0) + mix[ask.shape]
        self.arrivals = self._arrivals([mix[ask.shape] for ask in wanted], sample)

    def _arrivals(self, weights: list[float], sample: Ground) -> list[int]:
        rng = random.Random(0)  # noqa: S311 (a fixed sequence: the same answer every time)
        capacity = float(sample.now.whole.sum())
        if not any(w * s for w, s in zip(weights, self.sizes, strict=True)):
            return []
        arrivals: list[int] = []
        while capacity > 0:
            arrivals += rng.choices(range(len(weights)), weights)
            capacity -= self.sizes[arrivals[-1]]
        return arrivals

    def placed(self, steep: float) -> float:
        """How much GPU is placed with this weight."""
        core = Core(Ground(self.nodes), self.mix, steep)
        asks = [core.add(replace(part)) for part in self.parts]
        placed, look = 0.0, len(self.arrivals) // 3 + 1
        for count, number in enumerate(self.arrivals):
            if count % look == look - 1:
                core.look_again()
            choice = core.best(asks[number])
            if choice is not None:
                core.put(asks[number], choice)
                placed += self.sizes[number]
        return placed


def _part(ask: Ask, rows: Ints, codes: list[int]) -> Ask:
    """The class as it is on these rows, whose kinds of GPU have these numbers in the fleet."""
    kinds = tuple(ask.shape.kinds[code] for code in codes) if ask.shape.gpus else ()
    return Ask(
        replace(ask.shape, kinds=kinds),
        ask.allowed[rows],
        ask.liked[rows],
        ask.strategy,
        ask.amounts,
    )


def _share(shape: Shape, ground: Ground) -> float:
    """The part of a GPU of the mean size that is taken of each."""
    if shape.alone:
        return 1.0
    sizes = ground.all_mib[ground.all_mib > 0]
    return shape.mib / float(sizes.mean()) if len(sizes) else 0.0
