"""A small fleet of real programs on one machine, and what can be read of it from Git."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.tour.repository import FleetRepository
from examples.tour.services import Service, start
from examples.tour.world import Host, World, python_program

FLEET = """\
apiVersion: miaas/v1
kind: Fleet
metadata: {name: demo}
spec:
  timings: {heartbeat: 10s, late: 30s, lost: 2m, poll: 2s}
"""
NODE = """\
apiVersion: miaas/v1
kind: Node
metadata:
  name: %s
  labels: {zone: %s}
spec: {}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a fleet plays: a folder, its nodes, its one repository, the port of its page."""

    base: Path
    world: World
    repository: FleetRepository
    page_port: int

    @property
    def url(self) -> str:
        """The repository, for desired and state alike."""
        return str(self.repository.bare)

    @property
    def page(self) -> str:
        """The status page."""
        return f"http://127.0.0.1:{self.page_port}/"

    def fill(self) -> str:
        """Make the repository with the fleet's settings and its nodes; the commit's short id."""
        self.repository.create()
        self.repository.put("fleet.yaml", FLEET)
        for number, host in enumerate(self.world.hosts, start=1):
            self.repository.put(f"nodes/{host.name}.yaml", NODE % (host.name, f"rack-{number}"))
        return self.repository.commit("A fleet of two nodes")

    def start_reconciler(self) -> Service:
        """Start `miaas-reconciler run`."""
        program = python_program("miaas-reconciler")
        folder = str(self.base / "reconciler")
        return self._start("reconciler", (program, "run", *self.remotes(), "--state-dir", folder))

    def start_page(self) -> Service:
        """Start `miaas serve`."""
        port = ("--port", str(self.page_port))
        return self._start("page", (python_program("miaas"), "serve", *self.remotes(), *port))

    def start_agent(self, host: Host) -> Service:
        """Start `miaas-agent run` on a node, inside its network where it has one."""
        return self._start(f"agent-{host.name}", self.agent(host, "run"))

    def agent(self, host: Host, command: str) -> tuple[str, ...]:
        """The words that run a command of a node's agent."""
        folder = self.base / "agents" / host.name
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"node": host.name, "state_url": self.url, "state_dir": str(folder / "state")}
        if host.simulated:
            settings["runtime"] = "simulated"
        else:
            settings |= {"docker_host": host.docker_host, "docker_config": host.docker_config}
        config = folder / "agent.toml"
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        config.write_text("".join(lines), encoding="utf-8")
        return (*host.entering, python_program("miaas-agent"), command, "--config", str(config))

    def remotes(self) -> tuple[str, ...]:
        """The words that tell a program where the repository is."""
        return ("--desired", self.url, "--state", self.url)

    def environment(self) -> dict[str, str]:
        """A small environment for the programs, so that this terminal's does not leak in."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.base)}

    def heartbeat(self, node: str) -> dict[str, Any]:
        """A node's last heartbeat; empty before the first."""
        return self._json(f"refs/miaas/nodes/{node}:heartbeat.json")

    def assignment(self, node: str) -> dict[str, Any]:
        """A node's assignment; empty before the first."""
        return self._json(f"refs/miaas/assigned/{node}:assignment.json")

    def host(self, name: str) -> Host:
        """The node of that name."""
        return next(host for host in self.world.hosts if host.name == name)

    def node_of(self, replica: str) -> str | None:
        """Where a replica is assigned; None: nowhere."""
        for host in self.world.hosts:
            if any(each["name"] == replica for each in self.assigned(host.name)):
                return host.name
        return None

    def assigned(self, node: str) -> list[dict[str, Any]]:
        """The replicas that a node is to run."""
        replicas: list[dict[str, Any]] = self.assignment(node).get("replicas", [])
        return replicas

    def reported(self, replica: str) -> dict[str, Any]:
        """What its node says of a replica; empty: nothing yet."""
        for host in self.world.hosts:
            for each in self.heartbeat(host.name).get("replicas", ()):
                if each["name"] == replica:
                    found: dict[str, Any] = each
                    return found
        return {}

    def service(self, replica: str) -> str | None:
        """Where a replica's port `http` answers; None: it has none yet."""
        for host in self.world.hosts:
            for each in self.assigned(host.name):
                if each["name"] == replica:
                    return f"http://{host.address}:{each['ports']['http']}/"
        return None

    def shown(self, deployment: str) -> str:
        """The health of a deployment as the page's API tells it; empty: not known there."""
        answer = json.loads(fetch(f"{self.page}api/v1/deployments/{deployment}") or "{}")
        return str(answer.get("deployment", {}).get("health", {}).get("state", ""))

    def _start(self, name: str, command: tuple[str, ...]) -> Service:
        return start(name, command, self.base / "run", self.environment())

    def _json(self, revision: str) -> dict[str, Any]:
        text = self.repository.show(revision)
        found: dict[str, Any] = json.loads(text) if text else {}
        return found


def fetch(url: str) -> str | None:
    """GET a page. None: no answer, or a refusal."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own pages
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return None


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
