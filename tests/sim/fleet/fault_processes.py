"""What befalls processes and hosts: they die, hang, start again, or are lost with all they had."""

from __future__ import annotations

import random
from typing import Final

from fleet.memory import Line
from tests.sim.fleet.fault_lines import Ending, any_machine
from tests.sim.fleet.world import World

SECOND: Final = "r1"
# Seconds of silence after which what is fenced goes elsewhere here, see `documents.FENCED`; and for
# how long a slow reconciler may nap in the middle of that.
GIVEN_UP, NAP = 150.0, 30.0


def kill(world: World, rng: random.Random) -> Ending:
    """A process dies between two of its next effects."""
    any_machine(world, rng).kill_in = rng.choice((0, 1, 2, 3, 5, 8, 13, 21))
    return None


def hang(world: World, rng: random.Random) -> Ending:
    """A process stops where it is for minutes, as by SIGSTOP, and goes on as if nothing were."""
    any_machine(world, rng).hang = rng.choice((45.0, 120.0, 300.0))
    return None


def return_while_given_up(world: World, rng: random.Random) -> Ending | bool:
    """A host is back in the moment in which a slow reconciler gives it up, having read before."""
    hosts = [one for one in world.hosts.values() if one.fenced()]
    # One at a time: where many are cut off, nobody is given up.
    if not hosts or any(one.ills.pushing is Line.DOWN for one in world.hosts.values()):
        return False
    ills, slow = rng.choice(hosts).ills, list(world.deciders.values())
    ills.fetching = ills.pushing = Line.DOWN

    def slow_down() -> None:
        for one in slow:
            one.ills.push_seconds = NAP

    def come_back() -> None:
        if any(one.busy for one in slow):
            world.fired["back while given up"] += 1
            ills.fetching = ills.pushing = Line.UP
            world.at(NAP, mend)
        elif slow:
            world.at(1.0, come_back)

    def mend() -> None:
        ills.fetching = ills.pushing = Line.UP
        for one in slow:
            one.ills.push_seconds = 0.0
        slow.clear()

    world.at(GIVEN_UP - 2 * NAP, slow_down)
    world.at(GIVEN_UP + rng.uniform(-NAP, NAP), come_back)
    world.at(GIVEN_UP + 3 * NAP, mend)
    return mend


def hang_agent(world: World, rng: random.Random) -> Ending | bool:
    """An agent stops for so long that its node is given up, and what it started runs on."""
    hosts = list(world.hosts.values())
    # One at a time: they are held up one within the other, and would never come to an end.
    if any(one.hang or one.busy for one in hosts):
        return False
    # Where nothing is fenced that only shows what a slow process shows.
    rng.choice([one for one in hosts if one.fenced()] or hosts).hang = rng.choice((240.0, 500.0))
    return None


def lose_host(world: World, rng: random.Random) -> Ending | bool:
    """A host is lost for ever; in the end a new one stands in its place, with nothing on it."""
    host = rng.choice(list(world.hosts.values()))
    if host.gone:
        return False
    host.burn()
    world.fired["host lost for ever"] += 1

    def replace() -> None:
        host.install()
        world.wake(host, 1.0)
        world.timers[host.name].due = None
        world.wake(world.timers[host.name], 1.0)

    return replace


def reboot(world: World, rng: random.Random) -> Ending | bool:
    """A host starts again."""
    host = rng.choice(list(world.hosts.values()))
    if host.gone:
        return False
    host.reboot()
    host.due = None
    world.wake(host, rng.uniform(5.0, 60.0))
    world.fired["reboot"] += 1
    return None


def reboot_reconciler(world: World, rng: random.Random) -> Ending:
    """The reconciler's host starts again."""
    world.deciders["r0"].reboot()
    world.fired["reboot of the reconciler"] += 1
    del rng
    return None


def second_reconciler(world: World, rng: random.Random) -> Ending | bool:
    """Somebody starts a second reconciler."""
    second = world.deciders[SECOND]
    if not second.stopped or second.busy:
        return False
    second.stopped, second.due = False, None
    world.wake(second, rng.uniform(0.0, 15.0))
    world.fired["second reconciler"] += 1

    def stop() -> None:
        second.doomed = second.busy
        second.stopped = True

    return stop


def jump(world: World, rng: random.Random) -> Ending:
    """Somebody's wall clock is set."""
    world.turn_clock(
        any_machine(world, rng).name, rng.choice((-86400.0, -3600.0, 60.0, 3600.0, 1e7))
    )
    world.fired["clock jump"] += 1
    return None


def fill_disk(world: World, rng: random.Random) -> Ending:
    """The disk under an agent is full."""
    disk = rng.choice(list(world.hosts.values())).disk
    disk.full = True

    def make_room() -> None:
        disk.full = False

    return make_room


def damage_state(world: World, rng: random.Random) -> Ending | bool:
    """An agent dies, and its small files are rubbish when it starts again."""
    host = rng.choice(list(world.hosts.values()))
    if host.busy:
        return False
    host.agent = None
    host.disk.damage()
    world.fired["damaged state"] += 1
    return None


def damage_sightings(world: World, rng: random.Random) -> Ending | bool:
    """A reconciler dies, and what it kept of its sightings is rubbish when it starts again."""
    decider = rng.choice(list(world.deciders.values()))
    if decider.busy or decider.stopped:
        return False
    decider.damage()
    world.fired["damaged sightings"] += 1
    return None
