"""What the promises of a runtime are tried on: an engine in memory, and a real one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from agent.runtime.compose import Bounds, ComposeRuntime, DockerSettings
from agent.runtime.port import Container, Project, Runtime
from agent.runtime.simulated import Script, SimulatedRuntime
from examples.tour.engines import Engine
from schemas.layout import LABEL_DEPLOYMENT, LABEL_HASH, LABEL_NODE, LABEL_REPLICA

IMAGE = "tiny:1"  # on every engine
ABSENT = "127.0.0.1:9/absent:1"  # on none, and nothing listens there
NODE = "gpu-1"


class World(Protocol):
    """An engine that a test can look at from outside and do harm to."""

    @property
    def runtime(self) -> Runtime: ...

    def networks(self) -> frozenset[str]:
        """Names of the networks that projects made."""

    def break_service(self, service: str) -> Mapping[str, Any]:
        """What to write into a service that cannot start."""

    def mend_service(self, service: str) -> None:
        """Undo what `break_service` did outside of the file."""

    def fall_ill(self, service: str) -> None:
        """Make the health check of a running service fail."""

    def end(self, container: Container, code: int) -> None:
        """Make a container end with this code."""

    def fall(self, container: Container, code: int) -> None:
        """Make a container end that its engine starts again."""

    def print_lines(self, service: str, lines: str) -> Mapping[str, Any]:
        """What to write into a service that prints these lines first."""

    def put_foreign(self, project: str, name: str) -> str:
        """Start a container without our labels, in a project named a little longer than this."""

    def still_there(self, container: str) -> bool:
        """Whether it runs."""

    def put_stranger(self, project: str) -> str:
        """Start a container without our labels in exactly this project."""

    def put_one_off(self, container: Container) -> str:
        """Start a container with all labels of this one, as `docker compose run` does."""

    def restart_always(self, container: Container) -> None:
        """Change a container's restart policy by `docker update`."""

    def cut_off(self, container: Container) -> None:
        """Disconnect a container from its network."""

    def pause(self, container: Container) -> None:
        """Pause a container."""

    def volumes(self) -> frozenset[str]:
        """Names of the volumes that are there."""

    def make_image(self, name: str) -> None:
        """Make an image that nothing uses."""

    def hung(self) -> contextlib.AbstractContextManager[Runtime]:
        """The engine hangs for the length of a block."""


@dataclass
class SimulatedWorld:
    """The engine in memory."""

    runtime: SimulatedRuntime = field(default_factory=lambda: SimulatedRuntime(Script()))

    def __post_init__(self) -> None:
        self.runtime.present_images.add(IMAGE)
        self.runtime.script.missing_images.add(ABSENT)

    def networks(self) -> frozenset[str]:
        return frozenset(self.runtime.networks)

    def break_service(self, service: str) -> Mapping[str, Any]:
        self.runtime.script.failing[service] = "container's command cannot be started"
        return {}

    def mend_service(self, service: str) -> None:
        del self.runtime.script.failing[service]

    def fall_ill(self, service: str) -> None:
        self.runtime.script.unhealthy.add(service)

    def end(self, container: Container, code: int) -> None:
        self.runtime.change(container.id, "exited", code)

    def fall(self, container: Container, code: int) -> None:
        self.runtime.fall(container.id, code)

    def print_lines(self, service: str, lines: str) -> Mapping[str, Any]:
        self.runtime.script.logs[service] = lines
        return {}

    def put_foreign(self, project: str, name: str) -> str:
        foreign = Container(
            id=f"f{name}",
            project=f"{project}x",
            replica="",
            deployment="",
            service=name,
            image=IMAGE,
            state="running",
        )
        self.runtime.put(foreign, node="")
        return foreign.id

    def still_there(self, container: str) -> bool:
        return any(one.id == container for one in self.runtime.everything())

    def put_stranger(self, project: str) -> str:
        stranger = Container(
            id="5" * 12,
            project=project,
            replica="",
            deployment="",
            service="",
            image=IMAGE,
            state="running",
        )
        self.runtime.put(stranger, node="")
        return stranger.id

    def put_one_off(self, container: Container) -> str:
        self.runtime.put_one_off(container.id, "6" * 12)
        return "6" * 12

    def restart_always(self, container: Container) -> None:
        (limits,) = self.runtime.limits((container.id,)).values()
        self.runtime.limit(container.id, replace(limits, restart="always"))

    def cut_off(self, container: Container) -> None:
        self.runtime.cut_off(container.id)

    def pause(self, container: Container) -> None:
        self.runtime.change(container.id, "paused")

    def volumes(self) -> frozenset[str]:
        return frozenset(self.runtime.volumes)

    def make_image(self, name: str) -> None:
        self.runtime.present_images.add(name)

    @contextlib.contextmanager
    def hung(self) -> Iterator[Runtime]:
        self.runtime.script.down = "no answer within 5 s"
        yield self.runtime
        self.runtime.script.down = ""


@dataclass
class DockerWorld:
    """A real engine with the real Compose."""

    engine: Engine
    runtime: ComposeRuntime

    def networks(self) -> frozenset[str]:
        listed = self.docker("network", "ls", "--format", "{{.Name}}", "--filter", "label=" + MADE)
        return frozenset(listed.split())

    def break_service(self, service: str) -> Mapping[str, Any]:
        del service
        return {"command": ["/no/such/program"]}

    def mend_service(self, service: str) -> None:
        del service

    def fall_ill(self, service: str) -> None:
        (container,) = self._ids(service)
        self.docker("exec", container, "rm", "/tmp/well")  # noqa: S108 - inside a container

    def end(self, container: Container, code: int) -> None:
        self.docker("exec", container.id, "sh", "-c", f"echo {code} > /tmp/end")

    def fall(self, container: Container, code: int) -> None:
        self.end(container, code)

    def print_lines(self, service: str, lines: str) -> Mapping[str, Any]:
        del service
        command = a_service()["command"][2]
        return {"command": ["sh", "-c", f"printf '%s\\n' '{lines}'; {command}"]}

    def put_foreign(self, project: str, name: str) -> str:
        labels = ("--label", f"{MADE}={project}x", "--label", f"com.docker.compose.service={name}")
        return self.docker("run", "-d", "--name", f"{project}-{name}", *labels, IMAGE).strip()

    def still_there(self, container: str) -> bool:
        return container in self.docker("ps", "-q", "--no-trunc")

    def put_stranger(self, project: str) -> str:
        command = ("sh", "-c", "sleep 600")
        options = ("-d", "--stop-signal", "SIGKILL", "--label", f"{MADE}={project}")
        return self.docker("run", *options, IMAGE, *command).strip()

    def put_one_off(self, container: Container) -> str:
        told = json.loads(self.docker("inspect", container.id))[0]["Config"]["Labels"]
        told["com.docker.compose.oneoff"] = "True"
        labels = [word for pair in told.items() for word in ("--label", "=".join(pair))]
        command = ("sh", "-c", "sleep 600")
        return self.docker("run", "-d", *labels, IMAGE, *command).strip()

    def restart_always(self, container: Container) -> None:
        self.docker("update", "--restart", "always", container.id)

    def cut_off(self, container: Container) -> None:
        self.docker("network", "disconnect", f"{container.project}_default", container.id)

    def pause(self, container: Container) -> None:
        self.docker("pause", container.id)

    def volumes(self) -> frozenset[str]:
        return frozenset(self.docker("volume", "ls", "-q").split())

    def make_image(self, name: str) -> None:
        made = self.docker("create", "--label", name, IMAGE).strip()
        self.docker("commit", "--change", f"LABEL made={name}", made, name)
        self.docker("rm", made)

    @contextlib.contextmanager
    def hung(self) -> Iterator[Runtime]:
        os.kill(self.engine.pid, signal.SIGSTOP)
        while not _is_stopped(self.engine.pid):  # a thread may still be in the middle of an answer
            pass
        try:
            yield compose_runtime(self.engine, answer=0.3)
        finally:
            os.kill(self.engine.pid, signal.SIGCONT)

    def clear(self) -> None:
        """Remove all that a test left, so that tests do not see each other."""
        for container in self.docker("ps", "-aq").split():
            self.docker("rm", "-f", "-v", container)
        self.docker("network", "prune", "-f")
        for volume in self.docker("volume", "ls", "-q").split():
            self.docker("volume", "rm", "-f", volume)

    def docker(self, *arguments: str) -> str:
        answer = subprocess.run(
            ["docker", *arguments],
            env=self.engine.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def _ids(self, service: str) -> list[str]:
        wanted = f"label=com.docker.compose.service={service}"
        return self.docker("ps", "-q", "--filter", wanted).split()


MADE = "com.docker.compose.project"


def _is_stopped(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def compose_runtime(engine: Engine, **bounds: float) -> ComposeRuntime:
    """The real runtime for an engine; it waits long because test machines are slow."""
    return ComposeRuntime(
        DockerSettings(
            host=engine.docker_host,
            config=engine.docker_config,
            home=engine.folder,
            bounds=Bounds(**{"answer": 20, **bounds}),
        )
    )


def a_service(**changes: Any) -> dict[str, Any]:
    """A service that runs until told to end: by a file that holds its exit code."""
    waiting = "while ! test -s /tmp/end; do sleep 0.05; done; exit $$(cat /tmp/end)"
    return {
        "image": IMAGE,
        "command": ["sh", "-c", f"touch /tmp/well; {waiting}"],
        "stop_signal": "SIGKILL",
        **changes,
    }


def with_check(**changes: Any) -> dict[str, Any]:
    """A service that is healthy for as long as a file is there."""
    command = ["CMD", "test", "-f", "/tmp/well"]  # noqa: S108 - inside a container
    check = {"test": command, "interval": "100ms", "retries": 1}
    return a_service(healthcheck=check, **changes)


def a_project(
    folder: Path, name: str, services: Mapping[str, Mapping[str, Any]], **more: Any
) -> Project:
    """Write a replica's files; each service's hash label is its `x-hash`, or `1`."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {key: str(service.get("x-hash", "1")) for key, service in services.items()}
    (folder / "compose.yaml").write_text(json.dumps({"services": services, **more}))
    overlay = folder.parent / f"{folder.name}.overlay.json"
    labels = {key: {"labels": _labels(name, value)} for key, value in hashes.items()}
    overlay.write_text(json.dumps({"services": labels}))
    return Project(name=f"miaas-{NODE}-{name}", folder=folder, overlay=overlay)


def _labels(replica: str, content: str) -> dict[str, str]:
    return {
        LABEL_NODE: NODE,
        LABEL_DEPLOYMENT: replica.rpartition("-")[0],
        LABEL_REPLICA: replica,
        LABEL_HASH: content,
    }
