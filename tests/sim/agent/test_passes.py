"""Passes of an agent over a whole host in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.acts import Down, Pull, Up
from fleet.memory import MemoryServer
from schemas.assignment import dump_assignment
from schemas.heartbeat import ReplicaState
from schemas.layout import ASSIGNMENT_FILE
from tests.builders import an_assignment
from tests.sim.agent.world import Host, Publisher, compose

CHAT = {"chat-0": {"compose.yaml": compose()}}
GPUS_BY_VARIABLE = "NVIDIA_VISIBLE_DEVICES=all\n"


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def publisher(server: MemoryServer) -> Publisher:
    return Publisher(server)


@pytest.fixture
def host(server: MemoryServer, tmp_path: Path) -> Host:
    return Host(server, tmp_path)


def test_an_agent_that_was_never_assigned_anything_only_speaks(host: Host) -> None:
    outcome = host.rest()

    assert outcome.problems == ()
    assert host.repository.pushes == 1
    assert host.heartbeat().observed is None
    assert host.heartbeat().replicas == ()


def test_runs_what_is_assigned_and_reports_it(host: Host, publisher: Publisher) -> None:
    commit = publisher.publish(CHAT)

    outcome = host.rest()

    assert {name: one.state for name, one in host.containers().items()} == {
        "chat-0/web": "running",
        "chat-0/worker": "running",
    }
    assert [type(act) for act in outcome.acts] == [Pull, Up]
    beat = host.heartbeat()
    assert (beat.observed, beat.generation) == (commit, 1)
    assert [(one.name, one.state) for one in beat.replicas] == [("chat-0", ReplicaState.RUNNING)]


def test_a_pass_without_a_change_calls_no_compose_and_pushes_nothing(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT)
    host.rest()
    host.runtime.calls.clear()
    pushes = host.repository.pushes

    for _ in range(3):
        host.now += 1
        assert host.step().settled

    assert set(host.runtime.calls) == {"containers"}
    assert host.repository.pushes == pushes


def test_a_restarted_agent_takes_over_what_runs(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()
    host.runtime.calls.clear()

    host.start()
    host.rest()

    assert host.containers() == before
    assert "up" not in host.runtime.calls


def test_an_agent_that_lost_its_memory_recreates_nothing(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()
    for path in host.disk.glob("*.json"):
        path.unlink()

    host.start()
    host.rest()

    assert host.containers() == before
    assert host.heartbeat().replicas[0].state is ReplicaState.RUNNING


def test_a_keep_alive_is_sent_though_nothing_changes(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT, heartbeat_seconds=30)
    host.rest()
    pushes = host.repository.pushes

    host.pass_time(600)

    assert 20 <= host.repository.pushes - pushes <= 23
    assert host.heartbeat().sequence > 1


def test_only_the_service_whose_file_changed_is_made_anew(host: Host, publisher: Publisher) -> None:
    bind = "    volumes: ['./{}:/etc/{}:ro']\n"
    text = f"""\
services:
  one:
    image: img:1
{bind.format("one.conf", "one")}  two:
    image: img:1
{bind.format("conf", "two")}  three:
    image: img:1
    configs: [c]
  four:
    image: img:1
    secrets: [s]
  five:
    image: img:1
    env_file: ./five.env
configs: {{c: {{file: ./c.txt}}}}
secrets: {{s: {{file: ./s.txt}}}}
"""
    text = text.replace("    image: img:1\n", "    image: img:1\n    restart: always\n")
    files = {
        "compose.yaml": text,
        "one.conf": "1",
        "conf/a": "1",
        "conf/b": "1",
        "c.txt": "1",
        "s.txt": "1",
        "five.env": "A=1",
    }
    publisher.publish({"chat-0": files})
    host.rest()

    for path, service in (
        ("one.conf", "one"),
        ("conf/b", "two"),
        ("c.txt", "three"),
        ("s.txt", "four"),
        ("five.env", "five"),
    ):
        before = host.containers()
        files[path] = "A=2"
        publisher.publish({"chat-0": files})
        outcome = host.rest()
        after = host.containers()

        changed = {name for name in after if after[name].id != before[name].id}
        assert changed == {f"chat-0/{service}"}
        assert {act.reason for act in outcome.acts} == {f"content of service {service} changed"}


def test_a_file_that_no_service_uses_changes_nothing_but_the_report(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish({"chat-0": {"compose.yaml": compose(), "README": "1"}})
    host.rest()
    host.runtime.calls.clear()

    commit = publisher.publish({"chat-0": {"compose.yaml": compose(), "README": "2"}})
    outcome = host.rest()

    assert outcome.acts == ()
    assert "up" not in host.runtime.calls
    assert host.heartbeat().observed == commit
    accepted = host.agent.notebook.accepted
    assert accepted is not None
    assert {host.heartbeat().replicas[0].observed} == set(accepted.trees.values())


def test_what_is_mounted_stands_where_it_stood_over_an_unrelated_commit(
    host: Host, publisher: Publisher
) -> None:
    extra = "    volumes: ['./web.conf:/etc/web.conf:ro']\n"
    files = {"compose.yaml": compose(extra=extra), "web.conf": "1", "other": "1"}
    publisher.publish({"chat-0": files})
    host.rest()
    before = {path.relative_to(host.disk) for path in host.disk.rglob("web.conf")}

    publisher.publish({"chat-0": {**files, "other": "2"}})
    host.rest()
    after = {path.relative_to(host.disk) for path in host.disk.rglob("web.conf")}

    stored = {path for path in before & after if "store" in path.parts}
    assert len(stored) == 1
    assert len(after) == 2, "the old tree is gone, the new one and the stored file are left"


def test_the_last_replica_goes_with_its_network_and_its_files(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT)
    host.rest()

    commit = publisher.publish({})
    outcome = host.rest()

    assert [type(act) for act in outcome.acts] == [Down]
    assert host.runtime.everything() == ()
    assert host.runtime.networks == set()
    assert host.heartbeat().observed == commit
    assert host.heartbeat().replicas == ()
    assert list((host.disk / "replicas").iterdir()) == []


def test_a_replica_whose_containers_were_removed_by_hand_still_loses_its_network(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT)
    host.rest()
    for container in host.runtime.everything():
        host.runtime.remove(container.id)

    publisher.publish({})
    host.rest()

    assert host.runtime.networks == set()


@pytest.mark.parametrize("state", ["exited", "paused", "dead", "created"])
def test_heals_a_container_that_someone_changed(
    host: Host, publisher: Publisher, state: str
) -> None:
    publisher.publish(CHAT)
    host.rest()
    host.runtime.change(host.containers()["chat-0/web"].id, state, 137)

    host.rest()

    assert host.containers()["chat-0/web"].state == "running"


def test_a_container_that_keeps_ending_is_not_started_in_a_tight_loop(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT)
    host.rest()
    host.runtime.calls.clear()

    for _ in range(120):
        host.runtime.change(host.containers()["chat-0/web"].id, "exited", 1)
        host.step()
        host.now += 5

    assert host.runtime.calls.count("up") in range(5, 15)
    assert host.repository.pushes < 60


def test_a_failing_pull_leaves_the_old_version_serving(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()
    host.script.missing_images.add("img:2")

    publisher.publish({"chat-0": {"compose.yaml": compose(image="img:2")}})
    host.step()

    assert host.containers() == before
    (report,) = host.heartbeat().replicas
    assert report.state is ReplicaState.FAILED
    assert "manifest for img:2 not found" in report.message
    assert host.heartbeat().generation == 1, "what is not reached is not reported as reached"


def test_a_failure_is_tried_again_later_and_heals(host: Host, publisher: Publisher) -> None:
    host.script.missing_images.add("img:1")
    publisher.publish(CHAT)
    host.pass_time(1200)
    assert host.runtime.everything() == ()
    assert host.runtime.calls.count("pull") in range(5, 12)

    host.script.missing_images.clear()
    host.pass_time(400)

    assert host.heartbeat().replicas[0].state is ReplicaState.RUNNING


def test_a_new_assignment_is_tried_at_once_though_the_old_one_failed(
    host: Host, publisher: Publisher
) -> None:
    host.script.missing_images.add("img:1")
    publisher.publish({"chat-0": {"compose.yaml": "services: {web: {image: 'img:1'}}\n"}})
    host.step()

    publisher.publish({"chat-0": {"compose.yaml": "services: {web: {image: 'img:2'}}\n"}})
    host.step()

    assert host.containers()["chat-0/web"].image == "img:2"


def test_one_bad_replica_never_stops_the_others(host: Host, publisher: Publisher) -> None:
    publisher.publish(
        {
            "bad-0": {"compose.yaml": "services: {web: {image: i, privileged: true}}\n"},
            "chat-0": CHAT["chat-0"],
            "worse-0": {"compose.yaml": "services: {web: {image: missing}}\n"},
        }
    )
    host.script.missing_images.add("missing")

    host.step()

    states = {str(one.name): (one.state, one.message) for one in host.heartbeat().replicas}
    assert states["chat-0"][0] is ReplicaState.RUNNING
    assert states["bad-0"][0] is ReplicaState.FAILED
    assert "refused by this host" in states["bad-0"][1]
    assert states["worse-0"][0] is ReplicaState.FAILED


def test_what_was_not_given_is_not_taken_whoever_wrote_the_file(
    host: Host, publisher: Publisher
) -> None:
    taking = {"compose.yaml": compose(extra="    ports: ['8080:80']\n")}
    by_file = {"compose.yaml": compose(extra="    env_file: a\n"), "a": GPUS_BY_VARIABLE}
    publisher.publish(
        {"a-0": taking, "b-0": taking, "c-0": by_file}, given={"a-0": {"ports": {"http": 8080}}}
    )

    host.step()

    states = {str(one.name): (one.state, one.message) for one in host.heartbeat().replicas}
    assert states["a-0"][0] is ReplicaState.RUNNING
    assert "refused by this host: compose.yaml:5:13: the host port 8080" in states["b-0"][1]
    assert "refused by this host: a:1:1: NVIDIA_VISIBLE_DEVICES" in states["c-0"][1]


def test_a_refused_file_leaves_the_old_version_serving(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()

    publisher.publish({"chat-0": {"compose.yaml": "services: {a: {image: i, pid: host}}\n"}})
    host.step()

    assert host.containers() == before
    assert "pid" in host.heartbeat().replicas[0].message


def test_docker_down_stops_nothing_and_is_told(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()
    host.script.down = "connection refused"

    publisher.publish({})
    host.pass_time(300)

    assert host.runtime.everything() == tuple(sorted(before.values(), key=lambda one: one.id))
    assert "connection refused" in host.heartbeat().runtime.error
    assert "connection refused" in host.heartbeat().problems[0]

    host.script.down = ""
    host.pass_time(400)
    assert host.runtime.everything() == ()
    assert host.heartbeat().problems == ()


def test_six_hours_without_git_stop_nothing(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()
    host.is_cut_off(cut=True)
    publisher.publish({})

    for _ in range(6 * 60):
        host.pass_time(60)
        host.script.point = _no_down
    assert host.containers() == before

    host.script.point = lambda _name: None
    host.is_cut_off(cut=False)
    host.pass_time(400)
    assert host.runtime.everything() == ()


def _no_down(name: str) -> None:
    assert not name.startswith("down")


def test_drift_is_healed_without_git_even_by_a_fresh_agent(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT)
    host.rest()
    host.is_cut_off(cut=True)
    for container in host.runtime.everything():
        host.runtime.remove(container.id)

    host.start()
    host.step()

    assert set(host.containers()) == {"chat-0/web", "chat-0/worker"}


def test_an_assignment_that_vanished_is_kept(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()

    publisher.move(None)
    outcome = host.step()

    assert host.containers() == before
    assert "gone from the remote" in outcome.problems[0]
    assert "gone from the remote" in host.heartbeat().problems[0]


def test_an_older_generation_is_refused(host: Host, publisher: Publisher) -> None:
    old = publisher.publish({})
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()

    publisher.move(old)
    outcome = host.step()

    assert host.containers() == before
    assert "generation 1 is older than 2" in outcome.problems[0]


def test_an_assignment_for_another_node_is_refused(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    other = dump_assignment(an_assignment("beta", generation=9))

    publisher.publish_raw({ASSIGNMENT_FILE: other.encode()})
    outcome = host.step()

    assert "for node 'beta'" in outcome.problems[0]
    assert set(host.containers()) == {"chat-0/web", "chat-0/worker"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="no json"),
        pytest.param(b"[]", id="no mapping"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"{" * 100_000, id="deep"),
    ],
)
def test_a_broken_assignment_is_refused(host: Host, publisher: Publisher, text: bytes) -> None:
    publisher.publish(CHAT)
    host.rest()

    publisher.publish_raw({ASSIGNMENT_FILE: text})
    outcome = host.step()

    assert outcome.problems
    assert set(host.containers()) == {"chat-0/web", "chat-0/worker"}
    assert host.heartbeat().problems


def test_files_removed_by_hand_come_back(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    before = host.containers()
    trees = list((host.disk / "replicas").glob("*/*/compose.yaml"))
    for path in trees:
        path.unlink()
        path.parent.rmdir()
    host.is_cut_off(cut=True)

    host.step()

    assert all(path.is_file() for path in trees)
    assert host.containers() == before


@pytest.mark.parametrize("pattern", ["*/compose.yaml", "store/*/web.conf", "*/web.conf"])
def test_a_file_edited_by_hand_is_mended_where_it_stands(
    host: Host, publisher: Publisher, pattern: str
) -> None:
    extra = "    volumes: ['./web.conf:/etc/web.conf:ro']\n"
    publisher.publish({"chat-0": {"compose.yaml": compose(extra=extra), "web.conf": "good"}})
    host.rest()
    before = host.containers()
    (path,) = (host.disk / "replicas" / "chat-0").glob(pattern)
    good, number = path.read_bytes(), path.stat().st_ino
    path.write_bytes(b"services: {evil: {image: i}}\n")
    host.is_cut_off(cut=True)

    host.step()

    assert path.read_bytes() == good
    assert host.containers() == before
    if "store" in pattern:
        assert path.stat().st_ino == number, "containers have this very file mounted"


def test_a_file_added_by_hand_to_a_mounted_folder_goes(host: Host, publisher: Publisher) -> None:
    extra = "    volumes: ['./conf:/etc/conf:ro']\n"
    files = {"compose.yaml": compose(extra=extra), "conf/deep/a": "1", "conf/b": "1"}
    publisher.publish({"chat-0": files})
    host.rest()
    (folder,) = (host.disk / "replicas" / "chat-0" / "store").glob("*/conf")
    (folder / "deep" / "evil").write_text("x")
    (folder / "b").unlink()

    host.step()

    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"deep/a", "b"}


def test_a_foreign_container_is_never_touched(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    foreign = host.containers()["chat-0/web"]
    foreign = replace(foreign, id="foreign", project="by-hand", replica="old-0")
    host.runtime.put(foreign, "alpha")

    publisher.publish({})
    host.rest()

    assert host.runtime.everything() == (foreign,)
    assert host.heartbeat().replicas == ()


def test_waits_end_with_a_boot(host: Host, publisher: Publisher) -> None:
    host.script.missing_images.add("img:1")
    publisher.publish(CHAT)
    host.step()
    host.script.missing_images.clear()

    host.boot, host.now = "boot-2", 5.0
    host.start()
    host.step()

    assert set(host.containers()) == {"chat-0/web", "chat-0/worker"}
    assert host.heartbeat().incarnation.startswith("boot-2-")
