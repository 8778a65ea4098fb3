"""What becomes of odd answers. Every one of them ends in an error and none in a short list."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runtime.docker_socket import (
    BadDockerHostError,
    DockerSocket,
    socket_path,
)
from agent.runtime.port import Container, RuntimeDownError, RuntimeFailedError

LABELS = {
    "io.miaas.node": "gpu-1",
    "io.miaas.replica": "chat-0",
    "io.miaas.deployment": "chat",
    "io.miaas.hash": "1f",
    "com.docker.compose.project": "miaas-gpu-1-chat-0",
    "com.docker.compose.service": "web",
}
ENTRY = {"Id": "aa", "Image": "tiny:1", "State": "running", "Status": "Up 2 hours"}


@contextlib.contextmanager
def an_engine(*pieces: bytes, closes: bool = True) -> Iterator[DockerSocket]:
    """A socket that answers every question with these bytes, one piece after another."""
    folder = mkdtemp(prefix="mi")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/s")
    listener.listen(8)
    ending = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link:
                    link.recv(65536)
                    for piece in pieces:
                        link.sendall(piece)
                        ending.wait(0.01)
                    if not closes:
                        ending.wait(30)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield DockerSocket(Path(folder, "s"), seconds=5 if closes else 0.2)
    finally:
        ending.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        shutil.rmtree(folder)


def listing(*entries: dict[str, object]) -> bytes:
    return an_answer(entries)


def an_answer(body: object) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(body).encode()


def an_entry(**changes: object) -> dict[str, object]:
    return {**ENTRY, "Labels": LABELS, **changes}


def test_a_listing_becomes_containers() -> None:
    with an_engine(listing(an_entry(Id="bb"), an_entry())) as engine:
        found = engine.containers("gpu-1")

    assert found == (
        Container(
            id="aa",
            project="miaas-gpu-1-chat-0",
            replica="chat-0",
            deployment="chat",
            service="web",
            image="tiny:1",
            state="running",
            content_hash="1f",
        ),
        Container(
            id="bb",
            project="miaas-gpu-1-chat-0",
            replica="chat-0",
            deployment="chat",
            service="web",
            image="tiny:1",
            state="running",
            content_hash="1f",
        ),
    )


@pytest.mark.parametrize(
    ("status", "health", "exit_code"),
    [
        ("Up 2 hours", "", None),
        ("Up 2 hours (healthy)", "healthy", None),
        ("Up 3 seconds (unhealthy)", "unhealthy", None),
        ("Up 1 second (health: starting)", "starting", None),
        ("Up 2 hours (Paused)", "", None),
        ("Exited (0) 3 minutes ago", "", 0),
        ("Exited (137) 3 minutes ago", "", 137),
        ("Restarting (2) 4 seconds ago", "", 2),
        ("Created", "", None),
        ("Dead", "", None),
        ("Removal In Progress", "", None),
    ],
)
def test_the_engines_words_about_a_state(status: str, health: str, exit_code: int | None) -> None:
    with an_engine(listing(an_entry(Status=status))) as engine:
        (container,) = engine.containers("gpu-1")

    assert (container.health, container.exit_code) == (health, exit_code)


@pytest.mark.parametrize("lacking", sorted(set(LABELS) - {"io.miaas.hash"}))
def test_a_container_without_one_of_our_labels_is_not_ours(lacking: str) -> None:
    labels = {name: value for name, value in LABELS.items() if name != lacking}

    with an_engine(listing(an_entry(Labels=labels))) as engine:
        assert engine.containers("gpu-1") == ()


WHOLE = listing(an_entry(), an_entry(Id="bb"))
ODD_ANSWERS = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"HTTP/1.0 200", id="half a head"),
    pytest.param(b"\x00\xff\r\n\r\n[]", id="no HTTP"),
    pytest.param(WHOLE[: len(WHOLE) // 2], id="half a list"),
    pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n[]", id="shorter than it says"),
    pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", id="no list"),
    pytest.param(b"HTTP/1.0 200 OK\r\n\r\n{}", id="an object"),
    pytest.param(b"HTTP/1.0 200 OK\r\n\r\nnull", id="null"),
    pytest.param(b"HTTP/1.0 200 OK\r\n\r\n[1]", id="a list of numbers"),
    pytest.param(b'HTTP/1.0 500 No\r\n\r\n{"message": "on fire"}', id="server error"),
    pytest.param(b"HTTP/1.0 404 No\r\n\r\n[]", id="not found"),
    pytest.param(listing({"Labels": LABELS, "Id": "aa"}), id="container without a state"),
]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_odd_answer_is_never_a_list(answer: bytes) -> None:
    with an_engine(answer) as engine, pytest.raises(RuntimeDownError):
        engine.containers("gpu-1")


def test_every_cut_of_a_listing_is_noticed() -> None:
    for length in range(0, len(WHOLE), 7):
        with an_engine(WHOLE[:length]) as engine, pytest.raises(RuntimeDownError):
            engine.containers("gpu-1")


def test_an_engine_that_says_nothing_is_given_up() -> None:
    with an_engine(closes=False) as engine, pytest.raises(RuntimeDownError, match=r"within 0\.2 s"):
        engine.containers("gpu-1")


def test_an_engine_that_trickles_for_ever_is_given_up() -> None:
    trickle = (b"HTTP/1.0 200 OK\r\n\r\n[", *[b" "] * 3000)

    with an_engine(*trickle, closes=False) as engine, pytest.raises(RuntimeDownError):
        engine.containers("gpu-1")


def test_an_answer_in_pieces_is_whole() -> None:
    pieces = [WHOLE[start : start + 50] for start in range(0, len(WHOLE), 50)]

    with an_engine(*pieces) as engine:
        assert [container.id for container in engine.containers("gpu-1")] == ["aa", "bb"]


def test_nobody_listening_is_told_from_nothing_there(tmp_path: Path) -> None:
    folder = mkdtemp(prefix="mi")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{folder}/s")  # and never listens

        with pytest.raises(RuntimeDownError, match="nobody listens"):
            DockerSocket(Path(folder, "s")).containers("gpu-1")
    with pytest.raises(RuntimeDownError, match="does not exist"):
        DockerSocket(tmp_path / "s").containers("gpu-1")
    shutil.rmtree(folder)


def test_images_are_told_by_tag_and_digest() -> None:
    images: list[dict[str, object]] = [
        {"RepoTags": ["b:1", "a:1"], "RepoDigests": ["a@sha256:1"]},
        {"RepoTags": ["<none>:<none>"], "RepoDigests": None},
        {"RepoTags": None},
    ]

    with an_engine(listing(*images)) as engine:
        assert engine.images() == ("a:1", "a@sha256:1", "b:1")


def test_projects_of_volumes_are_told_once_each_and_odd_volumes_by_nobody() -> None:
    project = "com.docker.compose.project"
    volumes: list[dict[str, object]] = [
        {"Name": "b", "Labels": {project: "miaas-gpu-1-chat-0"}},
        {"Name": "c", "Labels": {project: "miaas-gpu-1-chat-0", "more": ""}},
        {"Name": "a", "Labels": {project: "another"}},
        {"Name": "empty", "Labels": {project: ""}},
        {"Name": "by hand", "Labels": {}},
        {"Name": "anonymous", "Labels": None},
        {"Name": "bare"},
    ]

    with an_engine(an_answer({"Volumes": volumes, "Warnings": None})) as engine:
        assert engine.volume_projects() == ("another", "miaas-gpu-1-chat-0")
    with an_engine(an_answer({"Volumes": None})) as engine:
        assert engine.volume_projects() == ()


@given(st.text(max_size=60))
def test_no_image_name_can_become_another_question(name: str) -> None:
    engine = DockerSocket(Path("/nonexistent/socket"))

    with pytest.raises((RuntimeFailedError, RuntimeDownError)) as caught:
        engine.missing([name])

    odd = not name.isascii() or any(char in name for char in " \r\n\t?#%\\") or ".." in name
    if odd:
        assert caught.type is RuntimeFailedError


@pytest.mark.parametrize(
    ("host", "path"),
    [("", "/var/run/docker.sock"), ("unix:///run/user/1000/d.sock", "/run/user/1000/d.sock")],
)
def test_a_socket_of_this_host_is_found(host: str, path: str) -> None:
    assert socket_path(host) == Path(path)


@pytest.mark.parametrize(
    "host",
    [
        "tcp://127.0.0.1:2375",
        "ssh://root@gpu-2",
        "fd://",
        "npipe:////./pipe/d",
        "docker",
        "unix://x",
    ],
)
def test_an_engine_elsewhere_is_refused(host: str) -> None:
    with pytest.raises(BadDockerHostError, match="Fix: "):
        socket_path(host)
