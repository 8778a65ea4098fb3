"""`miaas-agent run` as a real process, over a real repository and the simulated runtime."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.assignment import dump_assignment
from tests.builders import an_assigned_replica, an_assignment

ROOT = Path(__file__).parents[3]
BOUND_SECONDS = 30.0


class State:
    """A bare repository, with the reconciler's hand on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
        self._parent: list[str] = []

    def assign(self, generation: int, *names: str) -> str:
        """Assign a replica of each deployment; returns the commit."""
        replicas = tuple(an_assigned_replica(name) for name in names)
        document = dump_assignment(an_assignment(replicas=replicas, generation=generation))
        rows = [f"100644 blob {self._blob(document)}\tassignment.json"]
        compose = f"100644 blob {self._blob('services: {web: {image: i}}')}\tcompose.yaml"
        tree = self._git("mktree", data=compose + "\n")
        rows += [f"040000 tree {tree}\t{name}-0" for name in names]
        root = self._git("mktree", data="\n".join(rows) + "\n")
        commit = self._git("commit-tree", root, "-m", "x", *self._parent)
        self._git("update-ref", "refs/miaas/assigned/alpha", commit)
        self._parent = ["-p", commit]
        return commit

    def heartbeat(self) -> dict[str, Any]:
        """What the agent said last; empty: nothing yet."""
        command = ["git", "-C", str(self.folder), "show", "refs/miaas/nodes/alpha:heartbeat.json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def _blob(self, text: str) -> str:
        return self._git("hash-object", "-w", "--stdin", data=text)

    def _git(self, *words: str, data: str = "") -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", *identity, "-C", str(self.folder), *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, input=data)
        return done.stdout.strip()


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.git")


@pytest.fixture
def command(tmp_path: Path, state: State) -> list[str]:
    words = ["--node", "alpha", "--state-url", str(state.folder), "--runtime", "simulated"]
    return [*words, "--state-dir", str(tmp_path / "agent")]


@pytest.fixture
def agent(command: list[str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A running agent, with this test as its systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(BOUND_SECONDS)
        environment = {"PATH": os.defpath, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "run", *command],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert systemd.recv(1000) == b"READY=1"
            yield process
        finally:
            process.kill()
            process.communicate()


def test_runs_from_the_first_assignment_to_a_clean_end(
    agent: subprocess.Popen[str], state: State, command: list[str]
) -> None:
    assert state.heartbeat()["agent"].startswith("miaas-agent/")

    first = state.assign(1, "chat")
    _until(lambda: state.heartbeat().get("observed") == first)
    second = state.assign(2, "code")
    _until(lambda: state.heartbeat().get("observed") == second)
    assert [one["name"] for one in state.heartbeat()["replicas"]] == ["code-0"]

    other = subprocess.run(
        [sys.executable, "-m", "agent.cli", "once", *command],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert other.returncode == 3
    assert f"another agent (process {agent.pid}) works on" in other.stderr

    agent.send_signal(signal.SIGTERM)
    _, log = agent.communicate(timeout=BOUND_SECONDS)
    assert agent.returncode == 0
    assert log.startswith("miaas-agent: SIMULATED: nothing here really runs")
    assert 'act done act=down replica=chat-0 reason="the replica is no longer assigned"' in log


def _until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition, with a bound."""
    end = time.monotonic() + BOUND_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        signal.sigtimedwait((), 0.02)  # lets others run for a moment


def test_of_many_that_start_at_once_one_works_and_the_others_say_who(
    state: State, command: list[str], tmp_path: Path
) -> None:
    state.assign(1, "chat")
    words = [sys.executable, "-m", "agent.cli", "run", *command]
    agents = [
        subprocess.Popen(words, cwd=ROOT, env={"PATH": os.defpath}, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    try:
        _until(lambda: sum(agent.poll() is not None for agent in agents) == 2)
        (winner,) = (agent for agent in agents if agent.poll() is None)
        for agent in agents:
            if agent is not winner:
                _, said = agent.communicate(timeout=BOUND_SECONDS)
                assert agent.returncode == 3
                assert f"another agent (process {winner.pid}) works on" in said.decode()
                assert "Fix: let it finish, stop it" in said.decode()
        _until(lambda: state.heartbeat().get("generation") == 1)

        # The lock goes with the process, however that ends: the next one takes over at once.
        winner.kill()
        winner.wait()
        heir = subprocess.run(
            [sys.executable, "-m", "agent.cli", "once", *command],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert heir.returncode == 0, heir.stderr
        assert (tmp_path / "agent/lock").is_file()
    finally:
        for agent in agents:
            agent.kill()
            agent.communicate()
