"""A whole fleet of real things: engines, agents behind cables, a Git server, reconcilers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from examples.tour.repository import FleetRepository
from examples.tour.services import Service, known, start, stop_all
from examples.tour.stage import fetch
from examples.tour.world import python_program
from schemas.layout import ASSIGNMENTS_REF, LEADER_REF, assigned_ref, heartbeat_ref
from schemas.names import NodeName
from tests.e2e.worst_day.documents import COMPOSE, FLEET, RECORD, START, TEMPLATE
from tests.e2e.worst_day.eye import Eye
from tests.e2e.worst_day.node import Node
from tests.e2e.worst_day.slow_forge import SlowPushes

PATIENCE_SECONDS = 120.0  # for what should have happened long before, on a busy machine too


@dataclass
class Fleet:
    """Everything, and what a test does to it. told: what was measured."""

    folder: Path
    nodes: dict[str, Node]
    repository: FleetRepository
    eye: Eye
    slow: SlowPushes
    told: list[str] = field(default_factory=list)

    # what people do

    def create(self) -> None:
        self.repository.create()
        self._git("config", "http.receivepack", "true")
        self.write("fleet.yaml", FLEET)
        self.write("templates/page/template.yaml", TEMPLATE)
        self.write("templates/page/compose.yaml.j2", COMPOSE)
        self.write("templates/page/start.sh", START)
        self.write("templates/page/index.html.j2", "{{ params.text }} of {{ replica.name }}\n")
        for name in self.nodes:
            self.duty(name, "active")
        self.commit("a fleet")

    def write(self, path: str, text: str) -> None:
        self.repository.put(path, text)

    def duty(self, node: str, duty: str) -> None:
        self.write(f"nodes/{node}.yaml", RECORD % (node, node, duty))

    def deploy(self, name: str, *, on: str = "", parameters: str = "", **spec: str) -> None:
        """Write a deployment. on: the node that it prefers. spec: more of it, as YAML."""
        lines = [f"  {key}: {value}" for key, value in spec.items()]
        if on:
            prefer = f"[{{key: place, operator: In, values: [{on}], weight: 100}}]"
            lines.append(f"  placement: {{prefer: {prefer}}}")
        head = f"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"
        body = f"spec:\n  template: page\n  parameters: {{{parameters}}}\n"
        self.write(f"deployments/{name}.yaml", head + body + "\n".join(lines) + "\n")

    def remove(self, name: str) -> None:
        (self.repository.clone / f"deployments/{name}.yaml").unlink()

    def commit(self, message: str) -> None:
        """Commit and push everything, if anything changed."""
        status = ("git", "-C", str(self.repository.clone), "status", "--porcelain")
        if subprocess.run(status, check=True, capture_output=True).stdout:
            self.repository.commit(message)

    # reconcilers

    def start_reconciler(self, name: str = "one") -> None:
        url = str(self.repository.bare)
        words = (python_program("miaas-reconciler"), "run", "--desired", url, "--name", name)
        folder = ("--state-dir", str(self.folder / name))
        environment = {"PATH": os.pathsep.join(os.get_exec_path()), "HOME": str(self.folder)}
        start(name, (*words, *folder), self.folder / "reconcilers", environment)

    def reconciler(self, name: str = "one") -> Service | None:
        """The reconciler that runs; None: it does not."""
        running = known(self.folder / "reconcilers")
        return next((one for one in running if one.name == name), None)

    def kill_reconciler(self, name: str = "one") -> None:
        found = self.reconciler(name)
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        self.wait(lambda: self.reconciler(name) is None)

    def said(self, name: str = "one") -> str:
        """All that a reconciler said so far."""
        return (self.folder / "reconcilers" / f"{name}.log").read_text(errors="replace")

    # what Git says

    def node_of(self, replica: str) -> str | None:
        """Where a replica is assigned; None: nowhere."""
        return next((node for node in self.nodes if self.assigned(node, replica)), None)

    def assigned(self, node: str, replica: str) -> dict[str, Any]:
        """A replica in the assignment of a node; empty: it is not there."""
        found = self._json(f"{assigned_ref(NodeName(node))}:assignment.json")
        return _named(found.get("replicas", ()), replica)

    def reported(self, node: str, replica: str) -> dict[str, Any]:
        """What a node says of a replica; empty: nothing."""
        return _named(self.heartbeat(node).get("replicas", ()), replica)

    def heartbeat(self, node: str) -> dict[str, Any]:
        return self._json(f"{heartbeat_ref(NodeName(node))}:heartbeat.json")

    def decision(self, deployment: str) -> dict[str, Any]:
        """What became of a deployment; empty: nothing yet."""
        found = self._json(f"{ASSIGNMENTS_REF}:decision.json")
        return _named(found.get("deployments", ()), deployment)

    def epoch(self, replica: str) -> int:
        """The epoch of who holds a replica, or last held it."""
        found = self._json(f"{ASSIGNMENTS_REF}:decision.json")
        return next(
            (int(one["epoch"]) for one in found.get("tenures", ()) if one["replica"] == replica), 0
        )

    def is_linear(self) -> bool:
        return self._git("rev-list", "--min-parents=2", ASSIGNMENTS_REF) == ""

    def urls(self, deployment: str) -> list[str]:
        """Where the replicas of a deployment answer."""
        return [
            f"http://{node.engine.address}:{one['ports']['http']}/"
            for name, node in self.nodes.items()
            for one in self._json(f"{assigned_ref(NodeName(name))}:assignment.json").get(
                "replicas", ()
            )
            if one["deployment"] == deployment and one.get("ports")
        ]

    def runs(self, replica: str, node: str) -> bool:
        """Whether a replica is up on one node, alone, and its agent said so in this version."""
        tree = self._git_or_none("rev-parse", f"{ASSIGNMENTS_REF}:nodes/{node}/{replica}")
        said = self.reported(node, replica)
        return (
            self.eye.running(replica) == [node]
            and said.get("state") == "running"
            and tree is not None
            and said.get("observed") == tree
        )

    def home(self, replica: str) -> str:
        """Wait until a replica is up somewhere, alone, and say where."""
        self.wait(lambda: any(self.runs(replica, node) for node in self.nodes))
        found = self.node_of(replica)
        assert found is not None
        return found

    def says(self, deployment: str, text: str) -> bool:
        """Whether some replica of a deployment answers with a text."""
        return any(text in (fetch(url) or "") for url in self.urls(deployment))

    def is_everywhere(self, deployment: str, text: str) -> bool:
        """Whether all of a deployment answers with a text, and its rollout is over."""
        urls = self.urls(deployment)
        return (
            bool(urls)
            and self.decision(deployment).get("phase", "settled") != "rolling"
            and all(text in (fetch(url) or "") for url in urls)
        )

    def is_settled(self, deployment: str) -> bool:
        """Whether the newest version of a deployment is the one to fall back on."""
        found = self.decision(deployment)
        return bool(found) and found.get("phase", "settled") == "settled"

    def leader(self) -> str:
        """Who leads; empty: nobody yet."""
        return str(self._json(f"{LEADER_REF}:leader.json").get("holder", ""))

    def obeys(self, node: str) -> bool:
        """Whether a node says that it follows the newest of its assignments."""
        told = self._json(f"{assigned_ref(NodeName(node))}:assignment.json")
        return bool(told) and self.heartbeat(node).get("generation") == told.get("generation")

    def hear(self, node: str, beats: int) -> None:
        """Wait for some more heartbeats of a node."""
        last, heard = self.heartbeat(node).get("sequence"), 0

        def enough() -> bool:
            nonlocal last, heard
            now = self.heartbeat(node).get("sequence")
            if now != last:
                last, heard = now, heard + 1
            return heard >= beats

        self.wait(enough)

    # waiting

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait with a bound. On failure the programs' logs tell why."""
        end, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"not within {PATIENCE_SECONDS:.0f} s\n{self.logs()}")
            pause.wait(0.1)

    def logs(self) -> str:
        files = (*self.folder.glob("*/*.log"), *self.folder.glob("nodes/*/*.log"))
        return "\n".join(f"== {file}\n{file.read_text(errors='replace')[-4000:]}" for file in files)

    def tell(self, line: str) -> None:
        """Keep a measurement for the report of the run; nothing is asserted of it."""
        self.told.append(line)

    # healing

    def heal(self) -> None:
        """End all that was done to the fleet, and wait until it is at rest and empty."""
        self.slow.node = ""
        for node in self.nodes.values():
            node.reconnect()
            agent = node.agent()
            if agent is not None:
                os.kill(agent.pid, signal.SIGCONT)
            if not node.engine_lives():
                node.start_engine()
            if agent is None:
                node.start_agent()
        for service in known(self.folder / "reconcilers"):
            if service.name != "one":
                self.kill_reconciler(service.name)
        for file in (self.repository.clone / "deployments").glob("*.yaml"):
            file.unlink()
        for name in self.nodes:
            self.duty(name, "active")
        self.write("fleet.yaml", FLEET)
        self.commit("nothing runs")
        if self.reconciler() is None:
            self.start_reconciler()
        self.wait(self._is_empty)

    def _is_empty(self) -> bool:
        return all(
            not self.eye.on(node.engine)
            and self.heartbeat(name)
            and not self.heartbeat(name).get("replicas")
            and not self._json(f"{assigned_ref(NodeName(name))}:assignment.json").get("replicas")
            for name, node in self.nodes.items()
        )

    def stop(self) -> None:
        for node in self.nodes.values():
            if node.agent() is not None:
                node.signal_agent(signal.SIGCONT)
            stop_all(node.folder)
        stop_all(self.folder / "reconcilers")

    def _json(self, spot: str) -> dict[str, Any]:
        text = self._git_or_none("show", spot)
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def _git(self, *words: str) -> str:
        found = self._git_or_none(*words)
        assert found is not None, f"git {' '.join(words)}"
        return found

    def _git_or_none(self, *words: str) -> str | None:
        command = ("git", f"--git-dir={self.repository.bare}", *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() if done.returncode == 0 else None


def _named(entries: Any, name: str) -> dict[str, Any]:
    return next((dict(one) for one in entries if one["name"] == name), {})
