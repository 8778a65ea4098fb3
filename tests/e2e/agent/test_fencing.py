"""A singleton on a real engine: the host's own fence, restarts of the daemon, a cut line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.tour.world import python_program
from schemas.assignment import Fence
from schemas.heartbeat import ReplicaReport
from tests.e2e.agent.conftest import engine_below, new_host
from tests.e2e.agent.daemon import started, stopped
from tests.e2e.agent.host import ROOT, Host, eventually, two_services

pytestmark = pytest.mark.e2e

STOP_AFTER = 18  # the least that a heartbeat each second allows
# Ends only by force: the time to stop is needed in full.
STUBBORN = {"command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}
BOTH = {
    "only-0": two_services(stop_signal="SIGTERM", **STUBBORN),
    "free-0": two_services(),
}


def grant(host: Host, epoch: int, stop_after: int = STOP_AFTER) -> None:
    """Grant `only-0` to the incarnation that the host told last."""
    told = host.heartbeat().incarnation
    fence = Fence(incarnation=told, epoch=epoch, stop_after_seconds=stop_after)
    try:
        host.publisher.publish(BOTH, fences={"only-0": fence}, heartbeat_seconds=1, poll_seconds=1)
    finally:
        host.publisher.remote.close()


def report(host: Host) -> ReplicaReport:
    return next(one for one in host.heartbeat().replicas if one.name == "only-0")


def running(host: Host, replica: str) -> bool:
    """Whether anything of a replica runs."""
    states = host.states()
    return any(states[name] == "running" for name in states if name.startswith(replica))


def program(host: Host, command: str) -> list[str]:
    return [
        *(python_program("miaas-agent"), command),
        *("--node", host.node),
        *("--state-url", str(host.bare)),
        *("--state-dir", str(host.state)),
        *("--docker-host", host.engine.docker_host),
        *("--docker-config", str(host.docker_config)),
    ]


def fence(host: Host) -> subprocess.CompletedProcess[str]:
    """Let the host's own fence look once."""
    return subprocess.run(
        program(host, "fence"),
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def service(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    """Have `miaas-agent run` for the length of a block."""
    with (host.folder / "run.log").open("ab") as log:
        process = subprocess.Popen(
            program(host, "run"),
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def hanging(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A process does not move for the length of a block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def cut_off(host: Host) -> Iterator[None]:
    """The repository cannot be reached for the length of a block."""
    away = host.bare.with_name("away.git")
    host.bare.rename(away)
    try:
        yield
    finally:
        away.rename(host.bare)


@pytest.fixture
def host(a_host: Callable[[], Host]) -> Host:
    """A host that spoke, and was granted nothing yet."""
    made = a_host()
    made.publish({})
    made.once()
    return made


def fenced_until(host: Host, condition: Callable[[], bool]) -> str:
    """Let the fence look as its timer would, until a condition holds; what it said."""
    said: list[str] = []
    end = time.monotonic() + 3 * STOP_AFTER + 60
    while not condition():
        assert time.monotonic() < end, said
        said.append(fence(host).stderr)
    return "".join(said)


def test_the_host_fence_stops_a_singleton_while_its_agent_hangs(host: Host) -> None:
    with service(host) as agent:
        grant(host, 1)
        eventually(lambda: host.run_all("free-0", "only-0"))
        before = host.heartbeat()
        kept = {name: one for name, one in host.containers().items() if "free" in name}

        with hanging(agent):
            assert fence(host).stderr == ""  # the lease is young
            said = fenced_until(host, lambda: not running(host, "only-0"))

            assert "warning agent.fence stopped replica=only-0" in said
            assert {name: host.containers()[name] for name in kept} == kept
            assert all(host.states()[name] == "running" for name in kept)

        eventually(lambda: host.heartbeat().incarnation != before.incarnation)
        eventually(lambda: report(host).state == "pending")
        assert not running(host, "only-0")
        grant(host, 2)
        eventually(lambda: host.run_all("free-0", "only-0"))
        eventually(lambda: report(host).epoch == 2)


def test_a_dead_agent_leaves_nothing_running_that_needs_a_lease(host: Host) -> None:
    grant(host, 1)
    host.rest()
    assert host.run_all("free-0", "only-0")

    (host.state / "lease.json").write_text("{")
    done = fence(host)

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("lease_age_seconds=none") == 2
    assert (running(host, "only-0"), running(host, "free-0")) == (False, True)


def test_cut_off_the_agent_stops_it_by_itself_and_waits_for_another_grant(host: Host) -> None:
    grant(host, 1)
    host.rest()
    before = host.heartbeat()

    with cut_off(host):
        host.passes_until(lambda: not running(host, "only-0"))
        assert running(host, "free-0")
    host.passes_until(lambda: host.heartbeat().incarnation != before.incarnation)

    assert (report(host).state, report(host).epoch) == ("pending", 0)
    assert host.heartbeat().sequence > before.sequence
    grant(host, 2)
    host.passes_until(lambda: host.run_all("free-0", "only-0"))


def test_no_restart_of_the_engine_starts_it(tmp_path: Path) -> None:
    with engine_below(tmp_path) as engine, new_host(engine, tmp_path) as host:
        host.publish({})
        host.once()
        grant(host, 1, stop_after=600)
        host.rest()
        assert host.run_all("free-0", "only-0")

        launch = stopped(host.engine)
        host.engine = started(host.engine, launch)
        eventually(lambda: running(host, "free-0"))

        assert not running(host, "only-0")
        policies = {
            name: json.loads(host.docker("inspect", one))[0]["HostConfig"]["RestartPolicy"]["Name"]
            for name, one in host.containers().items()
        }
        assert policies == {
            "free-0/side": "unless-stopped",
            "free-0/web": "unless-stopped",
            "only-0/side": "no",
            "only-0/web": "no",
        }
        host.passes_until(lambda: host.run_all("free-0", "only-0"), "--now")  # its lease is good


def test_another_limit_makes_that_replica_anew_and_no_other(host: Host) -> None:
    grant(host, 1, stop_after=600)
    host.rest()
    before = host.containers()

    grant(host, 1, stop_after=601)
    host.rest()

    after = host.containers()
    assert {name for name in before if before[name] != after[name]} == {
        "only-0/side",
        "only-0/web",
    }
