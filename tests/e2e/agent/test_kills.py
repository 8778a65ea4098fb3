"""SIGKILL of a real agent at every step that it takes: the next one brings it to an end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from examples.tour.engines import Engine
from tests.e2e.agent.conftest import new_host
from tests.e2e.agent.dying import MOMENTS, Hook, docker_config
from tests.e2e.agent.host import Host, a_service, files, two_services
from tests.e2e.agent.registry import silent_registry
from tests.sim.agent.world import Files

pytestmark = pytest.mark.e2e

# Whatever else the agent comes to do, these have to be among its steps.
NAMED_STEPS = {
    "compose config",
    "compose down of down",
    "compose up of up",
    "push",
    "remove journal.json of down",
    "remove journal.json of up",
    "write accepted.json",
    "write journal.json of down",
    "write journal.json of up",
    "write memory.json of down",
    "write memory.json of up",
    "write memo.json",
}


@dataclass
class Fleet:
    """A node that is told again and again to change one replica, to drop one and to add one.

    One more replica never changes.
    """

    host: Host
    turn: int = 0
    same: dict[str, str] = field(default_factory=dict)

    def turn_over(self) -> None:
        """Publish the next assignment."""
        self.turn += 1
        self.host.publish(
            {
                "chat-0": two_services({"turn": f"{self.turn}\n"}, volumes=["./turn:/etc/turn:ro"]),
                f"guest-{self.turn}": a_guest(),
                "same-0": a_guest(),
            }
        )

    def is_as_assigned(self) -> bool:
        listed = self.host.listed()
        names = ["chat-0/side", "chat-0/web", f"guest-{self.turn}/web", "same-0/web"]
        return (
            sorted(name for name, _, _ in listed) == names
            and {state for _, _, state in listed} == {"running"}
            and self.host.inside("chat-0/web", "cat /etc/turn") == str(self.turn)
        )

    def is_told(self) -> bool:
        """Whether the heartbeat says that all is well."""
        beat = self.host.heartbeat()
        states = {str(one.state) for one in beat.replicas}
        return (beat.generation, beat.problems, states) == (self.turn, (), {"running"})

    def assert_healed(self) -> None:
        """Let agents work, then look at all that the dead one could have left behind."""
        self.host.passes_until(lambda: self.is_as_assigned() and self.is_told(), "--now")

        assert self.host.containers()["same-0/web"] == self.same["same-0/web"]
        assert not (self.host.state / "journal.json").exists()
        folders = {path.name for path in (self.host.state / "replicas").iterdir()}
        assert folders == {"chat-0", f"guest-{self.turn}", "same-0"}
        kept = list((self.host.state / "replicas/chat-0").iterdir())
        assert len(kept) == len(("the files", "the overlay", "the store")), kept


def a_guest() -> Files:
    return files({"web": a_service()})


@pytest.fixture(scope="module")
def fleet(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with new_host(engine, tmp_path_factory.mktemp("kills")) as host:
        made = Fleet(host)
        made.turn_over()
        host.rest()
        made.same = host.containers()
        yield made


def test_a_kill_between_any_two_steps_is_healed(fleet: Fleet, tmp_path: Path) -> None:
    hook = Hook(fleet.host, tmp_path)
    hook.install()
    fleet.turn_over()
    assert fleet.host.once(**hook.environment()).code == 0
    steps = hook.steps()
    assert set(steps) >= NAMED_STEPS

    for step in steps:
        fleet.turn_over()
        killed = fleet.host.once(**hook.environment(step))
        assert killed.code == -signal.SIGKILL, f"not killed at {step}"

        fleet.assert_healed()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("verb", "event"), [("up", "create"), ("down", "die")])
def test_a_kill_in_the_middle_of_an_act_is_healed(
    fleet: Fleet, tmp_path: Path, verb: str, event: str, moment: str
) -> None:
    usual = fleet.host.docker_config
    fleet.turn_over()

    fleet.host.docker_config = docker_config(
        fleet.host, tmp_path, verb=verb, event=event, moment=moment
    )
    killed = fleet.host.once()
    fleet.host.docker_config = usual

    assert killed.code == -signal.SIGKILL
    assert (fleet.host.state / "journal.json").exists()
    fleet.assert_healed()


def test_a_kill_in_the_middle_of_a_pull_is_healed(fleet: Fleet) -> None:
    with silent_registry(fleet.host.engine) as registry:
        fleet.host.publish(
            {"same-0": a_guest(), "chat-0": two_services(image=f"{registry.name}/a:1")}
        )
        fleet.turn += 1
        with fleet.host.start() as agent:
            registry.wait_for_a_pull()
            agent.kill()

        assert fleet.host.inside("chat-0/web", "cat /etc/turn") == str(fleet.turn - 1)
        fleet.turn_over()
        fleet.assert_healed()
