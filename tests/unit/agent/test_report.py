"""How a replica fares, in the words of a heartbeat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.report import (
    MESSAGE_CHARACTERS,
    MOST_WITH_VOLUMES,
    Course,
    replica_reports,
    shortened,
    substance,
    with_volumes,
)
from agent.runtime.port import Container
from schemas.heartbeat import ReplicaState, dump_heartbeat, parse_heartbeat
from schemas.names import NodeName, ReplicaName
from tests.agent_builders import CHAT, CODE, TREE, a_container, a_service, a_want
from tests.builders import A_MOMENT, a_heartbeat

RUNS = Course(tree=TREE)


@pytest.mark.parametrize(
    ("containers", "course", "state"),
    [
        pytest.param((), Course(), ReplicaState.PENDING, id="nothing done yet"),
        pytest.param((a_container(),), RUNS, ReplicaState.RUNNING, id="runs, has no check"),
        pytest.param((a_container(health="healthy"),), RUNS, ReplicaState.RUNNING, id="healthy"),
        pytest.param((a_container(health="starting"),), RUNS, ReplicaState.STARTING, id="starts"),
        pytest.param((a_container(health="unhealthy"),), RUNS, ReplicaState.DEGRADED, id="sick"),
        pytest.param((a_container(state="restarting"),), RUNS, ReplicaState.DEGRADED, id="falls"),
        pytest.param((a_container(state="paused"),), RUNS, ReplicaState.DEGRADED, id="paused"),
        pytest.param((), RUNS, ReplicaState.DEGRADED, id="gone"),
        pytest.param((a_container(content_hash="x"),), RUNS, ReplicaState.DEGRADED, id="old"),
        pytest.param(
            (a_container(),), Course(tree=TREE, message="no"), ReplicaState.FAILED, id="failed"
        ),
    ],
)
def test_state(containers: tuple[Container, ...], course: Course, state: ReplicaState) -> None:
    (report,) = replica_reports((a_want(),), {CHAT: containers}, {CHAT: course})

    assert report.state is state


def test_half_of_it_dead_is_not_running_and_the_message_says_which() -> None:
    want = a_want(services=(a_service("web"), a_service("worker")))
    containers = (a_container("web"), a_container("worker", state="exited", exit_code=1))

    (report,) = replica_reports((want,), {CHAT: containers}, {CHAT: RUNS})

    assert report.state is ReplicaState.DEGRADED
    assert report.message == "service worker is exited with code 1"
    assert [(one.name, one.state, one.exit_code) for one in report.services] == [
        ("web", "running", None),
        ("worker", "exited", 1),
    ]


def test_a_replica_of_very_many_containers_fits_into_a_heartbeat() -> None:
    containers = tuple(a_container(id=f"c{number}") for number in range(1000))

    (report,) = replica_reports((a_want(),), {CHAT: containers}, {CHAT: RUNS})

    beat = a_heartbeat(replicas=(report,))
    assert parse_heartbeat(dump_heartbeat(beat), path="heartbeat.json") == beat


def test_what_is_not_gone_yet_is_told_as_stopping() -> None:
    reports = replica_reports((a_want(),), {CODE: (a_container(replica=CODE),)}, {})

    assert [(one.name, one.state) for one in reports] == [
        (CHAT, ReplicaState.PENDING),
        (CODE, ReplicaState.STOPPING),
    ]


def test_without_docker_nothing_is_said_to_run() -> None:
    wants = (a_want(CHAT), a_want(CODE))

    reports = replica_reports(wants, None, {CHAT: RUNS})

    assert [(one.state, one.observed) for one in reports] == [
        (ReplicaState.DEGRADED, TREE),
        (ReplicaState.PENDING, ""),
    ]


def test_a_long_message_keeps_its_end() -> None:
    text = "x" * 5000 + "the reason"

    assert shortened(text).endswith("the reason")
    assert len(shortened(text)) == MESSAGE_CHARACTERS + len("... ")


BARRED = Course(tree=TREE, bar="waits for a grant", epoch=4)


@pytest.mark.parametrize(
    ("own", "state", "epoch"),
    [
        pytest.param({CHAT: (a_container(state="exited"),)}, ReplicaState.PENDING, 0, id="ended"),
        pytest.param({}, ReplicaState.PENDING, 0, id="gone"),
        pytest.param({CHAT: (a_container(),)}, ReplicaState.RUNNING, 4, id="still runs"),
        pytest.param(None, ReplicaState.DEGRADED, 4, id="nobody knows"),
    ],
)
def test_what_must_not_start_is_pending_only_where_nothing_of_it_runs(
    own: dict[ReplicaName, tuple[Container, ...]] | None, state: ReplicaState, epoch: int
) -> None:
    (report,) = replica_reports((a_want(),), own, {CHAT: BARRED})

    assert (report.state, report.epoch) == (state, epoch)


def test_since_when_a_state_lasts_is_no_news() -> None:
    (report,) = replica_reports((a_want(),), {CHAT: (a_container(),)}, {CHAT: RUNS})

    assert substance((replace(report, since=A_MOMENT),)) == substance((report,))


@pytest.mark.parametrize(
    ("projects", "replicas"),
    [
        pytest.param((), (), id="none"),
        pytest.param(("miaas-gpu-1-chat-0",), ("chat-0",), id="one"),
        pytest.param(("miaas-gpu-1-db-0", "miaas-gpu-1-chat-1"), ("chat-1", "db-0"), id="sorted"),
        pytest.param(("miaas-gpu-10-chat-0", "miaas-gpu-chat-0"), (), id="other nodes"),
        pytest.param(("chat-0", "chat", "xmiaas-gpu-1-chat-0", ""), (), id="other projects"),
        pytest.param(("miaas-gpu-1-", "miaas-gpu-1-chat", "miaas-gpu-1"), (), id="no number"),
        pytest.param(("miaas-gpu-1-chat-01", "miaas-gpu-1-chat-100000"), (), id="odd numbers"),
        pytest.param(("miaas-gpu-1-Chat-0", "miaas-gpu-1--0", "miaas-gpu-1-a_b-0"), (), id="names"),
        pytest.param(("miaas-gpu-1-b-chat-0",), ("b-chat-0",), id="may be of a node gpu-1-b"),
    ],
)
def test_whose_volumes_stand_here_is_read_off_projects(
    projects: tuple[str, ...], replicas: tuple[str, ...]
) -> None:
    assert with_volumes(NodeName("gpu-1"), projects) == replicas


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_more_replicas_with_volumes_than_a_heartbeat_may_hold_are_cut(more: int) -> None:
    projects = tuple(f"miaas-alpha-chat-{n}" for n in range(MOST_WITH_VOLUMES + more))

    told = with_volumes(NodeName("alpha"), projects)

    assert len(told) == min(MOST_WITH_VOLUMES + more, MOST_WITH_VOLUMES)
    beat = a_heartbeat(volumes=told)
    assert parse_heartbeat(dump_heartbeat(beat), path="x") == beat
