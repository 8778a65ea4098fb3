"""Two real reconcilers on one bare repository: the leader is killed, and the standby takes over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas.layout import ASSIGNMENTS_REF, LEADER_REF
from tests.unit.reconciler.cli.fleets import Remote

pytestmark = pytest.mark.e2e

FLEET = """apiVersion: miaas/v1
kind: Fleet
metadata: {name: two}
spec: {leader: {lease: 5s}, timings: {poll: 1s}}
"""
NODE = "apiVersion: miaas/v1\nkind: Node\nmetadata: {name: node-1}\n"
DEPLOYMENT = """apiVersion: miaas/v1
kind: Deployment
metadata: {{name: {name}}}
spec: {{template: http-echo, parameters: {{text: hello}}}}
"""
# How long anything may take before the test gives up; it never waits longer than it must.
PATIENCE = 60.0


@dataclass
class Running:
    """A `miaas-reconciler run`, and what its log said so far."""

    name: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()

    def wait_for(self, words: str) -> None:
        """Wait until its log says so."""
        self.wait_until(lambda: self.says(words) > 0)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that is true once it has said another line."""
        with self.news:
            assert self.news.wait_for(is_so, PATIENCE), f"{self.name} only said {self.lines}"

    def says(self, words: str) -> int:
        return sum(words in line for line in self.lines)


@contextmanager
def running(name: str, remote: Remote, folder: Path) -> Iterator[Running]:
    command = [str(Path(sys.executable).with_name("miaas-reconciler")), "run"]
    command += ["--desired", remote.url, "--state-dir", str(folder / name), "--name", name]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    made = Running(name, process)
    reading = threading.Thread(target=made.read, daemon=True)
    reading.start()
    try:
        yield made
    finally:
        process.kill()
        process.wait()
        reading.join()
        assert process.stderr is not None
        process.stderr.close()


class Fleet:
    """The people's work tree, and what stands in the remote."""

    def __init__(self, folder: Path) -> None:
        self.remote = Remote(folder)
        self.tree = folder / "tree"
        for path, text in (("fleet.yaml", FLEET), ("nodes/node-1.yaml", NODE)):
            self.write(path, text)
        self.remote.push(self.tree)
        self.remote.speak("node-1")

    def write(self, path: str, text: str) -> None:
        (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).write_text(text)

    def deploy(self, name: str) -> None:
        self.write(f"deployments/{name}.yaml", DEPLOYMENT.format(name=name))
        self.remote.push(self.tree)

    def git(self, *words: str) -> str:
        command = ["git", f"--git-dir={self.remote.url}", *words]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    def decided(self) -> str:
        return self.git("ls-tree", "-r", "--name-only", ASSIGNMENTS_REF)

    def leader(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.git("show", f"{LEADER_REF}:leader.json"))
        return found


def test_a_standby_takes_over_from_a_killed_leader_and_keeps_the_lease(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    with ExitStack() as stack:
        one = stack.enter_context(running("one", fleet.remote, tmp_path))
        one.wait_for(" leads ")
        two = stack.enter_context(running("two", fleet.remote, tmp_path))
        two.wait_for("stands by")
        fleet.deploy("first")
        one.wait_for("decision published")

        os.kill(one.process.pid, signal.SIGKILL)
        fleet.deploy("second")
        two.wait_for(" leads ")
        fleet.deploy("third")
        back = stack.enter_context(running("one", fleet.remote, tmp_path))
        back.wait_for("stands by")
        fleet.deploy("fourth")
        two.wait_until(lambda: "/fourth-0/" in fleet.decided())

    leader = fleet.leader()
    assert (leader["holder"], leader["term"]) == ("two", 2)
    assert back.says("decision published") == 0
    assert fleet.git("rev-list", "--min-parents=2", ASSIGNMENTS_REF) == ""
    moved = fleet.git("log", "--format=%(trailers:key=Moved)", ASSIGNMENTS_REF).strip()
    assert moved == ""
