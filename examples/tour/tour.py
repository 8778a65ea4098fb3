"""The tour: from an empty machine to a commit that runs, one line a step."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from examples.tour.repository import FleetRepository
from examples.tour.services import TourError, known, start, stop_all, wait_for
from examples.tour.world import IMAGE, Host, World, build, demolish, python_program

Result = TypeVar("Result")

BASE: Final = Path(".demo")
RUNNING_SECONDS: Final = 120.0  # 5 to 10 as a rule; a loaded machine needs more
NAME: Final = "hello"

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
DEPLOYMENT = """\
apiVersion: miaas/v1
kind: Deployment
metadata: {name: hello}
spec:
  template: http-echo
  parameters:
    image: %s
    pullPolicy: never
    text: %s
"""


def up() -> None:
    """Build the demo fleet, commit a deployment, and wait until it answers."""
    if known(BASE / "run"):
        raise TourError("the demo runs already. Fix: make demo-down, and then make demo again")
    down()
    BASE.mkdir()
    base = BASE.resolve()
    clock = _Clock()
    world = _step(clock, "hosts", lambda: build(base / "engines"), lambda world: world.says)
    repository = FleetRepository(base / "fleet.git", base / "fleet")
    _step(clock, "repository", lambda: _fill(repository), lambda commit: f"main at {commit}")
    page = f"http://127.0.0.1:{_free_port()}/"
    _step(clock, "programs", lambda: _start(base, world, repository, page), str)
    _step(clock, "heartbeats", lambda: _both_speak(repository), str)
    _step(clock, "commit", lambda: deploy(repository, "Hello from a commit"), str)
    node = _step(clock, "decision", lambda: _placed(repository), lambda node: f"{NAME}-0 on {node}")
    _step(clock, "running", lambda: _running(repository, node), str)
    host = next(host for host in world.hosts if host.name == node)
    service = f"http://{host.address}:{_port(repository, node)}/"
    if not host.simulated:
        _step(clock, "answer", lambda: _answer(service), str)
    _step(clock, "page", lambda: _page_shows(page), str)
    _note(base, world, repository, page, service)
    print(_next_steps(world, repository, page, service, host))


def down() -> None:
    """Stop the demo and remove all that it made. Nothing to do is fine."""
    stopped = stop_all(BASE / "run") if (BASE / "run").exists() else 0
    engines = demolish((BASE / "engines").resolve()) if (BASE / "engines").exists() else ()
    if BASE.exists():
        shutil.rmtree(BASE)
        print(f"demo removed: {stopped} programs, {len(engines)} engines, folder {BASE}")


def deploy(repository: FleetRepository, text: str) -> str:
    """Commit the demo deployment with a text of its own; give back what was done."""
    repository.put(f"deployments/{NAME}.yaml", DEPLOYMENT % (IMAGE, json.dumps(text)))
    commit = repository.commit(f"{NAME}: say {text!r}")
    return f"deployments/{NAME}.yaml, pushed as {commit}"


class _Clock:
    """Seconds since the tour began, for the progress lines."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._begun


def _step(
    clock: _Clock, name: str, work: Callable[[], Result], tell: Callable[[Result], str]
) -> Result:
    result = work()
    print(f"{clock.seconds():6.1f} s  {name:<11} {tell(result)}", flush=True)
    return result


def _fill(repository: FleetRepository) -> str:
    repository.create()
    repository.put("fleet.yaml", FLEET)
    for number, name in enumerate(("gpu-1", "gpu-2"), start=1):
        repository.put(f"nodes/{name}.yaml", NODE % (name, f"rack-{number}"))
    return repository.commit("A fleet of two nodes")


def _start(base: Path, world: World, repository: FleetRepository, page: str) -> str:
    run, url = base / "run", str(repository.bare)
    environment = {"PATH": os.environ["PATH"], "HOME": str(base)}
    remotes = ("--desired", url, "--state", url)
    start(
        "reconciler",
        (
            python_program("miaas-reconciler"),
            "run",
            *remotes,
            "--state-dir",
            str(base / "reconciler"),
        ),
        run,
        environment,
    )
    for host in world.hosts:
        start(f"agent-{host.name}", _agent(base, host, url), run, environment)
    port = page.rstrip("/").rpartition(":")[2]
    start("page", (python_program("miaas"), "serve", *remotes, "--port", port), run, environment)
    return f"1 reconciler, {len(world.hosts)} agents, 1 status page; logs in {BASE}/run"


def _agent(base: Path, host: Host, url: str) -> tuple[str, ...]:
    """The words that start a node's agent, on that node where it has a network of its own."""
    folder = base / "agents" / host.name
    folder.mkdir(parents=True)
    settings = {"node": host.name, "state_url": url, "state_dir": str(folder / "state")}
    if host.simulated:
        settings["runtime"] = "simulated"
    else:
        settings |= {"docker_host": host.docker_host, "docker_config": host.docker_config}
    config = folder / "agent.toml"
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return (*host.entering, python_program("miaas-agent"), "run", "--config", str(config))


def _both_speak(repository: FleetRepository) -> str:
    nodes = ("gpu-1", "gpu-2")

    def spoken() -> bool:
        return all(_json(repository, f"refs/miaas/nodes/{node}:heartbeat.json") for node in nodes)

    _wait(spoken, "a first heartbeat of both nodes")
    return " and ".join(nodes)


def _placed(repository: FleetRepository) -> str:
    def node() -> str | None:
        for name in ("gpu-1", "gpu-2"):
            assigned = _json(repository, f"refs/miaas/assigned/{name}:assignment.json")
            if any(replica["name"] == f"{NAME}-0" for replica in assigned.get("replicas", ())):
                return name
        return None

    _wait(node, "the decision")
    return node() or ""


def _running(repository: FleetRepository, node: str) -> str:
    def states() -> list[str]:
        beat = _json(repository, f"refs/miaas/nodes/{node}:heartbeat.json")
        return [each["state"] for each in beat.get("replicas", ()) if each["name"] == f"{NAME}-0"]

    _wait(lambda: states() == ["running"], f"{NAME}-0 to be healthy")
    return f"{NAME}-0 is healthy, says the heartbeat of {node}"


def _port(repository: FleetRepository, node: str) -> int:
    assigned = _json(repository, f"refs/miaas/assigned/{node}:assignment.json")
    (replica,) = (each for each in assigned["replicas"] if each["name"] == f"{NAME}-0")
    return int(replica["ports"]["http"])


def _answer(service: str) -> str:
    body: list[str] = []

    def answers() -> bool:
        body[:] = [_get(service) or ""]
        return "Hello" in body[0]

    _wait(answers, f"{service} to answer")
    line = next(line for line in body[0].splitlines() if "Hello" in line)
    return f"curl {service} -> {line.strip()}"


def _page_shows(page: str) -> str:
    def healthy() -> bool:
        api = json.loads(_get(f"{page}api/v1/deployments/{NAME}") or "{}")
        return str(api.get("health", "")).lower() == "healthy"

    _wait(healthy, "the page to show it as healthy")
    return f"{page} shows two nodes and {NAME} as healthy"


def _note(base: Path, world: World, repository: FleetRepository, page: str, service: str) -> None:
    nodes = [
        {
            "name": host.name,
            "address": host.address,
            "docker_host": host.docker_host,
            "state_dir": str(base / "agents" / host.name / "state"),
        }
        for host in world.hosts
    ]
    url = str(repository.bare)
    facts = {"page": page, "service": service, "desired": url, "state": url, "nodes": nodes}
    (base / "demo.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _next_steps(
    world: World, repository: FleetRepository, page: str, service: str, host: Host
) -> str:
    clone = os.path.relpath(repository.clone)
    remotes = f"--desired {os.path.relpath(repository.bare)}"
    engine = (
        f"docker -H {host.docker_host} ps" if not host.simulated else "(simulated: no containers)"
    )
    miaas = os.path.relpath(python_program("miaas"))
    return f"""
It runs on {world.says}.

  status page   {page}
  the service   {service}
  its container {engine}

Try next, in another terminal or here:
  cd {clone}                  # the fleet repository, yours to edit
  sed -i 's/text:.*/text: "Changed"/' deployments/{NAME}.yaml
  git commit -qam "{NAME}: say something else" && git push -q
  git rm -q deployments/{NAME}.yaml             # its volume stays
  git commit -qm "remove {NAME}" && git push -q
  git fetch -q && git log origin/assignments    # every decision, with its reason
From here:
  {miaas} status {remotes}
  {miaas} explain {NAME} {remotes}
  make demo-down                                # stops and removes all of it
"""


def _wait(condition: Callable[[], object], what: str) -> None:
    if not wait_for(condition, RUNNING_SECONDS):
        raise TourError(
            f"waited {RUNNING_SECONDS:.0f} s for {what}. Fix: read the logs in {BASE}/run, "
            "then make demo-down and try again"
        )


def _json(repository: FleetRepository, revision: str) -> dict[str, Any]:
    text = repository.show(revision)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own page
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
