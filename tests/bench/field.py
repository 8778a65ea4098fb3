"""One engine, one node and one service, to measure on."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.tour.cables import NAMESPACES
from examples.tour.engines import Engine, cleanup, start_engine
from examples.tour.images import import_image
from examples.tour.repository import FleetRepository
from examples.tour.services import stop_all, wait_for
from examples.tour.stage import Stage, free_port
from examples.tour.world import IMAGE, Host, World

NODE = "bench"
# SIGKILL: a shell as the first process ignores SIGTERM, and both sides would wait ten seconds.
SERVICE = """\
services:
  web:
    image: %s
    pull_policy: never
    command: ["sleep", "infinity"]
    stop_signal: SIGKILL
    environment: {VERSION: %s}
    labels: {bench.version: %s}
"""
FLEET = """\
apiVersion: miaas/v1
kind: Fleet
metadata: {name: bench}
spec:
  timings: {heartbeat: 5m, late: 15m, lost: 30m, poll: 2s}
"""
TEMPLATE = """\
apiVersion: miaas/v1
kind: Template
metadata: {name: bench}
spec:
  description: A container that only exists.
  parameters:
    type: object
    additionalProperties: false
    required: [version]
    properties: {version: {type: string, description: What it is labelled with.}}
"""
DEPLOYMENT = """\
apiVersion: miaas/v1
kind: Deployment
metadata: {name: bench}
spec:
  template: bench
  parameters: {version: "%s"}
"""


@dataclass(frozen=True, slots=True)
class Field:
    """What is measured on: the engine, and a fleet of one node on it."""

    base: Path
    engine: Engine
    stage: Stage


@contextmanager
def field() -> Iterator[Field]:
    """Have an engine and a fleet repository with one node; everything is gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="miaas-bench-"))
    try:
        engine = start_engine("engine", base / "engines")
        import_image(engine, IMAGE)
        entering = ("nsenter", f"--net={NAMESPACES / engine.namespace}") if engine.namespace else ()
        host = Host(
            name=NODE,
            address=engine.address,
            entering=entering,
            docker_host=engine.docker_host,
            docker_config=str(engine.docker_config),
        )
        repository = FleetRepository(base / "fleet.git", base / "fleet")
        stage = Stage(base, World((host,), "one engine"), repository, free_port())
        stage.fill()
        repository.put("fleet.yaml", FLEET)
        repository.put("templates/bench/template.yaml", TEMPLATE)
        service = SERVICE % (IMAGE, "{{ params.version }}", "{{ params.version }}")
        repository.put("templates/bench/compose.yaml.j2", service)
        repository.commit("The service to measure with")
        yield Field(base, engine, stage)
    finally:
        stop_all(base / "run")
        cleanup(base / "engines")
        shutil.rmtree(base)


def deploy(stage: Stage, version: str) -> None:
    """Commit and push the service in another version."""
    stage.repository.put("deployments/bench.yaml", DEPLOYMENT % version)
    stage.repository.commit(f"version {version}")


def runs(engine: Engine, version: str) -> bool:
    """Whether a container of that version runs, by asking the engine directly."""
    filters = {"label": [f"bench.version={version}"], "status": ["running"]}
    query = urllib.parse.urlencode({"filters": json.dumps(filters)})
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(engine.socket))
        connection.request("GET", f"/containers/json?{query}")
        return bool(json.loads(connection.getresponse().read()))
    finally:
        connection.close()


def settled(stage: Stage, seconds: float = 60.0) -> None:
    """Wait until the node reports its replica as running.

    Raises:
        RuntimeError: it does not, in that time.
    """
    if not wait_for(lambda: stage.reported("bench-0").get("state") == "running", seconds):
        logs = [file.read_text()[-2000:] for file in stage.base.glob("run/*.log")]
        raise RuntimeError("the fleet does not come to rest\n" + "\n".join(logs))
