"""Disk, daemon, registry, ports and Git in trouble: what runs goes on running."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.tour.cables import NAMESPACES
from examples.tour.engines import Engine
from examples.tour.images import busybox
from tests.e2e.agent.conftest import engine_below, new_host
from tests.e2e.agent.daemon import hung, started, stopped
from tests.e2e.agent.host import (
    NEXT_IMAGE,
    Host,
    a_service,
    eventually,
    files,
    two_services,
)

pytestmark = pytest.mark.e2e

ABSENT = "127.0.0.1:9/absent:1"  # nothing listens there
REFUSED = 3
ONE = {"chat-0": two_services({"web.conf": "first\n"}, volumes=["./web.conf:/etc/web.conf:ro"])}
TWO = {"chat-0": two_services({"web.conf": "second\n"}, volumes=["./web.conf:/etc/web.conf:ro"])}


@pytest.fixture
def host(a_host: Callable[[], Host]) -> Host:
    """A host that runs ONE."""
    made = a_host()
    made.publish(ONE)
    made.rest()
    return made


def runs(host: Host, text: str) -> bool:
    return host.run_all("chat-0") and host.inside("chat-0/web", "cat /etc/web.conf") == text


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Give a folder a file system of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ("-t", "tmpfs", "-o", f"size={size},mode=0711")
    subprocess.run(["mount", *options, "miaas-test", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no block free on the file system of a folder; removing the answer frees them again."""
    stuffing = folder / "stuffing"
    with stuffing.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(1 << 12))
    found = os.statvfs(folder)
    assert found.f_bavail == 0
    return stuffing


# disk


def test_a_full_disk_below_the_agent_stops_nothing_and_heals(a_host: Callable[[], Host]) -> None:
    host = a_host()
    with small_disk(host.state, "8m"):
        host.publish(ONE)
        host.rest()
        before = host.containers()
        stuffing = fill(host.state)
        host.publish(TWO)

        full = host.once("--now")

        assert full.code == REFUSED
        assert "o space left" in full.log
        assert full.done == ()
        assert host.containers() == before
        assert runs(host, "first")
        stuffing.unlink()
        host.passes_until(lambda: runs(host, "second"), "--now")
        assert host.containers()["chat-0/side"] == before["chat-0/side"]


def test_a_full_disk_below_the_engine_leaves_the_old_version_serving(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "96m"),
        engine_below(tmp_path / "disk") as engine,
        new_host(engine, tmp_path) as host,
    ):
        host.publish(ONE)
        host.rest()
        before = host.containers()
        stuffing = fill(tmp_path / "disk")
        host.publish({"chat-0": two_services(image=NEXT_IMAGE)})

        full = host.once()

        assert host.containers() == before
        assert runs(host, "first")
        state, message = host.report("chat-0")
        assert state == "failed"
        assert "o space left" in message
        assert full.done == ()
        stuffing.unlink()
        host.passes_until(lambda: host.run_all("chat-0") and host.containers() != before, "--now")
        assert host.inside("chat-0/web", "cat /etc/image") == NEXT_IMAGE
        assert host.containers()["chat-0/side"] == before["chat-0/side"]


# daemon


@pytest.fixture
def troubled(tmp_path: Path) -> Iterator[Host]:
    """A host whose engine is its own: things happen to it that others must not see."""
    with engine_below(tmp_path) as engine, new_host(engine, tmp_path) as host:
        yield host


def test_a_daemon_that_hangs_is_told_and_nothing_is_concluded(troubled: Host) -> None:
    host = troubled
    host.publish(ONE)
    host.rest()
    before = host.containers()
    host.publish(TWO)

    with hung(host.engine):
        blind = host.once()

    assert blind.code == REFUSED
    assert blind.done == ()
    assert "no answer within" in host.heartbeat().runtime.error
    assert host.containers() == before
    host.passes_until(lambda: runs(host, "second"), "--now")
    assert host.containers()["chat-0/side"] == before["chat-0/side"]
    assert host.heartbeat().runtime.error == ""


def test_a_daemon_that_stopped_is_told_and_all_runs_again_when_it_is_back(troubled: Host) -> None:
    host = troubled
    host.publish(ONE)
    host.rest()
    before = host.containers()
    launch = stopped(host.engine)
    host.publish(TWO)

    blind = host.once()

    assert blind.code == REFUSED
    assert blind.done == ()
    assert host.heartbeat().runtime.error
    assert host.heartbeat().problems
    host.engine = started(host.engine, launch)
    host.passes_until(lambda: runs(host, "second"), "--now")
    assert host.containers()["chat-0/side"] == before["chat-0/side"]
    assert host.heartbeat().problems == ()


# images


def test_an_image_that_cannot_be_had_leaves_the_old_version_serving(host: Host) -> None:
    before = host.containers()
    host.publish({"chat-0": two_services(image=ABSENT)})

    refused = host.once()

    assert refused.done == ()
    state, message = host.report("chat-0")
    assert state == "failed"
    assert "127.0.0.1:9" in message
    assert host.containers() == before
    assert runs(host, "first")
    host.publish(TWO)
    host.once()  # what is new need not wait for what failed before
    assert runs(host, "second")
    assert host.report("chat-0") == ("running", "")


# a start that fails half way


@contextlib.contextmanager
def port_taken(engine: Engine, port: int) -> Iterator[None]:
    """A process of the host, no container, listens on a port."""
    entering = ["nsenter", f"--net={NAMESPACES / engine.namespace}"] if engine.namespace else []
    words = [*entering, str(busybox()), "httpd", "-f", "-p", str(port)]
    process = subprocess.Popen(words)
    try:
        eventually(lambda: f":{port:04X} " in listening(process.pid))
        yield
    finally:
        process.kill()
        process.wait()


def listening(pid: int) -> str:
    """What the kernel lists of listening sockets where a process lives."""
    return Path(f"/proc/{pid}/net/tcp").read_text() + Path(f"/proc/{pid}/net/tcp6").read_text()


def test_a_start_that_failed_half_way_is_finished_when_the_port_is_free(
    a_host: Callable[[], Host],
) -> None:
    host = a_host()
    host.publish({"chat-0": two_services(ports=["18090:8080"])})

    with port_taken(host.engine, 18090):
        failed = host.once()

        assert failed.done == ()
        state, message = host.report("chat-0")
        assert state == "failed"
        assert "18090" in message
        half = host.states()
        assert half["chat-0/web"] == "created"
    host.passes_until(lambda: host.run_all("chat-0"), "--now")
    assert host.report("chat-0") == ("running", "")


# the end of everything


def test_the_last_deployment_goes_with_its_networks_and_its_volumes_stay(
    a_host: Callable[[], Host],
) -> None:
    host = a_host()
    service = a_service(volumes=["state:/data"], networks=["inner"])
    host.publish({"chat-0": files({"web": service}, volumes={"state": {}}, networks={"inner": {}})})
    host.rest()
    host.inside("chat-0/web", "echo precious > /data/file")
    bystander = host.docker("run", "--detach", NEXT_IMAGE)

    host.publish({})
    last = host.once()

    assert last.reasons("chat-0") == "the replica is no longer assigned"
    assert host.containers() == {}
    project = host.project("chat-0")
    networks = host.docker("network", "ls", "--filter", f"name={project}", "--quiet")
    volumes = host.docker("volume", "ls", "--filter", f"name={project}", "--quiet").split()
    assert (networks, volumes) == ("", [f"{project}_state"])
    assert bystander in host.docker("ps", "--quiet", "--no-trunc")
    host.publish({"chat-0": files({"web": service}, volumes={"state": {}}, networks={"inner": {}})})
    host.once()
    assert host.inside("chat-0/web", "cat /data/file") == "precious"


# Git


def test_without_git_nothing_stops_and_harm_is_still_healed(host: Host) -> None:
    before = host.containers()
    away = host.bare.rename(host.bare.with_name("away.git"))

    cut_off = host.once("--now")

    assert cut_off.code == REFUSED
    assert "cannot read the assignment" in cut_off.log
    assert host.containers() == before
    host.docker("rm", "--force", before["chat-0/web"])
    host.passes_until(lambda: runs(host, "first"), "--now")
    assert host.containers()["chat-0/side"] == before["chat-0/side"]
    away.rename(host.bare)
    host.publish(TWO)
    host.passes_until(lambda: runs(host, "second"), "--now")
    assert host.heartbeat().problems == ()


def truncate_head(mirror: Path) -> None:
    (mirror / "HEAD").write_bytes(b"")


def empty_refs(mirror: Path) -> None:
    for path in mirror.glob("refs/**/*"):
        if path.is_file():
            path.write_bytes(b"")


def ruin_objects(mirror: Path) -> None:
    for path in mirror.glob("objects/**/*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [truncate_head, empty_refs, ruin_objects])
def test_a_damaged_mirror_heals(host: Host, harm: Callable[[Path], None]) -> None:
    before = host.containers()
    harm(host.state / "mirror.git")
    host.publish(TWO)

    host.passes_until(lambda: runs(host, "second"), "--now")

    assert host.containers()["chat-0/side"] == before["chat-0/side"]
    assert host.heartbeat().generation == 2
