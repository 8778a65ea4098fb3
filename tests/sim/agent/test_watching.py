"""What the agent makes of containers that fall, of probes, of logs, and of versions that fail."""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.runtime.port import RuntimeFailedError, UnfinishedError
from fleet.memory import MemoryServer
from schemas.given import Given
from schemas.heartbeat import LogTail, ReplicaReport, ReplicaState
from schemas.names import CommitId, ReplicaName
from schemas.policy import check, check_replica
from schemas.probes import Probe
from schemas.problem import Problem
from tests.sim.agent.world import Host, Killed, Killer, Publisher, compose

PORT = 20000
PROBE = Probe(name="http", port="http", path="/health", start_period_seconds=60)
CHAT = {"chat-0": {"compose.yaml": compose()}}
NEWER = {"chat-0": {"compose.yaml": compose(image="img:2")}}
NEWEST = {"chat-0": {"compose.yaml": compose(image="img:3")}}
PROBED = {"probes": (PROBE,), "ports": {"http": PORT}}


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def publisher(server: MemoryServer) -> Publisher:
    return Publisher(server)


@pytest.fixture
def host(server: MemoryServer, tmp_path: Path) -> Host:
    return Host(server, tmp_path)


def report(host: Host) -> ReplicaReport:
    (found,) = host.heartbeat().replicas
    return found


def container(host: Host, service: str) -> str:
    return host.containers()[f"chat-0/{service}"].id


# probes ------------------------------------------------------------------------------------------


def test_a_replica_runs_only_once_its_probe_is_answered(host: Host, publisher: Publisher) -> None:
    host.answers[PORT] = "refused"
    publisher.publish(CHAT, of_replicas=PROBED)
    host.rest()

    assert report(host).state is ReplicaState.STARTING
    assert report(host).message == "probe http: GET /health refused so far"

    del host.answers[PORT]
    host.pass_time(3)
    assert report(host).state is ReplicaState.RUNNING
    assert report(host).message == ""


def test_a_probe_that_fails_is_named_with_its_answer(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT, of_replicas=PROBED)
    host.rest()
    host.answers[PORT] = "answered 503"

    host.pass_time(60)

    assert report(host).state is ReplicaState.DEGRADED
    assert report(host).message.startswith("probe http: GET /health answered 503 for more than")


def test_a_probe_that_fails_for_hours_is_no_flood_of_heartbeats(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT, of_replicas=PROBED, heartbeat_seconds=3600)
    host.rest()
    host.answers[PORT] = "answered 503"
    pushes = host.repository.pushes

    host.pass_time(2 * 3600)

    assert host.repository.pushes - pushes <= 2 * 1.2 + 9


def test_a_ready_replica_is_asked_each_interval_and_said_nothing_about(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT, of_replicas=PROBED, heartbeat_seconds=3600)
    host.rest()
    host.asked.clear()
    pushes = host.repository.pushes

    host.pass_time(600)

    assert 58 <= len(host.asked) <= 62
    assert host.repository.pushes == pushes


def test_a_fresh_process_knows_what_was_ready(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT, of_replicas=PROBED)
    host.rest()
    host.asked.clear()

    host.start()
    outcome = host.step()

    assert host.asked == []
    assert outcome.wake <= host.now + 10
    assert report(host).state is ReplicaState.RUNNING


def test_a_new_version_is_asked_anew_and_at_once(host: Host, publisher: Publisher) -> None:
    host.answers[PORT] = "refused"
    publisher.publish(CHAT, of_replicas=PROBED)
    host.pass_time(200)
    assert report(host).state is ReplicaState.DEGRADED

    publisher.publish(NEWER, of_replicas=PROBED)
    host.rest()

    assert report(host).state is ReplicaState.STARTING


# crash loops -------------------------------------------------------------------------------------


def crash(host: Host, times: int, code: int = 1, *, oom: bool = False) -> None:
    for _ in range(times):
        host.now += 5
        host.runtime.fall(container(host, "web"), code, out_of_memory=oom)
        host.step()
        host.runtime.change(container(host, "web"), "running")
        host.step()


def test_a_crash_loop_is_told_and_forgiven_after_ten_quiet_minutes(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT)
    host.rest()

    crash(host, 3)
    host.pass_time(40)
    assert report(host).state is ReplicaState.RUNNING
    assert report(host).message == "service web exited with code 1, and was started again"

    crash(host, 2)
    host.pass_time(40)
    assert report(host).state is ReplicaState.FAILED
    assert report(host).message.startswith("crash loop: service web exited with code 1")

    host.pass_time(700)
    assert report(host).state is ReplicaState.RUNNING
    assert (report(host).message, report(host).logs) == ("", ())


def test_a_new_commit_resets_the_budget(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    crash(host, 6)

    publisher.publish(NEWER)
    host.rest()

    assert report(host).state is ReplicaState.RUNNING


def test_want_of_memory_is_named(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()

    crash(host, 5, 137, oom=True)
    host.pass_time(40)

    assert "ran out of memory and was killed (OOM)" in report(host).message


def test_falls_are_remembered_over_a_restart_of_the_agent(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    crash(host, 3)

    host.start()
    crash(host, 1)
    host.pass_time(40)

    assert report(host).state is ReplicaState.FAILED


# logs --------------------------------------------------------------------------------------------


def test_the_log_of_what_falls_is_told_once_and_without_secrets(
    host: Host, publisher: Publisher
) -> None:
    files = {"compose.yaml": compose() + "secrets: {s: {file: ./s.txt}}\n", "s.txt": "from a file"}
    publisher.publish({"chat-0": files})
    host.rest()
    host.script.environment["API_PASSWORD"] = "in the environment"  # noqa: S105  # an example
    host.script.logs["web"] = (
        "loading\npassword is in the environment and from a file\nhf_abcdefghijkl\n"
    )
    host.runtime.calls.clear()

    crash(host, 2)
    host.pass_time(40)

    assert report(host).logs == (
        LogTail(service="web", text="loading\npassword is **** and ****\n****"),
    )
    assert host.runtime.calls.count("logs") == 1


def test_a_log_that_cannot_be_read_stops_nothing(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()

    def point(name: str) -> None:
        if name == "logs":
            raise RuntimeFailedError("the logging driver does not support reading")

    host.script.point = point
    crash(host, 1)
    host.pass_time(40)

    assert report(host).logs == ()


def test_a_long_log_is_cut_to_its_last_lines(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    host.script.logs["web"] = "".join(f"line {n}\n" for n in range(10_000))

    crash(host, 1)
    host.pass_time(40)

    (tail,) = report(host).logs
    assert tail.text.endswith("line 9999")
    assert tail.text.startswith("line ")
    assert len(tail.text) <= 1900


# rollback ----------------------------------------------------------------------------------------

ROLLBACK = {"rollback": True}
SAID = "port is already allocated"


def images(host: Host) -> dict[str, str]:
    return {one.service: one.image for one in host.containers().values()}


def roll_back(host: Host, publisher: Publisher) -> CommitId:
    """Run a good version, then have one that cannot be started."""
    good = publisher.publish(CHAT, of_replicas=ROLLBACK)
    host.rest()
    host.script.broken["img:2"] = SAID
    publisher.publish(NEWER, of_replicas=ROLLBACK)
    host.rest()
    return good


def test_a_version_that_cannot_be_started_gives_way_to_the_last_good_one(
    host: Host, publisher: Publisher
) -> None:
    good = roll_back(host, publisher)

    assert images(host) == {"web": "img:1", "worker": "img:1"}
    assert all(one.state == "running" for one in host.containers().values())
    assert report(host).state is ReplicaState.FAILED
    assert report(host).message.startswith(f"up: {SAID}. The last good version runs again")
    assert report(host).observed != host.agent.notebook.accepted.trees["chat-0"]  # type: ignore[union-attr, index] # accepted above
    assert (host.heartbeat().observed, host.heartbeat().generation) == (good, 1)
    assert host.heartbeat().accepted_generation == 2


def test_it_is_tried_again_after_ten_minutes_and_not_before(
    host: Host, publisher: Publisher
) -> None:
    good = roll_back(host, publisher)
    host.script.broken.clear()

    host.pass_time(580)
    assert images(host)["web"] == "img:1"
    assert host.heartbeat().observed == good

    host.pass_time(60)
    assert images(host)["web"] == "img:2"
    assert report(host).state is ReplicaState.RUNNING
    assert host.heartbeat().generation == 2


def test_a_broken_version_disturbs_the_good_one_seldom(host: Host, publisher: Publisher) -> None:
    roll_back(host, publisher)
    host.runtime.calls.clear()

    host.pass_time(2 * 3600)

    assert images(host)["web"] == "img:1"
    assert report(host).state is ReplicaState.FAILED
    assert host.runtime.calls.count("up") <= 2 * 4


def test_another_commit_is_tried_at_once(host: Host, publisher: Publisher) -> None:
    roll_back(host, publisher)

    publisher.publish(NEWEST, of_replicas=ROLLBACK)
    host.rest()

    assert images(host)["web"] == "img:3"
    assert report(host).state is ReplicaState.RUNNING
    assert host.agent.notebook.memory.held == {}


def test_an_operator_can_have_it_tried_at_once(host: Host, publisher: Publisher) -> None:
    roll_back(host, publisher)
    host.script.broken.clear()

    host.agent.forget_waits()
    host.rest()

    assert images(host)["web"] == "img:2"


def test_drift_of_the_good_version_is_healed_while_the_newer_one_waits(
    host: Host, publisher: Publisher
) -> None:
    roll_back(host, publisher)

    host.runtime.remove(container(host, "worker"))
    host.rest()

    assert images(host) == {"web": "img:1", "worker": "img:1"}


def test_a_restarted_agent_holds_the_version_back_too(host: Host, publisher: Publisher) -> None:
    roll_back(host, publisher)
    host.runtime.calls.clear()

    host.start()
    host.pass_time(300)

    assert "up" not in host.runtime.calls
    assert images(host)["web"] == "img:1"


def test_without_rollback_the_new_version_is_tried_again(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT)
    host.rest()
    host.script.broken["img:2"] = SAID
    publisher.publish(NEWER)
    host.rest()
    assert report(host).message == f"up: {SAID}"

    host.script.broken.clear()
    host.pass_time(60)

    assert images(host)["web"] == "img:2"


def test_a_first_version_has_nothing_to_go_back_to(host: Host, publisher: Publisher) -> None:
    host.script.broken["img:1"] = SAID
    publisher.publish(CHAT, of_replicas=ROLLBACK)
    host.rest()
    assert report(host).state is ReplicaState.FAILED

    host.script.broken.clear()
    host.pass_time(60)

    assert report(host).state is ReplicaState.RUNNING


def test_what_only_takes_long_is_no_reason_to_go_back(host: Host, publisher: Publisher) -> None:
    publisher.publish(CHAT, of_replicas=ROLLBACK)
    host.rest()

    def slow(name: str) -> None:
        if name == "up":
            raise UnfinishedError("not finished within 60 s")

    host.script.point = slow
    publisher.publish(NEWER, of_replicas=ROLLBACK)
    host.rest()

    assert host.agent.notebook.memory.held == {}


def test_a_disk_of_ours_that_is_full_is_no_reason_to_go_back(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(CHAT, of_replicas=ROLLBACK)
    host.rest()

    def full(name: str) -> None:
        if name == "before journal.json":
            host.script.point = lambda _name: None
            raise OSError(errno.ENOSPC, "No space left on device")

    host.script.point = full
    publisher.publish(NEWER, of_replicas=ROLLBACK)
    host.step()
    assert "No space left" in report(host).message
    assert host.agent.notebook.memory.held == {}

    host.pass_time(30)
    assert images(host)["web"] == "img:2"


FIXED_PORT = {"chat-0": {"compose.yaml": compose(extra='    ports: ["8080:80"]\n')}}


def older_policy(
    text: str,
    *,
    path: str,
    files: Mapping[str, bytes],  # noqa: ARG001  # as the protocol says
    given: Given,  # noqa: ARG001  # as the protocol says
) -> tuple[Problem, ...]:
    """What an agent asked that knew of no ports that were not given."""
    return check(text, path=path)


def upgrade(host: Host, publisher: Publisher) -> None:
    """Run what the agent of now refuses, under one that allowed it. Then upgrade that agent."""
    host.policy = older_policy
    host.start()
    publisher.publish(FIXED_PORT, of_replicas=ROLLBACK)
    host.rest()
    assert report(host).state is ReplicaState.RUNNING
    host.policy = check_replica
    host.start()
    host.script.broken["img:2"] = SAID


def test_what_ran_here_before_an_upgrade_can_be_gone_back_to(
    host: Host, publisher: Publisher
) -> None:
    upgrade(host, publisher)

    publisher.publish(NEWER, of_replicas=ROLLBACK)
    host.rest()

    assert images(host) == {"web": "img:1", "worker": "img:1"}
    assert all(one.state == "running" for one in host.containers().values())
    assert report(host).message.startswith(f"up: {SAID}. The last good version runs again")
    assert "That fails too" not in report(host).message


def test_what_ran_here_before_an_upgrade_runs_again_once_main_is_reverted(
    host: Host, publisher: Publisher
) -> None:
    upgrade(host, publisher)
    publisher.publish(NEWER)
    host.rest()
    assert report(host).message == f"up: {SAID}"

    publisher.publish(FIXED_PORT)
    host.rest()

    assert images(host) == {"web": "img:1", "worker": "img:1"}
    assert report(host).state is ReplicaState.RUNNING


def test_what_was_edited_since_an_upgrade_is_held_against_the_newer_policy(
    host: Host, publisher: Publisher
) -> None:
    upgrade(host, publisher)
    publisher.publish(NEWER)
    host.rest()
    tree = host.agent.notebook.memory.good[ReplicaName("chat-0")].tree
    (host.disk / "replicas" / "chat-0" / tree / "compose.yaml").write_text(compose() + "# mine\n")

    publisher.publish(FIXED_PORT)
    host.rest()

    assert report(host).state is ReplicaState.FAILED
    assert "the host port 8080 was not given to this replica" in report(host).message


@pytest.mark.parametrize("kill_at", range(1, 60, 5))
def test_a_kill_in_a_rollback_is_healed(host: Host, publisher: Publisher, kill_at: int) -> None:
    publisher.publish(CHAT, of_replicas=ROLLBACK)
    host.rest()
    host.script.broken["img:2"] = SAID
    publisher.publish(NEWER, of_replicas=ROLLBACK)
    host.script.point = Killer(kill_at)
    with contextlib.suppress(Killed):
        for _ in range(4):
            host.step()
            host.now += 1
    host.script.point = lambda _name: None
    host.start()
    host.pass_time(60)

    assert images(host) == {"web": "img:1", "worker": "img:1"}
    assert all(one.state == "running" for one in host.containers().values())
    assert report(host).state is ReplicaState.FAILED


def test_random_days_end_well(host: Host, publisher: Publisher) -> None:
    rng = random.Random(7)
    for version in range(15):
        files = {"chat-0": {"compose.yaml": compose(image=f"img:{version}")}}
        host.script.broken = {f"img:{version}": SAID} if rng.random() < 0.4 else {}
        host.answers = {PORT: "refused"} if rng.random() < 0.3 else {}
        publisher.publish(files, of_replicas={**PROBED, **ROLLBACK})
        host.pass_time(rng.uniform(1, 700))
        if rng.random() < 0.2:
            host.start()
    host.script.broken, host.answers = {}, {}

    host.pass_time(4000)

    assert images(host) == {"web": "img:14", "worker": "img:1"}
    assert report(host).state is ReplicaState.RUNNING
