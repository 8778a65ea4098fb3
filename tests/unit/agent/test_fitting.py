"""A heartbeat is never too large to be read."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fitting import (
    LEAST_TAIL,
    LOGS_MAX,
    fitting_text,
    last_lines,
    with_shared_logs,
    written_size,
)
from agent.tails import MOST_TAILS, TAIL_CHARACTERS
from schemas.heartbeat import (
    HEARTBEAT_MAX,
    Heartbeat,
    LogTail,
    ReplicaReport,
    ReplicaState,
    ServiceReport,
    parse_heartbeat,
)
from schemas.names import DeploymentName, replica_name
from tests.builders import A_MOMENT, a_heartbeat


def a_failing(number: int, *, logs: int = 1, letter: str = "x", message: str = "") -> ReplicaReport:
    """Make a replica that fails since so many minutes, with logs as long as they can be."""
    text = ((letter * 90 + "\n") * 40)[-TAIL_CHARACTERS:]
    deployment = DeploymentName(f"d{number:04}")
    return ReplicaReport(
        name=replica_name(deployment, 0),
        deployment=deployment,
        state=ReplicaState.FAILED,
        message=message,
        services=tuple(
            ServiceReport(name=f"s{one}", image="img:1", state="restarting") for one in range(logs)
        ),
        logs=tuple(LogTail(service=f"s{one}", text=text) for one in range(logs)),
        since=A_MOMENT - timedelta(minutes=number),
    )


def logs_size(heartbeat: Heartbeat) -> int:
    return sum(written_size(log.text) for one in heartbeat.replicas for log in one.logs)


@pytest.mark.parametrize(
    ("replicas", "logs", "letter"),
    [
        pytest.param(150, MOST_TAILS, "x", id="ASCII"),
        pytest.param(25, MOST_TAILS, "模", id="Chinese"),
        pytest.param(900, MOST_TAILS, "🙂", id="many"),
    ],
)
def test_logs_share_their_budget_and_every_new_failure_keeps_some_lines(
    replicas: int, logs: int, letter: str
) -> None:
    beat = a_heartbeat(
        replicas=tuple(a_failing(n, logs=logs, letter=letter) for n in range(replicas))
    )

    read = parse_heartbeat(fitting_text(beat), path="heartbeat.json")

    assert logs_size(read) <= LOGS_MAX
    newest = read.replicas[: LOGS_MAX // LEAST_TAIL // logs]
    assert all(log.text.startswith(letter) for one in newest for log in one.logs)
    assert len({len(log.text) for one in newest for log in one.logs}) == 1
    assert [one.name for one in read.replicas] == [one.name for one in beat.replicas]
    assert read.problems == ()


def test_logs_within_their_budget_stay_as_they_are() -> None:
    beat = a_heartbeat(replicas=tuple(a_failing(n) for n in range(100)))

    assert with_shared_logs(beat) == beat


def test_a_short_log_is_whole_beside_long_ones() -> None:
    short = a_failing(999)
    short = ReplicaReport(
        name=short.name,
        deployment=short.deployment,
        state=short.state,
        logs=(LogTail(service="s0", text="two\nlines"),),
        since=A_MOMENT,
    )
    beat = a_heartbeat(replicas=(*(a_failing(n, logs=4) for n in range(100)), short))

    assert with_shared_logs(beat).replicas[-1] == short


@pytest.mark.parametrize(
    ("text", "size", "kept"),
    [
        pytest.param("one\ntwo\nsix", 12, "two\nsix", id="one below: a line less"),
        pytest.param("one\ntwo\nsix", 13, "one\ntwo\nsix", id="exact"),
        pytest.param("one\ntwo\nsix", 8, "two\nsix", id="exact, of two lines"),
        pytest.param("模\n模型", 12, "模型", id="exact, each is six"),
        pytest.param("模\n模型", 11, "型", id="one below: the end of the line"),
        pytest.param("abcdef", 2, "ef", id="one long line"),
        pytest.param("a\n", 2, "\n", id="nothing but an end of line"),
    ],
)
def test_the_last_whole_lines_are_kept(text: str, size: int, kept: str) -> None:
    assert last_lines(text, size) == kept


@given(st.text(), st.integers(0, 200))
def test_kept_lines_take_no_more_than_they_may(text: str, size: int) -> None:
    kept = last_lines(text, size)

    assert text.endswith(kept)
    assert written_size(kept) <= size


@pytest.mark.parametrize(
    ("images", "replicas", "message", "problem", "has_images"),
    [
        pytest.param(9_000, 100, "", "without logs:", True, id="logs"),
        pytest.param(12_000, 0, "", "without logs and images:", False, id="images"),
        pytest.param(10, 400, "模" * 1000, "images, services and the ends", False, id="messages"),
    ],
)
def test_what_people_can_do_without_goes_and_that_is_told(
    images: int, replicas: int, message: str, problem: str, has_images: bool
) -> None:
    beat = a_heartbeat(
        replicas=tuple(a_failing(n, logs=2, message=message) for n in range(replicas)),
        images=tuple(
            f"registry.example.org/team/an-image-with-a-long-name:{n}" + "x" * 25
            for n in range(images)
        ),
        problems=("Docker is old",),
    )

    text = fitting_text(beat)

    read = parse_heartbeat(text, path="heartbeat.json")
    assert len(text) <= HEARTBEAT_MAX
    assert len(read.replicas) == replicas
    assert bool(read.images) is has_images
    assert read.problems[0] == "Docker is old"
    assert problem in read.problems[1]
    assert json.loads(text)
