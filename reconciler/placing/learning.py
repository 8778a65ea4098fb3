"""Where the mix is not known beforehand: it is learned from what arrives."""

from __future__ import annotations

from typing import Final

from reconciler.placing.core import Core
from reconciler.placing.rehearsing import STEEP, steepness
from reconciler.placing.trials import Ask

# After so many arrivals the mix is known well enough to rehearse with it.
KNOWN: Final = 150


class Learner:
    """Tells a core what to expect."""

    def __init__(self, core: Core) -> None:
        self.core = core
        # What comes is not known yet: whole nodes are kept free for it.
        core.fill_in_order(STEEP)
        core.look_again()
        self.arrived = 0
        self.next_look = 1
        self.rehearsed = False

    def expect(self, ask: Ask) -> None:
        """Learn from one more that was asked for.

        The mix is taken anew when half as much again has come as at the last time, and once it is
        known well enough, it is rehearsed how steeply to fill in order.
        """
        core = self.core
        core.mix[ask.shape] = core.mix.get(ask.shape, 0.0) + 1.0
        self.arrived += 1
        if self.arrived < self.next_look:
            return
        self.next_look = self.arrived * 3 // 2 + 8
        if self.arrived >= KNOWN and not self.rehearsed:
            self.rehearsed = True
            core.fill_in_order(steepness(core.ground, core.asks, core.mix))
        core.learn(core.mix)
