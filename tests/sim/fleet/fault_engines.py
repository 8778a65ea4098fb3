"""What goes wrong with Docker, the registry and containers."""

from __future__ import annotations

import random

from agent.runtime.port import Container
from fleet.memory import Line
from schemas.layout import project_name
from schemas.names import ReplicaName
from tests.sim.fleet.documents import IMAGES, SERVICES
from tests.sim.fleet.fault_lines import Ending
from tests.sim.fleet.world import World


def stop_docker(world: World, rng: random.Random) -> Ending:
    """An engine does not answer, and its containers run on."""
    script = rng.choice(list(world.hosts.values())).engine.script
    script.down = "cannot connect to the Docker daemon"

    def start() -> None:
        script.down = ""

    return start


def hang_docker(world: World, rng: random.Random) -> Ending:
    """An engine takes every call and answers none."""
    engine = rng.choice(list(world.hosts.values())).engine
    engine.hangs = True

    def go_on() -> None:
        engine.hangs = False

    return go_on


def slow_starts(world: World, rng: random.Random) -> Ending:
    """Starts take up to a minute, as where one service waits for another."""
    script = rng.choice(list(world.hosts.values())).engine.script
    script.start_seconds = rng.choice((20.0, 45.0, 60.0))

    def hurry() -> None:
        script.start_seconds = 0.0

    return hurry


def lose_registry(world: World, rng: random.Random) -> Ending:
    """Images that are not here cannot be had."""
    engine = rng.choice(list(world.hosts.values())).engine
    engine.script.missing_images = set(IMAGES) - engine.present_images
    return engine.script.missing_images.clear


def fail_starts(world: World, rng: random.Random) -> Ending:
    """A service does not start."""
    engine = rng.choice(list(world.hosts.values())).engine
    service = rng.choice(SERVICES)
    engine.script.failing[service] = "could not select device driver"

    def mend() -> None:
        engine.script.failing.pop(service, None)

    return mend


def fail_removals(world: World, rng: random.Random) -> Ending:
    """Nothing can be removed."""
    engine = rng.choice(list(world.hosts.values())).engine
    engine.stuck = True

    def mend() -> None:
        engine.stuck = False

    return mend


def sicken(world: World, rng: random.Random) -> Ending | bool:
    """The health check of a service fails."""
    host = rng.choice(list(world.hosts.values()))
    host.engine.script.unhealthy.add("web")
    world.tell_of_containers(host)
    world.fired["unhealthy service"] += 1
    return lambda: host.engine.script.unhealthy.discard("web")


def harm_container(world: World, rng: random.Random) -> Ending | bool:
    """A container crashes, is killed, stopped, paused or removed by hand."""
    host = rng.choice(list(world.hosts.values()))
    ours = [one for one in host.engine.everything() if one.state == "running"]
    if not ours:
        return False
    harm, code = rng.choice(
        (("exited", 1), ("exited", 137), ("exited", 0), ("paused", None), ("dead", 255), ("", 0))
    )
    victim = rng.choice(ours)
    if harm:
        host.engine.change(victim.id, harm, code)
    else:
        host.engine.vanish(victim.id)
    world.fired[f"container {harm or 'removed'}"] += 1
    world.tell_of_containers(host)
    return None


def fall_while_cut_off(world: World, rng: random.Random) -> Ending | bool:
    """What no two hosts may run falls on a host that is cut off, and would take long to rise."""
    hosts = [one for one in world.hosts.values() if one.ills.pushing is Line.UP and one.fenced()]
    if not hosts:
        return False
    host = rng.choice(hosts)
    host.ills.fetching = host.ills.pushing = Line.DOWN
    host.engine.script.start_seconds = 60.0

    def fall() -> None:
        for one in host.fenced():
            host.engine.change(one.id, "exited", 1)
            world.fired["fenced container fell"] += 1
        world.tell_of_containers(host)

    def mend() -> None:
        host.ills.fetching = host.ills.pushing = Line.UP
        host.engine.script.start_seconds = 0.0

    world.at(rng.uniform(40.0, 95.0), fall)
    return mend


def stop_docker_while_cut_off(world: World, rng: random.Random) -> Ending | bool:
    """What no two hosts may run runs on, on a host that is cut off, without its engine."""
    hosts = [one for one in world.hosts.values() if one.ills.pushing is Line.UP and one.fenced()]
    if not hosts:
        return False
    host, hangs = rng.choice(hosts), rng.random() < 0.5
    victims = [host.engine]
    host.ills.fetching = host.ills.pushing = Line.DOWN

    def stop() -> None:
        for engine in victims:
            engine.hangs = hangs
            engine.script.down = "" if hangs else "cannot connect to the Docker daemon"

    def mend() -> None:
        victims.clear()
        host.ills.fetching = host.ills.pushing = Line.UP
        host.engine.hangs, host.engine.script.down = False, ""

    world.at(rng.uniform(0.0, 95.0), stop)
    return mend


def put_stranger(world: World, rng: random.Random) -> Ending | bool:
    """Somebody puts a container of their own into one of our projects."""
    host = rng.choice(list(world.hosts.values()))
    running = sorted(host.running())
    if not running:
        return False
    replica = ReplicaName(rng.choice(running))
    number = f"foreign-{world.passes}"
    world.fired["foreign container"] += 1
    host.engine.put(
        Container(
            id=number,
            project=rng.choice((project_name(host.node, replica), f"other-{number}")),
            replica=replica,
            deployment=replica.rpartition("-")[0],
            service="stranger",
            image="example.org/stranger:1",
            state="running",
            content_hash="none",
        ),
        host.name,
    )
    world.tell_of_containers(host)
    return None
