"""Room on Docker's disk: what is removed to make it, and what waits until there is some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.pressure import Disk
from agent.sweep import KEEP_SECONDS
from fleet.memory import MemoryServer
from schemas.heartbeat import ReplicaState, disk_pressure
from tests.sim.agent.world import Host, Publisher, compose

ROOMY = Disk(total_mib=100_000, free_mib=50_000)
PRESSED = Disk(total_mib=100_000, free_mib=10_000)
SHORT = Disk(total_mib=100_000, free_mib=1_000)
FOREIGN = "somebody/else:1"


def files(version: int) -> dict[str, dict[str, str]]:
    return {"chat-0": {"compose.yaml": compose(image=f"img:{version}")}}


@pytest.fixture
def publisher(server: MemoryServer) -> Publisher:
    return Publisher(server)


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def host(server: MemoryServer, publisher: Publisher, tmp_path: Path) -> Host:
    """A host that has run three versions, beside an image of somebody else."""
    host = Host(server, tmp_path)
    host.docker_disk = ROOMY
    host.runtime.present_images.add(FOREIGN)
    for version in (7, 8, 9):
        publisher.publish(files(version))
        host.rest()
    return host


def test_nothing_goes_while_there_is_room(host: Host) -> None:
    host.pass_time(3600)

    assert host.runtime.present_images == {FOREIGN, "img:1", "img:7", "img:8", "img:9"}


def test_under_pressure_old_images_go_and_what_runs_stays(host: Host) -> None:
    host.docker_disk = PRESSED

    host.pass_time(30)

    assert host.runtime.present_images == {FOREIGN, "img:1", "img:9"}
    assert disk_pressure(host.heartbeat()).startswith("Docker's disk is nearly full")
    assert host.heartbeat().replicas[0].state is ReplicaState.RUNNING


def test_the_image_of_the_version_to_fall_back_on_stays_though_it_goes_by_its_digest(
    tmp_path: Path, server: MemoryServer, publisher: Publisher
) -> None:
    host = Host(server, tmp_path)
    host.docker_disk = PRESSED
    good, new = (f"registry.example.org/img:1@sha256:{letter * 64}" for letter in "ab")
    publisher.publish({"chat-0": {"compose.yaml": compose(image=good)}})
    host.rest()
    loading = compose(image=new, extra="    healthcheck: {test: [CMD, 'true']}\n")
    publisher.publish({"chat-0": {"compose.yaml": loading}})
    host.script.slow.add("web")

    host.pass_time(120)

    assert host.runtime.present_images == {"img:1", good, new}


def test_pressure_that_is_over_is_told(host: Host) -> None:
    host.docker_disk = PRESSED
    host.pass_time(30)

    host.docker_disk = ROOMY
    host.pass_time(60)

    assert host.heartbeat().problems == ()


def test_old_images_go_after_a_week_and_no_sooner(host: Host) -> None:
    host.step()
    start = host.now
    host.now = start + KEEP_SECONDS - 60
    host.step()
    assert "img:7" in host.runtime.present_images

    host.now = start + KEEP_SECONDS + 60
    host.rest()

    assert host.runtime.present_images == {FOREIGN, "img:1", "img:9"}


def test_a_boot_lets_the_week_begin_again(host: Host) -> None:
    host.boot, host.now = "boot-2", KEEP_SECONDS - 60
    host.start()
    host.rest()
    assert "img:7" in host.runtime.present_images

    host.now += 120
    host.rest()

    assert "img:7" not in host.runtime.present_images


def test_an_image_that_was_here_before_us_stays_though_we_used_it(
    host: Host, publisher: Publisher
) -> None:
    host.runtime.present_images.add("img:10")
    for version in (10, 9):
        publisher.publish(files(version))
        host.rest()

    host.docker_disk = PRESSED
    host.pass_time(30)

    assert host.runtime.present_images == {FOREIGN, "img:1", "img:9", "img:10"}


def test_nothing_goes_before_it_is_known_what_is_needed(host: Host, publisher: Publisher) -> None:
    publisher.publish({"chat-0": {"compose.yaml": "services: {a: {image: i, pid: host}}\n"}})
    host.step()
    host.docker_disk = PRESSED

    host.pass_time(600)

    assert host.runtime.present_images == {FOREIGN, "img:1", "img:7", "img:8", "img:9"}


def test_what_is_assigned_and_cannot_start_keeps_its_image(
    host: Host, publisher: Publisher
) -> None:
    publisher.publish(files(10))
    host.script.failing["web"] = "no such device"
    host.docker_disk = PRESSED

    host.pass_time(600)

    assert host.runtime.present_images >= {FOREIGN, "img:1", "img:10"}


def test_without_room_nothing_is_pulled_and_the_old_version_serves(
    host: Host, publisher: Publisher
) -> None:
    before = host.containers()
    host.docker_disk = SHORT

    publisher.publish(files(10))
    host.pass_time(30)

    assert host.containers() == before
    assert "img:10" not in host.runtime.present_images
    (report,) = host.heartbeat().replicas
    assert report.state is ReplicaState.FAILED
    assert "DiskPressure: img:10 not pulled" in report.message
    assert disk_pressure(host.heartbeat())

    host.docker_disk = ROOMY
    host.pass_time(400)
    assert host.containers()["chat-0/web"].image == "img:10"


def test_without_room_what_needs_no_image_is_healed_all_the_same(host: Host) -> None:
    host.docker_disk = SHORT
    host.runtime.change(host.containers()["chat-0/web"].id, "exited", 137)

    host.rest()

    assert host.containers()["chat-0/web"].state == "running"


def test_an_image_that_somebody_else_came_to_use_is_left_to_them(host: Host) -> None:
    stored = {one.tags[0]: one.id for one in host.runtime.stored_images()}
    web = host.containers()["chat-0/web"]
    host.runtime.put(replace(web, id="8" * 12, project="other", image_id=stored["img:7"]), node="")
    host.docker_disk = PRESSED
    host.runtime.calls.clear()

    host.pass_time(600)

    assert host.runtime.present_images == {FOREIGN, "img:1", "img:7", "img:9"}
    assert host.runtime.calls.count("remove_image") == 2, "it is not tried for ever"
