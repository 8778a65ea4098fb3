"""What a node pushes: news at once, noise never, and no more than its budget in any hour."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.host.facts import Facts
from agent.loop import Agent
from agent.pacing import Budget
from fleet.memory import MemoryServer, allow_all
from schemas.heartbeat import ReplicaState
from tests.builders import a_gpu_report, a_host
from tests.sim.agent.world import NODE, Host, Publisher, compose

CHECK = "    healthcheck: {test: ['CMD', 'true']}\n"
CHAT = {"chat-0": {"compose.yaml": compose(extra=CHECK)}}
HOUR_SECONDS = 3600
STEP_SECONDS = 10


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def publisher(server: MemoryServer) -> Publisher:
    return Publisher(server)


@pytest.fixture
def host(server: MemoryServer, publisher: Publisher, tmp_path: Path) -> Host:
    publisher.publish(CHAT, heartbeat_seconds=300)
    host = Host(server, tmp_path)
    host.rest()
    return host


def _speaks_with(host: Host, **fields: Any) -> None:
    """Give the host's agent a speaker with something else in it."""
    tools = host.agent._tools
    speaker = replace(tools.speaker, **fields)
    tools = replace(tools, speaker=speaker)
    host.agent = Agent(NODE, host.agent.notebook, tools, host.agent._desk.clock)


def _pushes_in(host: Host, seconds: int, each: Callable[[], None]) -> int:
    """Pushes while something happens every ten seconds and a pass follows each time."""
    before = host.repository.pushes
    for _ in range(0, seconds, STEP_SECONDS):
        each()
        host.now += STEP_SECONDS
        host.step()
    return host.repository.pushes - before


def _noise(**ranges: tuple[int, int]) -> Callable[..., Facts]:
    """Facts of which some measurement is another one each time."""
    rng = random.Random(0)

    def facts(*_: object) -> Facts:
        found = {name: rng.randint(*bounds) for name, bounds in ranges.items()}
        card: dict[str, Any] = {
            name: value for name, value in found.items() if hasattr(a_gpu_report(), name)
        }
        rest = {name: value for name, value in found.items() if name not in card}
        return Facts(host=a_host(**rest), gpus=(a_gpu_report(**card),))

    return facts


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param({"foreign_memory_mib": (0, 60_000)}, id="memory of others"),
        pytest.param({"foreign_disk_mib": (0, 400_000)}, id="disk of others"),
        pytest.param({"used_mib": (0, 40_000)}, id="memory of a card"),
        pytest.param({"utilisation_percent": (0, 100)}, id="load of a card"),
        pytest.param({"temperature_c": (30, 90)}, id="temperature"),
        pytest.param({"power_w": (30, 350)}, id="power"),
    ],
)
def test_noise_causes_no_push_but_the_keep_alive(
    host: Host, ranges: dict[str, tuple[int, int]]
) -> None:
    _speaks_with(host, facts=_noise(**ranges))

    # One keep-alive in 270 to 300 seconds, and nothing else.
    assert _pushes_in(host, HOUR_SECONDS // 2, lambda: None) in {6, 7}


def test_a_card_that_is_slowed_down_now_and_then_causes_no_push(host: Host) -> None:
    heat = itertools.cycle([("heat",), (), ("heat", "power limit")])

    def facts(*_: object) -> Facts:
        return Facts(host=a_host(), gpus=(a_gpu_report(throttles=next(heat)),))

    _speaks_with(host, facts=facts)

    assert _pushes_in(host, HOUR_SECONDS // 2, lambda: None) in {6, 7}


def test_other_peoples_images_and_volumes_cause_no_push(host: Host) -> None:
    numbers = itertools.count()

    def others() -> None:
        number = next(numbers)
        host.runtime.present_images.add(f"other:{number}")
        host.runtime.volumes[f"volume-{number}"] = f"another-{number}"

    assert _pushes_in(host, 200, others) == 0


def test_news_goes_out_with_the_very_pass_that_sees_it(host: Host) -> None:
    before = host.repository.pushes
    host.script.unhealthy.add("web")
    host.now += 1

    host.step()

    assert host.repository.pushes == before + 1
    assert host.heartbeat().replicas[0].state is ReplicaState.DEGRADED


@pytest.mark.parametrize("per_hour", [6, 60, 140])
def test_what_flaps_for_an_hour_costs_no_more_than_the_budget(host: Host, per_hour: int) -> None:
    budget = Budget(per_hour)
    _speaks_with(host, budget=budget)

    pushes = _pushes_in(host, HOUR_SECONDS, lambda: _flap(host))

    keep_alives = HOUR_SECONDS / 270
    assert per_hour * 0.8 <= pushes <= per_hour + keep_alives + 1


def test_news_that_the_budget_held_back_is_told_as_soon_as_it_allows(host: Host) -> None:
    notebook = host.agent.notebook
    notebook.memory = replace(notebook.memory, tokens=0.0, tokens_at=host.now)

    host.script.unhealthy.add("web")
    outcome = host.step()
    assert not outcome.settled
    assert host.heartbeat().replicas[0].state is ReplicaState.RUNNING

    assert outcome.wake - host.now <= Budget().refill_seconds
    host.now = outcome.wake
    host.step()
    assert host.heartbeat().replicas[0].state is ReplicaState.DEGRADED


def test_a_server_that_refuses_is_asked_ever_more_seldom_and_hears_it_in_the_end(
    host: Host, server: MemoryServer
) -> None:
    asked = 0

    def refuse(*_: object) -> str:
        nonlocal asked
        asked += 1
        return "read only"

    server.rule = refuse
    host.script.unhealthy.add("web")
    pushed = _pushes_in(host, HOUR_SECONDS, lambda: None)
    server.rule = allow_all

    assert pushed == 0
    assert 12 <= asked <= 20
    host.now += 300
    host.step()
    assert host.heartbeat().replicas[0].state is ReplicaState.DEGRADED


class _Jumping(Host):
    """A host whose wall clock is somewhere else at each look: a dead battery, a hand, a bad NTP."""

    def _wall(self) -> datetime:
        rng = random.Random(int(self.now * 1000))
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=rng.randint(-7300, 7300))


def test_jumps_of_the_wall_clock_change_nothing(tmp_path: Path) -> None:
    steady = _life(Host, tmp_path / "steady")
    jumping = _life(_Jumping, tmp_path / "jumping")

    assert steady == jumping


def _life(kind: type[Host], disk: Path) -> list[object]:
    """All that happens on a host in an hour with news, failures, cut lines and a new assignment."""
    server = MemoryServer()
    publisher = Publisher(server)
    publisher.publish(CHAT)
    host = kind(server, disk)
    seen: list[object] = []
    for minute in range(60):
        match minute:
            case 10:
                host.script.missing_images.add("img:2")
                publisher.publish({"chat-0": {"compose.yaml": compose(image="img:2")}})
            case 20:
                host.is_cut_off(cut=True)
            case 30:
                host.is_cut_off(cut=False)
                host.script.missing_images.clear()
            case 40:
                host.runtime.change(host.containers()["chat-0/web"].id, "exited", 1)
            case _:
                pass
        host.pass_time(60)
        beat = host.heartbeat()
        replicas = [replace(one, since=None) for one in beat.replicas]  # a wall time, for people
        seen += [list(host.runtime.calls), host.repository.pushes, replicas, beat.problems]
        host.runtime.calls.clear()
    return seen


def _flap(host: Host) -> None:
    host.script.unhealthy ^= {"web"}
