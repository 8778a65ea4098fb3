"""The tour: from an empty machine to a commit that runs, one line a step."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from examples.tour.repository import FleetRepository
from examples.tour.services import TourError, known, stop_all, wait_for
from examples.tour.stage import Stage, fetch, free_port
from examples.tour.world import IMAGE, build, demolish, python_program

Result = TypeVar("Result")

BASE: Final = Path(".demo")
WAIT_SECONDS: Final = 120.0  # 5 to 10 as a rule; a loaded machine needs more
NAME: Final = "hello"
REPLICA: Final = "hello-0"

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
        raise TourError(
            "the demo runs already: .demo/demo.json says where. To begin anew: make demo-down"
        )
    down()
    BASE.mkdir()
    base = BASE.resolve()
    tell = _Teller()
    world = tell("hosts", build(base / "engines"), lambda world: world.says)
    repository = FleetRepository(base / "fleet.git", base / "fleet")
    stage = Stage(base, world, repository, free_port())
    tell("repository", stage.fill(), lambda commit: f"main at {commit}")
    tell("programs", _start(stage), str)
    _wait(lambda: all(stage.heartbeat(host.name) for host in world.hosts), "both heartbeats")
    tell("heartbeats", " and ".join(host.name for host in world.hosts), str)
    tell("commit", _deploy(stage, "Hello from a commit"), str)
    _wait(lambda: stage.node_of(REPLICA), "the decision")
    tell("decision", stage.node_of(REPLICA), lambda node: f"{REPLICA} goes to {node}")
    _wait(lambda: stage.reported(REPLICA).get("state") == "running", f"{REPLICA} to be healthy")
    tell("running", REPLICA, lambda replica: f"{replica} is healthy, says its node's heartbeat")
    if not world.hosts[0].simulated:
        tell("answer", _answer(stage), str)
    _wait(lambda: stage.shown(NAME) == "Healthy", "the page to show it as healthy")
    tell("page", stage.page, lambda page: f"{page} shows both nodes, and {NAME} as healthy")
    _note(stage)
    print(_next_steps(stage))


def down() -> None:
    """Stop the demo and remove all that it made. Nothing to do is fine."""
    if not BASE.exists():
        return
    stopped = stop_all(BASE / "run")
    engines = demolish((BASE / "engines").resolve())
    shutil.rmtree(BASE)
    print(f"demo removed: {stopped} programs, {len(engines)} engines, the folder {BASE}")


class _Teller:
    """Prints one line a step, with the seconds since the tour began."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self, step: str, result: Result, says: Callable[[Result], str]) -> Result:
        """Tell that a step is done, and hand on its result."""
        seconds = time.monotonic() - self._begun
        print(f"{seconds:6.1f} s  {step:<11} {says(result)}", flush=True)
        return result


def _start(stage: Stage) -> str:
    stage.start_reconciler()
    for host in stage.world.hosts:
        stage.start_agent(host)
    stage.start_page()
    return f"a reconciler, {len(stage.world.hosts)} agents, a status page; logs in {BASE}/run"


def _deploy(stage: Stage, text: str) -> str:
    stage.repository.put(f"deployments/{NAME}.yaml", DEPLOYMENT % (IMAGE, json.dumps(text)))
    commit = stage.repository.commit(f"{NAME}: say {text!r}")
    return f"deployments/{NAME}.yaml, pushed as {commit}"


def _answer(stage: Stage) -> str:
    url = stage.service(REPLICA) or ""
    _wait(lambda: "Hello" in (fetch(url) or ""), f"{url} to answer")
    lines = (fetch(url) or "").splitlines()
    return f"curl {url} -> {next((line.strip() for line in lines if 'Hello' in line), '')}"


def _note(stage: Stage) -> None:
    nodes = [
        {
            "name": host.name,
            "address": host.address,
            "docker_host": host.docker_host,
            "state_dir": str(stage.base / "agents" / host.name / "state"),
        }
        for host in stage.world.hosts
    ]
    facts = {
        "page": stage.page,
        "service": stage.service(REPLICA),
        "desired": stage.url,
        "state": stage.url,
        "nodes": nodes,
    }
    text = json.dumps(facts, indent=2) + "\n"
    (stage.base / "demo.json").write_text(text, encoding="utf-8")


def _next_steps(stage: Stage) -> str:
    host = stage.host(stage.node_of(REPLICA) or "")
    remotes = f"--desired {os.path.relpath(stage.url)}"
    engine = "none: simulated" if host.simulated else f"docker -H {host.docker_host} ps"
    service = "none answers: simulated" if host.simulated else stage.service(REPLICA)
    miaas = os.path.relpath(python_program("miaas"))
    return f"""
It runs on {stage.world.says}.

  status page   {stage.page}
  the service   {service}
  its container {engine}

Try next, from here:
  {miaas} status {remotes}
  {miaas} explain {NAME} {remotes}
then in the fleet repository, which is yours to edit:
  cd {os.path.relpath(stage.repository.clone)}
  sed -i 's/text:.*/text: "Changed"/' deployments/{NAME}.yaml
  git commit -qam "{NAME}: say something else" && git push -q
  git rm -q deployments/{NAME}.yaml             # its volume stays
  git commit -qm "remove {NAME}" && git push -q
  git fetch -q && git log origin/assignments    # every decision, with its reason
and back here, when it is enough:
  make demo-down                               # stops and removes all of it
"""


def _wait(condition: Callable[[], object], what: str) -> None:
    if not wait_for(condition, WAIT_SECONDS):
        raise TourError(
            f"waited {WAIT_SECONDS:.0f} s for {what}. Fix: read the logs in {BASE}/run, "
            "then make demo-down and try again"
        )
