"""What a pass without a change costs on a node that runs 200 deployments' worth of replicas."""

from __future__ import annotations

import statistics
from pathlib import Path

from examples.tour.services import stop_all, wait_for
from examples.tour.world import IMAGE
from tests.bench.agent_noop import cost, installed, whole_path
from tests.bench.field import Field, field

REPLICAS = 200
RUNS = 9
START_SECONDS = 900.0
# Alone, without a network: two hundred of those are more than an engine has addresses for.
COMPOSE = """\
services:
  web:
    image: %s
    pull_policy: never
    command: ["sleep", "infinity"]
    stop_signal: SIGKILL
    network_mode: none
"""
DEPLOYMENT = """\
apiVersion: miaas/v1
kind: Deployment
metadata: {name: many-%d}
spec:
  template: bench
  parameters: {version: "1"}
"""


def measure() -> dict[str, float]:
    """Median CPU of a fresh process and the git it runs: by a glance, and by a whole pass."""

    program = installed()
    with field() as here:
        here.stage.repository.put("templates/bench/compose.yaml.j2", COMPOSE % IMAGE)
        for number in range(REPLICAS):
            here.stage.repository.put(f"deployments/many-{number}.yaml", DEPLOYMENT % number)
        here.stage.repository.commit(f"{REPLICAS} deployments")
        here.stage.start_reconciler()
        (host,) = here.stage.world.hosts
        here.stage.start_agent(host)
        _all_run(here)
        stop_all(here.base / "run")
        words = here.stage.agent(host, "once")
        command = [whole_path(word, program) for word in words]
        memo = here.base / "agents" / host.name / "state" / "memo.json"
        environment = here.stage.environment()
        for _ in range(3):
            cost(command, environment)
        glances = [cost(command, environment) for _ in range(RUNS)]
        passes = [_whole_pass(command, environment, memo) for _ in range(RUNS)]
    return {
        "agent_200_noop_cpu_ms": round(statistics.median(cpu for cpu, _ in glances) * 1000, 1),
        "agent_200_whole_pass_cpu_ms": round(statistics.median(passes) * 1000, 1),
    }


def _whole_pass(command: list[str], environment: dict[str, str], memo: Path) -> float:
    """CPU seconds of a pass that cannot rely on what the last one left."""
    memo.unlink(missing_ok=True)
    cpu, _ = cost(command, environment)
    return cpu


def _all_run(here: Field) -> None:
    """Wait until the node says that everything runs.

    Raises:
        RuntimeError: it does not, in that time.
    """

    def running() -> int:
        (host,) = here.stage.world.hosts
        replicas = here.stage.heartbeat(host.name).get("replicas", ())
        return sum(each["state"] == "running" for each in replicas)

    if not wait_for(lambda: running() == REPLICAS, START_SECONDS):
        logs = [file.read_text()[-2000:] for file in here.base.glob("run/*.log")]
        raise RuntimeError(f"{running()} of {REPLICAS} run\n" + "\n".join(logs))


if __name__ == "__main__":
    print(measure())
