"""Everything that goes wrong, one function a fault. Each bites, and is taken back in time.

A fault does its harm and gives what ends it, or None where there is nothing to end. It counts as
fired when it bites: a line that is cut while nobody speaks has shown nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.sim.fleet import fault_engines, fault_lines, fault_papers, fault_processes
from tests.sim.fleet.actor import Actor
from tests.sim.fleet.fault_lines import Ending
from tests.sim.fleet.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `start` gives False where it cannot happen now.

    ends_itself: nobody has to end it before the fleet is healed.
    """

    name: str
    start: Callable[[World, random.Random], Ending | bool]
    ends_itself: bool = False


class Saboteur(Actor):
    """Starts a fault now and then, and ends it later.

    only: the names of the faults that may happen; None: the seed chooses among all.
    """

    def __init__(
        self, world: World, rng: random.Random, only: frozenset[str] | None = None
    ) -> None:
        super().__init__("saboteur")
        self.world, self.rng = world, rng
        self.pause = rng.choice((5.0, 15.0, 40.0))
        # Not every run knows every fault: some only show where others are silent.
        self.kinds = [one for one in FAULTS if rng.random() < 0.6] or list(FAULTS)
        # Dice of their own leave the lives that do not meet them as they were.
        dice = random.Random(world.seed)
        self.kinds += [one for one in NEWER if dice.random() < 0.6]
        if only is not None:
            known = (*FAULTS, *NEWER, *RARE)
            self.kinds, self.pause = [one for one in known if one.name in only], 5.0
        self.is_tired = not self.kinds
        self._active: list[Callable[[], None]] = []

    def step(self) -> float:
        if self.is_tired:
            return 1e9
        fault = self.rng.choice(self.kinds)
        ending = fault.start(self.world, self.rng)
        if ending is not False:
            self.world.trace(f"   fault: {fault.name}")
            self.world.tried[fault.name] += 1
        if callable(ending):
            self._active.append(ending)
        if callable(ending) and not fault.ends_itself:
            self.world.at(self.rng.choice((5.0, 30.0, 120.0, 500.0)), lambda: self._end(ending))
        return self.rng.expovariate(1 / self.pause)

    def died(self) -> float:
        return 1.0

    def heal(self) -> None:
        """End everything and start nothing any more."""
        self.is_tired = True
        for ending in tuple(self._active):
            self._end(ending)

    def _end(self, ending: Callable[[], None]) -> None:
        if ending in self._active:
            self._active.remove(ending)
            ending()


FAULTS: Final = (
    Fault("cut fetching", fault_lines.cut_fetching),
    Fault("cut pushing", fault_lines.cut_pushing),
    Fault("partition", fault_lines.partition),
    Fault("most cut off", fault_lines.cut_most_off),
    Fault("lost answers", fault_lines.lose_answers),
    Fault("refused pushes", fault_lines.refuse_pushes),
    Fault("slow process", fault_lines.dawdle),
    Fault("slow process", fault_lines.dawdle),
    Fault("corrupt clone", fault_lines.corrupt_clone),
    Fault("kill", fault_processes.kill),
    Fault("kill", fault_processes.kill),
    Fault("hang", fault_processes.hang),
    Fault("agent hangs", fault_processes.hang_agent),
    Fault("host lost", fault_processes.lose_host),
    Fault("reboot", fault_processes.reboot),
    Fault("reboot of the reconciler", fault_processes.reboot_reconciler),
    Fault("second reconciler", fault_processes.second_reconciler),
    Fault("clock jump", fault_processes.jump),
    Fault("disk full", fault_processes.fill_disk),
    Fault("damaged state", fault_processes.damage_state),
    Fault("damaged sightings", fault_processes.damage_sightings),
    Fault("docker down", fault_engines.stop_docker),
    Fault("docker hangs", fault_engines.hang_docker),
    Fault("slow starts", fault_engines.slow_starts),
    Fault("registry down", fault_engines.lose_registry),
    Fault("registry down", fault_engines.lose_registry),
    Fault("start fails", fault_engines.fail_starts),
    Fault("start fails", fault_engines.fail_starts),
    Fault("removal fails", fault_engines.fail_removals),
    Fault("removal fails", fault_engines.fail_removals),
    Fault("unhealthy", fault_engines.sicken),
    Fault("harmed container", fault_engines.harm_container),
    Fault("harmed container", fault_engines.harm_container),
    Fault("falls while cut off", fault_engines.fall_while_cut_off),
    Fault("docker ends while cut off", fault_engines.stop_docker_while_cut_off),
    Fault("foreign container", fault_engines.put_stranger),
    Fault("malformed heartbeat", fault_papers.bad_heartbeat),
    Fault("malformed commit", fault_papers.malformed_commit),
    Fault("old heartbeat", fault_papers.old_heartbeat),
    Fault("main rewound", fault_papers.rewind_main),
    Fault("state restored", fault_papers.restore_state),
)

# Those that came later.
NEWER: Final = (
    Fault("back while given up", fault_processes.return_while_given_up, ends_itself=True),
)

# Rare ones, which no life draws: for those who live without a rule.
RARE: Final = (Fault("site restored", fault_papers.restore_site),)

# What has to bite at least once in a whole run of seeds; see also `ACTS` of the person.
BITES: Final = (
    "a break looked at closely",
    "back while given up",
    "clock jump",
    "container dead",
    "container exited",
    "container paused",
    "container removed",
    "corrupt clone",
    "damaged sightings",
    "damaged state",
    "disk full",
    "docker hangs",
    "docker is down",
    "fenced container fell",
    "fetch cut",
    "foreign container",
    "held up agent",
    "held up reconciler",
    "host fenced",
    "host fenced without Docker",
    "host lost for ever",
    "hung agent",
    "hung reconciler",
    "killed agent",
    "killed reconciler",
    "lost answer",
    "main rewound",
    "malformed commit",
    "most nodes cut off",
    "malformed heartbeat",
    "old heartbeat",
    "pull fails",
    "push cut",
    "reboot of the reconciler",
    "reboot",
    "refused push",
    "removal fails",
    "second reconciler",
    "slow push",
    "slow start",
    "start fails",
    "state restored from a backup",
    "unhealthy service",
)
