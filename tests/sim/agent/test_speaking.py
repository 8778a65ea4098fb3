"""What a host says of itself goes out, however odd or long it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.speaker import NOTHING_KNOWN
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


def test_facts_that_cannot_be_told_give_way_to_those_that_were_told_last(host: Host) -> None:
    host.step()
    before = host.heartbeat()

    host.facts = replace(host.facts, host=replace(host.facts.host, disk_mib=-1))
    host.pass_time(300)

    beat = host.heartbeat()
    assert beat.sequence > before.sequence
    assert beat.host == before.host
    (problem,) = beat.problems
    assert problem.startswith("what this host has cannot be told: ")
    assert "host.diskMib is -1" in problem


def test_facts_that_could_never_be_told_are_left_out(host: Host) -> None:
    host.facts = replace(host.facts, host=replace(host.facts.host, disk_mib=-1))

    host.step()

    assert host.heartbeat().host == NOTHING_KNOWN.host
    assert len(host.heartbeat().problems) == 1


def test_what_else_cannot_be_told_ends_no_pass(host: Host) -> None:
    host.runtime.present_images.add("")

    outcome = host.step()

    assert not outcome.spoke
    assert "cannot be written" in host.agent.notebook.tries("push").message
