"""Compose's calls are made by a child, and come back as if they had been made here."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.hands import LentCompose
from agent.runtime.compose import Bounds, ComposeRuntime, DockerSettings
from agent.runtime.port import Project, RuntimeDownError, RuntimeFailedError

BOUND_SECONDS = 20.0
# What a client may print beside its answer must not get between ours.
PLUGIN = """#!/bin/sh
echo noise >&2
case "$*" in
*up*) read -r said; echo "heard: $said" >"$HOME/heard" ;;
*config*) echo '{"services": {"web": {"image": "img:1"}}}' ;;
*) echo "up says something"; exit 0 ;;
esac
"""


class _Engine(threading.Thread):
    """Answers every question with OK, as a ping wants it."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()

    def run(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            with link:
                link.recv(1 << 16)
                link.sendall(b"HTTP/1.0 200 OK\r\n\r\nOK")

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.join()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[DockerSettings]:
    programs, config = tmp_path / "bin", tmp_path / "config"
    plugin = config / "cli-plugins/docker-compose"
    for program in (programs / "docker", plugin):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(PLUGIN)
        program.chmod(0o755)
    for name in ("env", "timeout"):
        (programs / name).symlink_to(str(shutil.which(name)))
    engine = _Engine(tmp_path / "docker.sock")
    engine.start()
    path = f"{programs}:{os.defpath}"
    yield DockerSettings(
        host=f"unix://{tmp_path}/docker.sock",
        config=config,
        home=tmp_path,
        path=path,
        bounds=Bounds(up=BOUND_SECONDS / 10),
    )
    engine.stop()


@pytest.fixture
def lent(settings: DockerSettings) -> Iterator[LentCompose]:
    runtime = LentCompose(settings)
    yield runtime
    runtime.close()


def test_an_answer_comes_back_and_the_child_stays_for_the_next_call(
    lent: LentCompose, tmp_path: Path
) -> None:
    first = lent.resolve(tmp_path, "miaas-a")
    (child,) = lent._idle

    lent.down("miaas-a")

    assert first["services"] == {"web": {"image": "img:1"}}
    assert lent._idle == [child]


def test_an_error_comes_back_as_what_it_is(tmp_path: Path) -> None:
    nobody = DockerSettings(host=f"unix://{tmp_path}/nobody", config=tmp_path, home=tmp_path)
    lent = LentCompose(nobody)

    with pytest.raises(RuntimeDownError, match="no Docker here"):
        lent.down("miaas-a")

    lent.close()


def test_a_child_that_was_killed_fails_one_call_and_no_other(
    lent: LentCompose, tmp_path: Path
) -> None:
    lent.warm()
    (child,) = lent._idle
    os.kill(child._process.pid, signal.SIGKILL)
    child._process.wait()

    with pytest.raises(RuntimeFailedError, match="in the middle of down"):
        lent.down("miaas-a")

    assert lent.resolve(tmp_path, "miaas-a")["services"]


def test_calls_at_one_time_have_a_child_each_and_one_of_them_stays(lent: LentCompose) -> None:
    threads = [threading.Thread(target=lent.down, args=("miaas-a",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_SECONDS)

    assert len(lent._idle) == 1


def test_a_child_with_nothing_to_do_leaves(settings: DockerSettings) -> None:
    lent = LentCompose(settings, stay_seconds=0.01)
    lent.warm()

    _until(lambda: not lent._idle)


def test_a_child_ends_with_the_agent_however_that_ends(lent: LentCompose) -> None:
    lent.warm()
    (child,) = lent._idle
    assert child._process.stdin is not None

    child._process.stdin.close()  # what the kernel does for an agent that was killed

    _until(lambda: child._process.poll() is not None)


def test_a_client_that_asks_something_hears_nobody_from_a_child(
    lent: LentCompose, tmp_path: Path
) -> None:
    lent.up(_project(tmp_path))

    assert (tmp_path / "heard").read_text() == "heard: \n"


@pytest.mark.usefixtures("unanswered_input")
def test_a_client_that_asks_something_does_not_wait_for_who_started_the_agent(
    settings: DockerSettings, tmp_path: Path
) -> None:
    ComposeRuntime(settings).up(_project(tmp_path))

    assert (tmp_path / "heard").read_text() == "heard: \n"


def _project(folder: Path) -> Project:
    return Project(name="miaas-a", folder=folder, overlay=folder / "overlay.json")


def _until(is_so: Callable[[], bool]) -> None:
    end, pause = time.monotonic() + BOUND_SECONDS, threading.Event()
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        pause.wait(0.01)
