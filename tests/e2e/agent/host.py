"""A host for tests: a real engine, a real bare repository, and `miaas-agent once` as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from examples.tour.engines import Engine
from examples.tour.world import python_program
from fleet.git_repo import open_repository
from fleet.memory import MemoryServer
from schemas.assignment import GpuShare
from schemas.heartbeat import Heartbeat, parse_heartbeat
from schemas.layout import HEARTBEAT_FILE, LABEL_NODE, heartbeat_ref, project_name
from schemas.names import CommitId, NodeName, ReplicaName
from tests.sim.agent.world import Files, Publisher

ROOT = Path(__file__).parents[3]  # the agent of this tree, wherever another may be installed
IMAGE = "tiny:1"  # on every engine of these tests, as is its successor
NEXT_IMAGE = "tiny:2"
PASS_SECONDS = 120  # bound of one pass; usually it takes one or two
MOST_PASSES = 40
PATIENCE_SECONDS = 60.0  # for what should have happened long before
LISTED = '{{.Label "io.miaas.replica"}}/{{.Label "com.docker.compose.service"}} {{.ID}} {{.State}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An act that went well, as the agent's log tells it."""

    act: str
    replica: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """How one pass ended: the exit code of the process, below zero if a signal ended it."""

    code: int
    log: str

    @property
    def done(self) -> tuple[Done, ...]:
        """The acts that went well, in order."""
        fields = [_fields(line) for line in self.log.splitlines() if " act done " in line]
        return tuple(
            Done(act=found["act"], replica=found["replica"], reason=found["reason"])
            for found in fields
        )

    def reasons(self, replica: str) -> str:
        """Why something was done to a replica; empty: nothing was."""
        return "; ".join(one.reason for one in self.done if one.replica == replica)


class GitPublisher(Publisher):
    """The reconciler's hand on a real bare repository."""

    def __init__(self, bare: Path, node: NodeName) -> None:
        super().__init__(MemoryServer())
        self.node = node
        self.remote = open_repository(str(bare), bare.with_name("publisher.git"))
        self.repository = self.remote


@dataclass
class Host:
    """One node, with a repository and a state folder of its own, on an engine that it may share.

    docker_config: the folder that the agent is given for Docker's client.
    """

    engine: Engine
    folder: Path
    node: NodeName
    docker_config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.docker_config = self.engine.docker_config
        self.bare.mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet", "--bare", str(self.bare)], check=True)
        self.publisher = GitPublisher(self.bare, self.node)

    @property
    def bare(self) -> Path:
        return self.folder / "state.git"

    @property
    def state(self) -> Path:
        """The agent's own folder."""
        return self.folder / "agent"

    def publish(self, replicas: Mapping[str, Files]) -> CommitId:
        """Assign these replicas, and give them the ports and GPUs that their files speak of.

        What is seen by a full pass alone is seen a second later.
        """
        given = {name: _spoken_of(of_one) for name, of_one in replicas.items()}
        try:
            return self.publisher.publish(
                replicas, given=given, heartbeat_seconds=1, poll_seconds=1
            )
        finally:
            self.publisher.remote.close()

    def once(self, *words: str, **environment: str) -> Pass:
        """Make one pass, in a process of its own."""
        process = self.start(*words, **environment)
        _, log = process.communicate(timeout=PASS_SECONDS)
        return Pass(code=process.returncode, log=log)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start a pass, in a session of its own, as a unit of systemd is."""
        return subprocess.Popen(
            [
                *(python_program("miaas-agent"), "once", *words),
                *("--node", self.node),
                *("--state-url", str(self.bare)),
                *("--state-dir", str(self.state)),
                *("--docker-host", self.engine.docker_host),
                *("--docker-config", str(self.docker_config)),
            ],
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def rest(self, *words: str) -> tuple[Pass, ...]:
        """Make passes until one does nothing."""
        made = [self.once(*words)]
        while made[-1].done:
            assert len(made) < MOST_PASSES, f"no rest:\n{made[-1].log}"
            made.append(self.once(*words))
        return tuple(made)

    def passes_until(self, condition: Callable[[], bool], *words: str) -> tuple[Pass, ...]:
        """Make passes until a condition holds. The timer of a real host is not waited for."""
        made = [self.once(*words)]
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            logs = "\n".join(one.log for one in made[-3:])
            assert time.monotonic() < end, f"not within {len(made)} passes; the last ones:\n{logs}"
            made.append(self.once(*words))
        return tuple(made)

    # what is seen from outside

    def containers(self) -> dict[str, str]:
        """Ids of this node's containers by `replica/service`, whatever state they are in."""
        return {name: found for name, found, _ in self.listed()}

    def states(self) -> dict[str, str]:
        """States of this node's containers by `replica/service`."""
        return {name: state for name, _, state in self.listed()}

    def run_all(self, *replicas: str, services: tuple[str, ...] = ("side", "web")) -> bool:
        """Whether exactly these replicas run, each with exactly these services."""
        wanted = [f"{replica}/{service}" for replica in sorted(replicas) for service in services]
        listed = self.listed()
        return sorted(name for name, _, _ in listed) == sorted(wanted) and all(
            state == "running" for _, _, state in listed
        )

    def inside(self, name: str, command: str) -> str:
        """What a shell command prints inside a container, named `replica/service`."""
        return self.docker("exec", self.containers()[name], "sh", "-c", command)

    def project(self, replica: str) -> str:
        return project_name(self.node, ReplicaName(replica))

    def heartbeat(self) -> Heartbeat:
        """The heartbeat that the repository has."""
        spot = f"{heartbeat_ref(self.node)}:{HEARTBEAT_FILE}"
        text = subprocess.run(
            ["git", "-C", str(self.bare), "show", spot], check=True, capture_output=True, text=True
        ).stdout
        return parse_heartbeat(text, path=HEARTBEAT_FILE)

    def report(self, replica: str) -> tuple[str, str]:
        """State and message of a replica in the heartbeat."""
        return next(
            (str(one.state), one.message)
            for one in self.heartbeat().replicas
            if one.name == replica
        )

    def docker(self, *arguments: str) -> str:
        return docker(self.engine, *arguments)

    def clear(self) -> None:
        """Remove all that this node has on the engine: addresses for networks are few."""
        for container in self.containers().values():
            self.docker("rm", "--force", "--volumes", container)
        for kind in ("network", "volume"):
            names = self.docker(kind, "ls", "--quiet", "--filter", f"name=miaas-{self.node}-")
            for name in names.split():
                self.docker(kind, "rm", name)

    def listed(self) -> list[list[str]]:
        filters = ("--filter", f"label={LABEL_NODE}={self.node}")
        listed = self.docker("ps", "--all", "--no-trunc", "--format", LISTED, *filters)
        return [line.split() for line in listed.splitlines()]


def docker(engine: Engine, *arguments: str) -> str:
    """What a command of Docker's client prints."""
    answer = subprocess.run(
        ["docker", *arguments],
        env=engine.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def eventually(condition: Callable[[], object]) -> None:
    """Wait for a condition, with a bound."""
    end, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS:.0f} s"
        pause.wait(0.05)


def a_service(**fields: Any) -> dict[str, Any]:
    """A service that runs until it is killed."""
    return {
        "image": IMAGE,
        "command": ["sleep", "infinity"],
        "pull_policy": "missing",
        "restart": "unless-stopped",
        "stop_signal": "SIGKILL",
        **fields,
    }


def files(
    services: Mapping[str, Mapping[str, Any]], more: Files | None = None, **top: Any
) -> Files:
    """The files of a replica: its services, and what stands beside the compose file."""
    return {"compose.yaml": json.dumps({"services": services, **top}), **(more or {})}


def two_services(
    more: Files | None = None,
    *,
    top: Mapping[str, Any] | None = None,
    others: tuple[str, ...] = (),
    **web: Any,
) -> Files:
    """A replica of the service `web`, as told, and its sibling `side`, which is always the same.

    others: names of further siblings. top: what stands beside `services`.
    """
    services = {name: a_service() for name in ("side", *others)}
    return files({"web": a_service(**web), **services}, more, **(top or {}))


def _spoken_of(files: Files) -> dict[str, Any]:
    """The ports and GPUs that a replica has to be given, by the fields of an assignment."""
    services = yaml.safe_load(files["compose.yaml"])["services"].values()
    ports = [int(port.split(":")[0]) for one in services for port in one.get("ports", ())]
    reserved = [one.get("deploy", {}).get("resources", {}) for one in services]
    devices = [each for one in reserved for each in one.get("reservations", {}).get("devices", ())]
    uuids = [uuid for device in devices for uuid in device["device_ids"]]
    return {
        "ports": {f"port-{port}": port for port in ports},
        "gpus": tuple(GpuShare(uuid=uuid, memory_mib=1024) for uuid in uuids),
    }


def _fields(line: str) -> dict[str, str]:
    """The `key=value` fields of a log line; values with blanks are written as JSON."""
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line)
    return {key: json.loads(value) if value[0] == '"' else value for key, value in found}
