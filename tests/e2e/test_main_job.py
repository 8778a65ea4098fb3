"""One commit becomes a running container, a second changes it, a third removes it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from examples.tour.repository import FleetRepository
from examples.tour.services import wait_for
from examples.tour.stage import Stage, fetch
from examples.tour.world import IMAGE

pytestmark = pytest.mark.e2e

TEMPLATES = Path(__file__).parents[2] / "templates"
BOUND_SECONDS = 60.0
OF_KEEPER = ("ps", "--all", "--quiet", "--filter", "label=io.miaas.replica=keeper-0")
DEPLOYMENT = """\
apiVersion: miaas/v1
kind: Deployment
metadata: {name: %s}
spec:
  template: http-echo
  replicas: %d
  parameters: {image: "%s", pullPolicy: never, text: "%s"}
  placement: {spread: [{over: miaas/node}]}
"""


def deploy(stage: Stage, name: str, text: str, replicas: int = 1) -> None:
    stage.repository.put(f"deployments/{name}.yaml", DEPLOYMENT % (name, replicas, IMAGE, text))
    stage.repository.commit(f"{name}: {text}")


def eventually(condition: Callable[[], object], stage: Stage) -> None:
    """Wait with a bound; on failure the programs' logs tell why."""
    if not wait_for(condition, BOUND_SECONDS):
        logs = [f"== {log.name}\n{log.read_text()[-3000:]}" for log in stage.base.glob("run/*.log")]
        pytest.fail(f"not within {BOUND_SECONDS:.0f} s\n" + "\n".join(logs))


def running(stage: Stage, replica: str) -> bool:
    return stage.reported(replica).get("state") == "running"


def says(stage: Stage, replica: str, text: str) -> bool:
    return text in (fetch(stage.service(replica) or "http://127.0.0.1:9/") or "")


def docker(stage: Stage, node: str, *words: str) -> str:
    host = stage.host(node)
    done = subprocess.run(
        ["docker", "-H", host.docker_host, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _git(repository: FleetRepository, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repository.bare), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_one_commit_becomes_a_running_container_on_each_of_two_engines(stage: Stage) -> None:
    deploy(stage, "hello", "first text", replicas=2)

    eventually(lambda: running(stage, "hello-0") and running(stage, "hello-1"), stage)

    assert {stage.node_of("hello-0"), stage.node_of("hello-1")} == {"gpu-1", "gpu-2"}
    for replica in ("hello-0", "hello-1"):
        eventually(partial(says, stage, replica, "first text"), stage)
        node = stage.node_of(replica)
        assert node is not None
        names = docker(stage, node, "ps", "--format", '{{.Label "io.miaas.replica"}}')
        assert names.split() == [replica]


def test_the_page_lists_both_nodes_and_the_deployment_as_healthy(stage: Stage) -> None:
    eventually(lambda: stage.shown("hello") == "Healthy", stage)

    page = fetch(stage.page) or ""
    assert "gpu-1" in page
    assert "gpu-2" in page
    assert "hello" in page
    assert json.loads(fetch(f"{stage.page}health") or "{}")["status"] == "ok"


def test_a_second_commit_changes_what_runs(stage: Stage) -> None:
    deploy(stage, "hello", "second text", replicas=2)

    eventually(lambda: says(stage, "hello-0", "second text"), stage)
    eventually(lambda: says(stage, "hello-1", "second text"), stage)
    eventually(lambda: running(stage, "hello-0") and running(stage, "hello-1"), stage)


def test_a_broken_file_is_told_and_stops_nothing(stage: Stage) -> None:
    ids = {node: docker(stage, node, "ps", "--quiet") for node in ("gpu-1", "gpu-2")}
    stage.repository.put(
        "deployments/hello.yaml", "apiVersion: miaas/v1\nkind: Deployment\nspec: ["
    )
    stage.repository.commit("break hello")

    def told() -> bool:
        text = stage.repository.show("refs/heads/assignments:decision.json") or ""
        return "deployments/hello.yaml" in text

    eventually(told, stage)
    eventually(lambda: "deployments/hello.yaml:" in (fetch(f"{stage.page}problems") or ""), stage)

    assert says(stage, "hello-0", "second text")
    assert ids == {node: docker(stage, node, "ps", "--quiet") for node in ("gpu-1", "gpu-2")}
    deploy(stage, "hello", "second text", replicas=2)
    eventually(lambda: "hello.yaml:" not in (fetch(f"{stage.page}problems") or ""), stage)


def test_two_passes_without_a_change_write_nothing(stage: Stage) -> None:
    def tips() -> str:
        return _git(
            stage.repository,
            "for-each-ref",
            "--format=%(objectname) %(refname)",
            "refs/heads/assignments",
            "refs/miaas/assigned",
        )

    def two_passes_write_nothing() -> bool:
        before = tips()
        beats = {host.name: stage.heartbeat(host.name)["sequence"] for host in stage.world.hosts}
        # Every heartbeat wakes the reconciler: two of each node are at least two passes.
        eventually(
            lambda: all(stage.heartbeat(node)["sequence"] >= at + 2 for node, at in beats.items()),
            stage,
        )
        return tips() == before

    # What the commit before brought may still be on its way to rest.
    eventually(two_passes_write_nothing, stage)


def test_the_log_of_decisions_names_commit_and_reason(stage: Stage) -> None:
    log = _git(stage.repository, "log", "--format=%B%x00", "assignments").split("\0")
    told = [message for message in log if message.strip()]

    assert len(told) >= 2
    for message in told:
        assert "\nSource: " in message
        assert "\nReason: " in message


def test_a_third_commit_removes_it_and_its_volume_stays(stage: Stage) -> None:
    node = stage.node_of("hello-0") or ""
    (stage.repository.clone / "deployments/hello.yaml").unlink()
    stage.repository.commit("remove hello")

    eventually(lambda: not docker(stage, "gpu-1", "ps", "--all", "--quiet"), stage)
    eventually(lambda: not docker(stage, "gpu-2", "ps", "--all", "--quiet"), stage)
    eventually(lambda: not stage.reported("hello-0"), stage)

    networks = docker(stage, node, "network", "ls", "--format", "{{.Name}}").split()
    assert not [name for name in networks if name.startswith("miaas-")]
    assert docker(stage, node, "volume", "ls", "--quiet").split() == [f"miaas-{node}-hello-0_state"]


def test_a_revert_brings_a_replica_back_to_its_data(stage: Stage) -> None:
    _add_keeper(stage)
    _set_duty(stage, "gpu-1", "cordoned")
    stage.repository.put("deployments/keeper.yaml", KEEPER % IMAGE)
    stage.repository.commit("keep something, while gpu-1 takes nothing")
    eventually(lambda: running(stage, "keeper-0"), stage)
    assert stage.node_of("keeper-0") == "gpu-2"
    container = docker(stage, "gpu-2", *OF_KEEPER)
    docker(stage, "gpu-2", "exec", container, "sh", "-c", "echo kept > /www/state/note")
    _set_duty(stage, "gpu-1", "active")
    stage.repository.commit("gpu-1 takes everything again")
    (stage.repository.clone / "deployments/keeper.yaml").unlink()
    stage.repository.commit("remove keeper")
    eventually(lambda: not docker(stage, "gpu-2", *OF_KEEPER), stage)
    eventually(lambda: not stage.reported("keeper-0"), stage)

    _revert(stage)

    # Its labels and the order of names both speak for gpu-1.
    eventually(lambda: running(stage, "keeper-0"), stage)
    assert stage.node_of("keeper-0") == "gpu-2"
    page = fetch(f"{stage.service('keeper-0')}state/note")
    assert page == "kept\n"
    (replica,) = stage.assigned("gpu-2")
    assert replica["why"]["text"] == "its data is there"


KEEPER = """\
apiVersion: miaas/v1
kind: Deployment
metadata: {name: keeper}
spec:
  template: keeper
  parameters: {image: "%s", pullPolicy: never}
  placement: {prefer: [{key: zone, operator: In, values: [rack-1]}]}
"""


def _add_keeper(stage: Stage) -> None:
    """Give the fleet a template like `http-echo` whose volume holds what must not be lost."""
    for file in sorted((TEMPLATES / "http-echo").iterdir()):
        text = file.read_text(encoding="utf-8")
        if file.name == "template.yaml":
            text = text.replace("name: http-echo", "name: keeper") + "  volumes: [state]\n"
        stage.repository.put(f"templates/keeper/{file.name}", text)


def _set_duty(stage: Stage, node: str, duty: str) -> None:
    path = f"nodes/{node}.yaml"
    record = (stage.repository.clone / path).read_text(encoding="utf-8")
    stage.repository.put(path, re.sub(r"spec: .*", f"spec: {{duty: {duty}}}", record))


def _revert(stage: Stage) -> None:
    """Undo the last commit, as a person would."""
    for words in (("revert", "--no-edit", "HEAD"), ("push", "--quiet", "origin", "main")):
        subprocess.run(["git", "-C", str(stage.repository.clone), *words], check=True)
