"""What a host says of itself goes out, however odd or long it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.memory import MemoryServer
from tests.sim.agent.world import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(MemoryServer(), tmp_path)


def test_more_images_than_a_heartbeat_holds_are_left_out(host: Host) -> None:
    name = "registry.example.org/" + "x" * 100
    host.runtime.present_images |= {f"{name}:{number}" for number in range(10_000)}

    host.step()

    beat = host.heartbeat()
    assert beat.images == ()
    (problem,) = beat.problems
    assert problem.startswith("the heartbeat is without logs and images: ")
