"""A host and a state repository in memory, with a clock that is turned by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.asking import Question
from agent.audit import Auditor
from agent.clock import Clock
from agent.desk import Tools
from agent.files import ReplicaFiles
from agent.host.facts import Facts
from agent.janitor import Janitor
from agent.look import Look
from agent.loop import Agent, Outcome
from agent.notebook import Notebook
from agent.perform import Performer
from agent.prepare import Policy, Preparer
from agent.pressure import Disk
from agent.probes import ProbesAtOnce
from agent.reasons import Reason
from agent.runtime.port import Container
from agent.runtime.simulated import Script, SimulatedRuntime
from agent.shelf import Shelf
from agent.speaker import Speaker
from agent.vigil import Vigil
from fleet.errors import UnreachableError
from fleet.git_command import TIMEOUT_SECONDS
from fleet.memory import Line, MemoryRepository, MemoryServer
from fleet.port import RefUpdate, Repository
from schemas.assignment import AssignedReplica, Fence, dump_assignment
from schemas.heartbeat import Heartbeat, parse_heartbeat
from schemas.layout import ASSIGNMENT_FILE, HEARTBEAT_FILE, assigned_ref, heartbeat_ref
from schemas.names import CommitId, NodeName
from schemas.policy import check_replica
from tests.builders import A_MOMENT, a_host, an_assigned_replica, an_assignment

NODE = NodeName("alpha")
ASKED = frozenset({Reason.ASKED})
Files = Mapping[str, str]


class Killed(BaseException):
    """The agent dies here. No handler of the agent may catch it."""


class Publisher:
    """The reconciler's hand: it writes assignments to the node's own ref."""

    def __init__(self, server: MemoryServer) -> None:
        self.node = NODE
        self.repository: Repository = MemoryRepository(server)
        self.generation = 0
        self.head: CommitId | None = None

    def publish(
        self,
        replicas: Mapping[str, Files],
        of_replicas: Mapping[str, Any] = MappingProxyType({}),
        fences: Mapping[str, Fence] = MappingProxyType({}),
        given: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        **fields: Any,
    ) -> CommitId:
        """Assign these replicas with these files.

        of_replicas: what is said of each of them. fences: grants, by replica. given: what else is
        said of one of them alone, such as its ports, by replica.
        """
        self.generation += 1
        fields = {"generation": self.generation, **fields}
        assigned = tuple(
            replace(_replica(name, **of_replicas), fence=fences.get(name), **given.get(name, {}))
            for name in sorted(replicas)
        )
        assignment = an_assignment(self.node, replicas=assigned, **fields)
        changes: dict[str, bytes | None] = {
            f"{name}/{path}": text.encode()
            for name, files in replicas.items()
            for path, text in files.items()
        }
        return self.publish_raw({**changes, ASSIGNMENT_FILE: dump_assignment(assignment).encode()})

    def publish_raw(self, changes: Mapping[str, bytes | None]) -> CommitId:
        """Write any files at all as the next assignment."""
        tree = self.repository.write(None, changes)
        commit = self.repository.commit(tree, parent=self.head, message="A decision", at=A_MOMENT)
        self.move(commit)
        return commit

    def move(self, commit: CommitId | None) -> None:
        """Move the node's ref to any commit, or remove it."""
        ref = assigned_ref(self.node)
        self.repository.push((RefUpdate(ref, commit, self.head),))
        self.head = commit


def _replica(name: str, **fields: Any) -> AssignedReplica:
    deployment, _, index = name.rpartition("-")
    return an_assigned_replica(deployment, int(index), **fields)


class Host:
    """One host: its disk, its engine, its clock, and an agent that can be killed and started."""

    def __init__(self, server: MemoryServer, disk: Path, seed: int = 0) -> None:
        self.disk = disk
        self.now = 1000.0
        self.boot = "boot-1"
        self.facts = Facts(host=a_host())
        self.docker_disk: Disk | None = None
        self.answers: dict[int, str] = {}
        self.asked: list[int] = []
        self.policy: Policy = check_replica
        self.script = Script()
        self.runtime = SimulatedRuntime(self.script)
        self.repository = _Counting(server)
        self._reader = MemoryRepository(server)
        self._rng = random.Random(seed)
        self.agent = self.start()

    def start(self) -> Agent:
        """Start a fresh agent on what is on disk."""
        clock = Clock(wall=self._wall, boottime=lambda: self.now, boot=self.boot)
        files = ReplicaFiles(self.disk / "replicas")
        preparer = Preparer(node=NODE, policy=self.policy, runtime=self.runtime, files=files)
        rng, runtime, repository = self._rng, self.runtime, self.repository
        prober = ProbesAtOnce(ask=self.answer, clock=clock.boottime)
        janitor = Janitor(runtime, lambda: self.docker_disk, clock)
        tools = Tools(
            runtime=runtime,
            files=files,
            look=Look(node=NODE, repository=repository, files=files, clock=clock, rng=rng),
            preparer=preparer,
            performer=Performer(
                runtime=runtime, preparer=preparer, janitor=janitor, clock=clock, rng=rng
            ),
            janitor=janitor,
            speaker=Speaker(
                node=NODE,
                version="miaas-agent/test",
                repository=repository,
                runtime=runtime,
                facts=lambda _containers, _ports: self.facts,
                clock=clock,
                rng=rng,
            ),
            vigil=Vigil(runtime=runtime, files=files, prober=prober, clock=clock),
            auditor=Auditor(node=NODE, runtime=runtime, clock=clock),
        )
        shelf = _DyingShelf(self.disk, self.script)
        self.agent = Agent(NODE, Notebook(shelf, clock.boot), tools, clock)
        return self.agent

    def answer(self, questions: Iterable[Question]) -> Mapping[Question, str]:
        """Answer probes: `answers` holds what is wrong, by port; nothing there is answered well."""
        asked = tuple(questions)
        self.asked += [one.port for one in asked]
        return {one: self.answers.get(one.port, "") for one in asked}

    def step(self) -> Outcome:
        """Make one pass, as a timer does."""
        return self.agent.step(ASKED)

    def rest(self, passes: int = 10) -> Outcome:
        """Make passes until nothing is left to do."""
        outcome = self.step()
        for _ in range(passes):
            if outcome.settled:
                return outcome
            self.now += 1
            outcome = self.step()
        raise AssertionError(f"no rest after {passes} passes: {outcome}")

    def pass_time(self, seconds: float) -> None:
        """Make every pass that becomes due within so many seconds."""
        end = self.now + seconds
        while True:
            wake = min(self.agent.step().wake, self.agent.next_look())
            self.now = max(self.now + 0.01, wake)
            if self.now >= end:
                self.now = end
                return

    def heartbeat(self) -> Heartbeat:
        """The heartbeat that the remote has."""
        ref = heartbeat_ref(NODE)
        commit = self._reader.fetch(ref)[ref]
        file = self._reader.tree(commit).files[HEARTBEAT_FILE]
        text = self._reader.read((file.blob,))[file.blob].decode()
        return parse_heartbeat(text, path=HEARTBEAT_FILE)

    def containers(self) -> dict[str, Container]:
        """Containers by `replica/service`."""
        return {f"{one.replica}/{one.service}": one for one in self.runtime.everything()}

    def is_cut_off(self, *, cut: bool) -> None:
        """Cut the line to the remote, or mend it."""
        self.repository.line = Line.DOWN if cut else Line.UP

    def _wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)


class _Counting(MemoryRepository):
    """Counts what was pushed.

    is_deaf, is_mute: fetches, or pushes, do not get through. on_push: called in each that does.
    on_silence: called with the seconds that one which does not get through would wait.
    """

    pushes = 0
    patience: float = TIMEOUT_SECONDS
    on_silence: Callable[[float], None] = staticmethod(lambda _seconds: None)
    is_deaf = False
    is_mute = False
    on_push: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        self.patience = TIMEOUT_SECONDS if seconds is None else min(TIMEOUT_SECONDS, seconds)
        yield

    def fetch(self, *refs: str) -> Mapping[str, CommitId]:
        if self.is_deaf:
            self.on_silence(self.patience)
            raise UnreachableError("fetches do not get through")
        return super().fetch(*refs)

    def push_own(self, ref: str, new: CommitId) -> None:
        if self.is_mute:
            self.on_silence(self.patience)
            raise UnreachableError("pushes do not get through")
        super().push_own(ref, new)
        self.pushes += 1
        self.on_push()


def compose(*, image: str = "img:1", extra: str = "") -> str:
    """A compose file with the services `web` and `worker`."""
    return f"""\
services:
  web:
    image: {image}
    restart: unless-stopped
{extra}  worker:
    image: img:1
    restart: unless-stopped
"""


class Killer:
    """Counts the points at which an agent can die, and kills it at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.passed: list[str] = []
        self._kill_at = kill_at

    def __call__(self, name: str) -> None:
        """Pass a point, or die there."""
        self.passed.append(name)
        if len(self.passed) == self._kill_at:
            raise Killed(name)


class _DyingShelf(Shelf):
    """A shelf with a point before and after each write."""

    def __init__(self, folder: Path, script: Script) -> None:
        super().__init__(folder)
        self._script = script

    def write(self, name: str, text: str) -> None:
        self._script.point(f"before {name}")
        super().write(name, text)
        self._script.point(f"after {name}")

    def remove(self, name: str) -> None:
        super().remove(name)
        self._script.point(f"removed {name}")
