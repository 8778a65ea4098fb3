"""The loop around the passes: what it waits for, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.daemon import ECHO_SECONDS, LOOK_ANYWAY_SECONDS, LOOK_SECONDS, Daemon
from agent.notify import Systemd
from agent.reasons import Reason
from agent.wakes import Wakes
from fleet.memory import MemoryServer
from tests.sim.agent.world import Host, Publisher, compose

CHAT = {"chat-0": {"compose.yaml": compose()}}
NOTHING: frozenset[Reason] = frozenset()
CONTAINERS = frozenset({Reason.CONTAINERS})


class ScriptedWakes(Wakes):
    """Gives what a script says, notes how long the daemon was ready to wait, and then stops it."""

    def __init__(self, host: Host, script: Sequence[frozenset[Reason]]) -> None:
        super().__init__()
        self.patience: list[float] = []
        self._host = host
        self._script = list(script)

    def wait(self, seconds: float) -> frozenset[Reason]:
        self.patience.append(seconds)
        if not self._script:
            self.stop()
            return NOTHING
        reasons = self._script.pop(0)
        self._host.now += 0.0 if reasons else seconds
        return reasons


@pytest.fixture
def host(tmp_path: Path) -> Host:
    server = MemoryServer()
    Publisher(server).publish(CHAT, poll_seconds=3600, heartbeat_seconds=3600)
    return Host(server, tmp_path)


def _run(
    host: Host, script: Sequence[frozenset[Reason]], *, events: bool, watchdog: str = ""
) -> ScriptedWakes:
    wakes = ScriptedWakes(host, script)
    clock = Clock(wall=host._wall, boottime=lambda: host.now, boot=host.boot)
    environment = {"WATCHDOG_USEC": watchdog} if watchdog else {}
    Daemon(
        agent=host.agent,
        wakes=wakes,
        clock=clock,
        systemd=Systemd(environment),
        hears_events=lambda: events,
    ).run()
    return wakes


def test_with_events_it_seldom_looks_and_without_them_often(host: Host) -> None:
    assert _run(host, (), events=True).patience == [LOOK_ANYWAY_SECONDS]
    assert _run(host, (), events=False).patience == [LOOK_SECONDS]


def test_it_looks_once_more_after_an_event_since_a_listing_may_lag_behind(host: Host) -> None:
    wakes = _run(host, (CONTAINERS, NOTHING), events=True)

    assert wakes.patience == [LOOK_ANYWAY_SECONDS, ECHO_SECONDS, LOOK_ANYWAY_SECONDS]


def test_it_signs_life_in_time_for_the_watchdog(host: Host) -> None:
    assert _run(host, (), events=True, watchdog="20000000").patience == [10.0]


def test_a_failed_pull_is_tried_when_its_wait_is_over(host: Host) -> None:
    host.script.missing_images.add("img:1")

    wakes = _run(host, (NOTHING,), events=True)

    assert 10.0 <= wakes.patience[0] <= 12.0
    assert host.runtime.calls.count("pull") == 2
