"""An engine that does not answer is asked once a pass, and is no failure of any replica."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.reasons import Reason
from fleet.memory import MemoryServer
from tests.sim.agent.world import Host, Publisher, compose

HEARD = frozenset({Reason.ASKED, Reason.CONTAINERS})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with work to do, whose engine is silent."""
    server = MemoryServer()
    Publisher(server).publish({f"chat-{n}": {"compose.yaml": compose()} for n in range(5)})
    made = Host(server, tmp_path)
    made.script.down = "no answer within 5 s"
    return made


def test_a_silent_engine_is_told_and_counts_as_nobody_elses_failure(host: Host) -> None:
    outcome = host.step()

    assert outcome.acts == ()
    assert set(host.agent.notebook.memory.tries) == {"docker"}
    assert "no answer within 5 s" in host.heartbeat().runtime.error


def test_everything_starts_as_soon_as_the_engine_is_heard_again(host: Host) -> None:
    host.step()
    host.script.down = ""
    host.now += 1

    host.agent.step(HEARD)

    assert len(host.containers()) == 10
    assert {one.state for one in host.containers().values()} == {"running"}


def test_closer_looks_that_are_due_wait_for_a_silent_engine(tmp_path: Path) -> None:
    server = MemoryServer()
    Publisher(server).publish({"chat-0": {"compose.yaml": compose()}}, heartbeat_seconds=3600)
    host = Host(server, tmp_path)
    host.rest()
    host.script.down = "no answer within 5 s"

    # Past the next audit, which cannot be made.
    host.now += 1000
    passes = [host.step().wake for _ in range(3)]

    assert min(passes) - host.now >= 1.0


def test_it_is_told_since_when_an_engine_is_silent_and_since_when_it_answers(host: Host) -> None:
    host.step()
    silent = host.heartbeat().runtime.since
    host.now += 100
    host.agent.step(HEARD)
    host.start()  # a new process remembers
    host.now += 100
    host.agent.step(HEARD)
    assert host.heartbeat().runtime.since == silent

    host.script.down = ""
    host.now += 100
    host.agent.step(HEARD)

    told = host.heartbeat().runtime
    assert (told.error, told.since) == ("", host._wall())
    assert silent is not None
    assert told.since is not None
    assert (told.since - silent).total_seconds() == pytest.approx(300, abs=1)
