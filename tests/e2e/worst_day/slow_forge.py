"""The Git server of the fleet: it can hold up the pushes of one node."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.forge import Forge

# An agent gives up no earlier, so that what was held up arrives.
PUSH_DELAY_SECONDS = 15.0


@dataclass
class SlowPushes:
    """Holds up the pushes of one node, each for a time of its own."""

    node: str = ""
    rng: random.Random = field(default_factory=lambda: random.Random(8))
    held: list[float] = field(default_factory=list)

    def hold(self, node: str) -> None:
        """Hold up a push of a node that has arrived whole."""
        if node == self.node:
            self.held.append(self.rng.uniform(0.0, PUSH_DELAY_SECONDS))
            threading.Event().wait(self.held[-1])


class WorstForge(Forge):
    """The Git server of the fleet: each node knows it by a path of its own."""

    slow = SlowPushes()

    def body(self) -> bytes:
        found = super().body()
        if self.path.endswith("/git-receive-pack"):
            self.slow.hold(self.path.split("/")[1])
        return found

    def environment(self, path: str, query: str) -> Mapping[str, str]:
        return super().environment(f"/{path.split('/', 2)[2]}", query)
