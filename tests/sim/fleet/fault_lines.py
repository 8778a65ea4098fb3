"""What goes wrong on the lines between programs and the Git server, and in the programs' clones."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

from fleet.memory import Line
from tests.sim.fleet.machine import Machine
from tests.sim.fleet.world import World

Ending: TypeAlias = Callable[[], None] | None


def any_machine(world: World, rng: random.Random) -> Machine:
    """Choose who suffers."""
    deciders = [one for one in world.deciders.values() if not one.stopped]
    # There are many hosts and few reconcilers, and what the few suffer matters to all.
    machines: list[Machine] = [*(deciders if rng.random() < 0.3 else world.hosts.values())]
    return rng.choice(machines)


def _cut(world: World, rng: random.Random, *directions: str) -> Ending:
    machine = any_machine(world, rng)
    for direction in directions:
        setattr(machine.ills, direction, Line.DOWN)

    def mend() -> None:
        machine.ills.fetching = machine.ills.pushing = Line.UP

    return mend


def cut_fetching(world: World, rng: random.Random) -> Ending:
    """Nothing can be fetched; pushes arrive."""
    return _cut(world, rng, "fetching")


def cut_pushing(world: World, rng: random.Random) -> Ending:
    """Nothing can be pushed; fetches work."""
    return _cut(world, rng, "pushing")


def partition(world: World, rng: random.Random) -> Ending:
    """Nothing goes either way."""
    return _cut(world, rng, "fetching", "pushing")


def cut_most_off(world: World, rng: random.Random) -> Ending | bool:
    """Most nodes, or all, cannot push any more, or not even fetch: the fault is in the middle."""
    hosts = list(world.hosts.values())
    if any(host.ills.pushing is Line.DOWN for host in hosts):
        return False
    some = rng.sample(hosts, rng.randint(max(3, -(-len(hosts) * 3 // 5)), len(hosts)))
    directions = rng.choice((("pushing",), ("pushing", "fetching")))
    for host in some:
        for direction in directions:
            setattr(host.ills, direction, Line.DOWN)
    world.fired["most nodes cut off"] += 1

    def mend() -> None:
        for host in some:
            host.ills.fetching = host.ills.pushing = Line.UP

    return mend


def lose_answers(world: World, rng: random.Random) -> Ending:
    """The next pushes arrive, and the answers are lost."""
    any_machine(world, rng).ills.lose += rng.randint(1, 3)
    return None


def refuse_pushes(world: World, rng: random.Random) -> Ending:
    """The server refuses somebody's pushes."""
    name = any_machine(world, rng).name
    world.server.unwilling.add(name)
    return lambda: world.server.unwilling.discard(name)


def dawdle(world: World, rng: random.Random) -> Ending:
    """A process is slow: at any point others may act before it goes on."""
    machine = any_machine(world, rng)
    machine.dawdle, machine.nap = rng.choice((0.02, 0.1, 0.5)), rng.choice((1.0, 15.0, 60.0))

    def hurry() -> None:
        machine.dawdle = 0.0

    return hurry


def corrupt_clone(world: World, rng: random.Random) -> Ending:
    """The clone of a program is damaged."""
    any_machine(world, rng).repository.is_damaged = True
    return None
