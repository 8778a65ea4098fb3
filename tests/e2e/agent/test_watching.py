"""Falls, logs, probes and rollback of real containers, by the real agent beside its engine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from examples.tour.cables import NAMESPACES
from examples.tour.world import python_program
from schemas.heartbeat import ReplicaReport
from schemas.probes import Probe, ProbeKind
from tests.e2e.agent.host import IMAGE, PASS_SECONDS, ROOT, Host, eventually

pytestmark = pytest.mark.e2e

PORT = 20000
HTTP = Probe(name="http", port="http", path="/ready", interval_seconds=1, start_period_seconds=0)
TCP = Probe(
    name="tcp",
    port="http",
    kind=ProbeKind.TCP,
    interval_seconds=1,
    start_period_seconds=0,
    failure_threshold=1,
)
SERVER = "mkdir -p /tmp/www; touch /tmp/www/ready; exec httpd -f -p 8080 -h /tmp/www"


def compose(command: str, **service: Any) -> dict[str, str]:
    web = {
        "image": IMAGE,
        "command": ["sh", "-c", command],
        "restart": "unless-stopped",
        "stop_grace_period": "0s",
        **service,
    }
    return {"compose.yaml": json.dumps({"services": {"web": web}})}


def publish(host: Host, files: dict[str, str], **of_replicas: Any) -> None:
    try:
        host.publisher.publish(
            {"chat-0": files}, of_replicas=of_replicas, heartbeat_seconds=1, poll_seconds=1
        )
    finally:
        host.publisher.remote.close()


def once(host: Host) -> None:
    """Make one pass from inside the network of the engine, where an agent belongs."""
    answer = subprocess.run(
        [
            *("nsenter", f"--net={NAMESPACES / host.engine.namespace}"),
            *(python_program("miaas-agent"), "once", "--now", "--node", host.node),
            *("--state-url", str(host.bare), "--state-dir", str(host.state)),
            *("--docker-host", host.engine.docker_host),
            *("--docker-config", str(host.docker_config)),
        ],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PASS_SECONDS,
        check=False,
    )
    assert answer.returncode in {0, 3}, answer.stderr


def report(host: Host) -> ReplicaReport:
    (found,) = host.heartbeat().replicas
    return found


def comes_to(host: Host, state: str, words: str) -> None:
    """Make passes until the report says so."""

    def does() -> bool:
        once(host)
        return str(report(host).state) == state and words in report(host).message

    eventually(does)


def test_a_crash_loop_is_told_with_its_log_and_without_secrets(
    a_host: Callable[[], Host],
) -> None:
    host = a_host()
    command = 'echo "token is $$HF_TOKEN"; echo "cannot load the model" >&2; sleep 0.3; exit 3'
    publish(host, compose(command, environment={"HF_TOKEN": "not-for-the-log"}))

    comes_to(host, "failed", "crash loop: service web")

    (tail,) = report(host).logs
    assert "cannot load the model" in tail.text
    assert "token is ****" in tail.text
    assert "not-for-the-log" not in host.heartbeat().__repr__()


def test_a_replica_is_ready_when_its_port_answers(a_host: Callable[[], Host]) -> None:
    host = a_host()
    files = compose(SERVER, ports=[f"{PORT}:8080"])
    publish(host, files, probes=(HTTP,), ports={"http": PORT})

    comes_to(host, "running", "")

    host.inside("chat-0/web", "rm /tmp/www/ready")
    comes_to(host, "degraded", "probe http: GET /ready answered 404")

    host.inside("chat-0/web", "touch /tmp/www/ready")
    comes_to(host, "running", "")


def test_dockers_proxy_alone_is_no_answer_to_a_connection(a_host: Callable[[], Host]) -> None:
    host = a_host()
    files = compose("sleep 1000", ports=[f"{PORT + 1}:8080"])
    publish(host, files, probes=(TCP,), ports={"http": PORT + 1})

    comes_to(host, "degraded", "probe tcp: a connection to port http")


def test_a_version_that_cannot_start_gives_way(a_host: Callable[[], Host]) -> None:
    host = a_host()
    publish(host, compose("sleep 1000"), rollback=True)
    comes_to(host, "running", "")
    broken = json.loads(compose("")["compose.yaml"])
    broken["services"]["web"]["command"] = ["/no/such/program"]

    publish(host, {"compose.yaml": json.dumps(broken)}, rollback=True)
    host.once()

    assert host.states() == {"chat-0/web": "running"}
    told = report(host)
    assert str(told.state) == "failed"
    assert "The last good version runs again" in told.message
    assert host.heartbeat().accepted_generation == 2
    assert host.heartbeat().generation == 1
