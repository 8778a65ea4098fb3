"""An agent that is killed anywhere leaves nothing that the next one cannot heal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.acts import Up
from fleet.memory import MemoryServer
from schemas.heartbeat import ReplicaState
from schemas.names import ReplicaName
from tests.sim.agent.world import Files, Host, Killed, Killer, Publisher, compose

BEFORE = {
    "chat-0": {"compose.yaml": compose()},
    "gone-0": {"compose.yaml": compose()},
    "same-0": {"compose.yaml": compose()},
}
EXTRA = "    volumes: ['./web.conf:/etc/web.conf:ro']\n"
AFTER = {
    "chat-0": {"compose.yaml": compose(extra=EXTRA), "web.conf": "2"},
    "new-0": {"compose.yaml": compose()},
    "same-0": {"compose.yaml": compose()},
}


def _fleet(disk: Path) -> tuple[Host, Publisher]:
    """A host that runs BEFORE and has been told AFTER."""
    server = MemoryServer()
    publisher, host = Publisher(server), Host(server, disk)
    publisher.publish(BEFORE)
    host.rest()
    publisher.publish(AFTER)
    return host, publisher


def _points(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of all points of an undisturbed pass."""
    host, _ = _fleet(tmp_path_factory.mktemp("undisturbed"))
    host.script.point = killer = Killer(0)
    host.rest()
    return killer.passed


def test_a_kill_at_any_point_is_healed(tmp_path_factory: pytest.TempPathFactory) -> None:
    points = _points(tmp_path_factory)
    assert {"up web", "down web", "pull", "after journal.json", "after accepted.json"} <= set(
        points
    )

    for number, name in enumerate(points, start=1):
        host, _ = _fleet(tmp_path_factory.mktemp("killed"))
        same = {key: one.id for key, one in host.containers().items() if key.startswith("same")}
        host.script.point = Killer(number)
        with pytest.raises(Killed):
            host.rest()

        host.script.point = lambda _name: None
        host.start()
        host.rest()

        _assert_as_assigned(host, AFTER, name)
        assert {
            key: one.id for key, one in host.containers().items() if key.startswith("same")
        } == same, f"killed at {name}: what did not change was touched"


def test_kills_in_a_row_are_healed(tmp_path: Path) -> None:
    host, _ = _fleet(tmp_path)

    for number in range(1, 30):
        host.script.point = Killer(1 + number % 7)
        try:
            host.rest()
        except Killed:
            host.now += 1
            host.start()
    host.script.point = lambda _name: None
    host.start()
    host.pass_time(400)

    _assert_as_assigned(host, AFTER, "many points")


def test_an_up_that_was_killed_is_done_again_though_all_containers_stand(tmp_path: Path) -> None:
    host, _ = _fleet(tmp_path)

    def die_at_the_end(name: str) -> None:
        if name == "before memory.json" and "up" in host.runtime.calls:
            raise Killed

    host.runtime.calls.clear()
    host.script.point = die_at_the_end
    with pytest.raises(Killed):
        host.rest()
    host.script.point = lambda _name: None
    host.start()
    outcome = host.step()

    reasons = {act.replica: act.reason for act in outcome.acts if isinstance(act, Up)}
    assert reasons[ReplicaName("chat-0")] == "the last act on it was interrupted"


def test_a_damaged_state_folder_is_no_reason_to_touch_anything(tmp_path: Path) -> None:
    host, _ = _fleet(tmp_path)
    host.rest()
    before = host.containers()

    for path in tmp_path.glob("*.json"):
        path.write_bytes(b"\x00\xff{")
    host.start()
    host.rest()

    assert host.containers() == before


def _assert_as_assigned(host: Host, replicas: Mapping[str, Files], where: str) -> None:
    expected = {f"{replica}/{service}" for replica in replicas for service in ("web", "worker")}
    assert set(host.containers()) == expected, f"killed at {where}"
    assert {one.state for one in host.containers().values()} == {"running"}
    beat = host.heartbeat()
    assert {str(one.name): one.state for one in beat.replicas} == dict.fromkeys(
        replicas, ReplicaState.RUNNING
    ), f"killed at {where}"
    assert beat.generation == 2
    assert beat.problems == ()
