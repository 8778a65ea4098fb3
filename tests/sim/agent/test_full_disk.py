"""A whole agent on a real file system that is full to the last byte, with a real repository."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.files import ReplicaFiles
from agent.host.facts import Facts
from agent.loop import Agent
from agent.pressure import Disk
from agent.reasons import Reason
from agent.runtime.simulated import SimulatedRuntime
from agent.shelf import Shelf
from agent.wiring import Ground, assemble
from fleet.git_repo import open_repository
from fleet.port import RefUpdate
from schemas.assignment import dump_assignment
from schemas.heartbeat import Heartbeat, disk_pressure, parse_heartbeat
from schemas.layout import ASSIGNMENT_FILE, HEARTBEAT_FILE, assigned_ref, heartbeat_ref
from tests.builders import A_MOMENT, a_host, an_assigned_replica, an_assignment
from tests.sim.agent.world import NODE, compose

FULL = Disk(total_mib=100_000, free_mib=0)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The agent's own folder, on a file system of 4 MiB."""
    folder = tmp_path / "state"
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    made = subprocess.run(["mount", *options], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Site:
    """One host with its folder, and a bare repository on a disk with room."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.url = str(folder / "state.git")
        subprocess.run(["git", "init", "--quiet", "--bare", self.url], check=True)
        self.state = state
        self.disk: Disk | None = None
        self.runtime = SimulatedRuntime()
        self.now = 1000.0
        self._other = open_repository(self.url, folder / "other.git")
        self._own = open_repository(self.url, state / "mirror.git")
        self._generation = 0
        self.agent = self._agent()

    def close(self) -> None:
        for repository in (self._own, self._other):
            repository.close()

    def _agent(self) -> Agent:
        clock = Clock(
            wall=lambda: A_MOMENT + timedelta(seconds=self.now),
            boottime=lambda: self.now,
            boot="boot-1",
        )
        ground = Ground(
            node=NODE,
            version="miaas-agent/test",
            runtime=self.runtime,
            repository=self._own,
            facts=lambda _containers, _ports: Facts(host=a_host()),
            clock=clock,
            rng=random.Random(1),
            files=ReplicaFiles(self.state / "replicas"),
            shelf=Shelf(self.state),
            disk=lambda: self.disk,
        )
        return assemble(ground)

    def publish(self, image: str) -> None:
        self._generation += 1
        replicas = (an_assigned_replica("chat"),)
        told = an_assignment(NODE, replicas=replicas, generation=self._generation)
        files = {
            ASSIGNMENT_FILE: dump_assignment(told).encode(),
            "chat-0/compose.yaml": compose(image=image).encode(),
        }
        ref = assigned_ref(NODE)
        parent = self._other.fetch(ref).get(ref)
        tree = self._other.write(None, files)
        commit = self._other.commit(tree, parent=parent, message="A decision", at=A_MOMENT)
        self._other.push((RefUpdate(ref, commit, parent),))

    def passes(self, count: int) -> None:
        for _ in range(count):
            self.agent.step(frozenset({Reason.ASKED}))
            self.now += 60

    def heartbeat(self) -> Heartbeat:
        ref = heartbeat_ref(NODE)
        file = self._other.tree(self._other.fetch(ref)[ref]).files[HEARTBEAT_FILE]
        return parse_heartbeat(self._other.read((file.blob,))[file.blob].decode(), path=ref)

    def fill(self) -> None:
        """Take all the room that is left, to the last byte."""
        self.disk = FULL
        for size in (65536, 1):
            with contextlib.suppress(OSError), self._ballast().open("ab", buffering=0) as file:
                while True:
                    file.write(b"x" * size)

    def make_room(self) -> None:
        self.disk = None
        self._ballast().unlink()

    def _ballast(self) -> Path:
        return self.state / "ballast"


@pytest.fixture
def site(tmp_path: Path, state: Path) -> Iterator[Site]:
    with closing(Site(tmp_path, state)) as made:
        yield made


def test_a_full_disk_silences_nobody_stops_nothing_and_heals_by_itself(site: Site) -> None:
    site.publish("img:1")
    site.passes(2)
    before = site.runtime.everything()
    spoken = site.heartbeat().sequence
    site.fill()

    site.publish("img:2")
    site.passes(4)

    assert site.runtime.everything() == before
    beat = site.heartbeat()
    assert beat.sequence > spoken
    assert disk_pressure(beat)
    assert any("No space left on device" in problem for problem in beat.problems)

    site.make_room()
    site.passes(12)

    assert {one.image for one in site.runtime.everything()} == {"img:1", "img:2"}
    assert site.heartbeat().generation == 2
    assert site.heartbeat().problems == ()
