"""A disk that takes nothing more: what runs goes on, and the heartbeat says why nothing moves."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fleet.memory import MemoryServer
from tests.sim.agent.world import Host, Publisher, compose

CHAT = {"chat-0": {"compose.yaml": compose()}}


def _full(name: str) -> None:
    if name.startswith("before "):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def world(tmp_path: Path) -> tuple[Host, Publisher]:
    server = MemoryServer()
    publisher, host = Publisher(server), Host(server, tmp_path)
    publisher.publish(CHAT)
    host.rest()
    return host, publisher


def test_a_full_disk_is_told_and_stops_nothing(world: tuple[Host, Publisher]) -> None:
    host, publisher = world
    before = host.containers()
    host.script.point = _full

    publisher.publish({"chat-0": {"compose.yaml": compose(image="img:2")}})
    host.step()
    host.now += 1
    host.step()

    assert host.containers() == before
    assert any("No space left" in problem for problem in host.heartbeat().problems)


def test_a_full_disk_takes_no_new_start(world: tuple[Host, Publisher]) -> None:
    host, _ = world
    host.runtime.change(host.containers()["chat-0/web"].id, "exited", 1)
    host.script.point = _full
    host.runtime.calls.clear()

    host.step()

    assert "up" not in host.runtime.calls
    assert "No space left" in host.heartbeat().replicas[0].message


def test_a_full_disk_does_not_keep_a_removal_from_making_room(
    world: tuple[Host, Publisher],
) -> None:
    host, publisher = world
    publisher.publish({})

    def full_for_all_but_the_assignment(name: str) -> None:
        if name != "before accepted.json":
            _full(name)

    host.script.point = full_for_all_but_the_assignment
    host.step()

    assert host.runtime.everything() == ()


def test_all_is_well_again_when_there_is_room(world: tuple[Host, Publisher]) -> None:
    host, publisher = world
    host.script.point = _full
    publisher.publish({"chat-0": {"compose.yaml": compose(image="img:2")}})
    host.pass_time(60)

    host.script.point = lambda _name: None
    host.pass_time(400)

    assert host.containers()["chat-0/web"].image == "img:2"
    assert host.heartbeat().problems == ()
