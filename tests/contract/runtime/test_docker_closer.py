"""What becomes of Docker's description of a container, and of its log's frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runtime.docker_closer import details_of, unframed
from agent.runtime.port import Details

TOLD = {
    "RestartCount": 2,
    "State": {
        "Status": "restarting",
        "ExitCode": 137,
        "OOMKilled": True,
        "StartedAt": "2026-01-05T12:00:00.1Z",
    },
    "Config": {"Env": ["A=1=2", "EMPTY=", "BARE"]},
}


def test_details() -> None:
    assert details_of(TOLD) == Details(
        restarts=2,
        started="2026-01-05T12:00:00.1Z",
        exit_code=137,
        out_of_memory=True,
        environment={"A": "1=2", "EMPTY": "", "BARE": ""},
    )


def test_what_runs_has_no_exit_code() -> None:
    running = {**TOLD, "State": {"Status": "running", "ExitCode": 0, "StartedAt": "t"}}

    assert details_of(running).exit_code is None


def frame(text: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(frame(b"out\n") + frame(b"err\n", 2), b"out\nerr\n", id="two streams"),
        pytest.param(b"plain\nlog\n", b"plain\nlog\n", id="a terminal"),
        pytest.param(frame(b"cut off")[:-3], b"cut ", id="cut off"),
        pytest.param(frame(b"a") + b"rest", b"arest", id="odd"),
        pytest.param(frame(b"")[:5], b"", id="half a head"),
    ],
)
def test_frames(stream: bytes, text: bytes) -> None:
    assert unframed(stream) == text


@given(st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([1, 2]))))
def test_every_framed_log_is_read_back(parts: list[tuple[bytes, int]]) -> None:
    stream = b"".join(frame(text, number) for text, number in parts)

    assert unframed(stream) == b"".join(text for text, _ in parts)
