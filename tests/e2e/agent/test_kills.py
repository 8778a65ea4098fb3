"""SIGKILL of a real agent at every step that it takes: the next one brings it to an end."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from examples.tour.engines import Engine
from tests.e2e.agent.conftest import new_host
from tests.e2e.agent.dying import MOMENTS, Hook, docker_config
from tests.e2e.agent.host import Host, a_service, files, two_services
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
        states = self.host.states()
        guest = f"guest-{self.turn}"
        names = {"chat-0/side", "chat-0/web", f"{guest}/web", "same-0/web"}
        return (
            len(self.host.listed()) == len(names)
            and states == dict.fromkeys(names, "running")
            and self.host.inside("chat-0/web", "cat /etc/turn") == str(self.turn)
        )

    def assert_healed(self) -> None:
        """Let agents work, then look at all that they could have left behind."""
        self.host.passes_until(self.is_as_assigned, "--now")
        self.host.rest()

        assert self.is_as_assigned()
        assert self.host.containers()["same-0/web"] == self.same["same-0/web"]
        assert not (self.host.state / "journal.json").exists()
        beat = self.host.heartbeat()
        assert (beat.generation, beat.problems) == (self.turn, ())
        assert {str(one.state) for one in beat.replicas} == {"running"}
        folders = {path.name for path in (self.host.state / "replicas").iterdir()}
        assert folders == {"chat-0", f"guest-{self.turn}", "same-0"}
        assert len([*(self.host.state / "replicas/chat-0").iterdir()]) == len(
            ("the files", "the overlay", "the store")
        )


def a_guest() -> Files:
    return files({"web": a_service()})


@pytest.fixture(scope="module")
def fleet(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    made = Fleet(new_host(engine, tmp_path_factory.mktemp("kills")))
    made.turn_over()
    made.host.rest()
    made.same = made.host.containers()
    return made


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
