"""What counts against a new version, and what does not: then nothing is rolled back for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

FIRST = "{strategy: startFirst}"
DEADLINE = timedelta(minutes=11)


def change(fleet: Fleet, text: str) -> None:
    fleet.world.commit({"deployments/chat.yaml": text})


@pytest.mark.parametrize("state", [ReplicaState.FAILED, ReplicaState.STARTING])
def test_an_extra_replica_that_never_gets_ready_ends_the_rollout(state: ReplicaState) -> None:
    fleet = a_fleet_of(chat=spread(2, update=FIRST))
    fleet.states["chat-2"] = state
    change(fleet, spread(2, "two", update=FIRST))

    fleet.rest(3)
    fleet.wait(DEADLINE)
    fleet.rest(2)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert "chat-2" in fleet.decision().message
    assert fleet.texts() == {"chat-0": "one", "chat-1": "one"}


@pytest.mark.parametrize("state", [ReplicaState.FAILED, ReplicaState.DEGRADED])
@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        pytest.param({}, {"replicas": 4}, 4, id="more"),
        pytest.param({"replicas": 4}, {}, 2, id="fewer"),
        pytest.param({}, {"priority": 7}, 2, id="priority"),
        pytest.param({}, {"drift": "report"}, 2, id="drift"),
    ],
)
def test_who_was_ill_before_is_no_fault_of_a_change_that_does_not_touch_it(
    state: ReplicaState, before: dict[str, object], after: dict[str, object], left: int
) -> None:
    fleet = a_fleet_of(chat=spread(**{"replicas": 2, **before}))
    fleet.states["chat-0"] = state
    fleet.rest(2)

    change(fleet, spread(**{"replicas": 2, **after}))
    fleet.rest(3)
    fleet.wait(DEADLINE)
    fleet.rest(1)

    assert len(fleet.texts()) == left
    assert fleet.phase() is Phase.SETTLED


def test_who_was_ill_before_and_stays_ill_when_changed_counts() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.rest(2)

    change(fleet, spread(2, "two"))
    fleet.rest(4)

    assert fleet.phase() is Phase.ROLLED_BACK


def test_a_deployment_that_is_suspended_because_it_fails_stays_as_it_is() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.rest(2)
    homes = fleet.homes()

    change(fleet, spread(2, suspend="true"))
    fleet.rest(12)

    assert fleet.because() == {"suspended"}
    assert fleet.homes() == homes


@pytest.mark.parametrize("whole", [False, True], ids=["deployment", "fleet"])
def test_no_deadline_passes_while_nothing_may_be_touched(whole: bool) -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.states["chat-0"] = ReplicaState.STARTING
    change(fleet, spread(3, "two"))
    fleet.rest(2)
    document = "fleet.yaml" if whole else "deployments/chat.yaml"
    before = fleet.world.files[document]
    suspended = f"{before.decode() if isinstance(before, bytes) else before}".rstrip()
    suspended += "\nspec: {suspend: true}\n" if whole else "\n  suspend: true\n"
    fleet.world.commit({document: suspended})

    fleet.rest(2)
    fleet.wait(DEADLINE)
    fleet.rest(2)
    assert fleet.texts()["chat-0"] == "two"
    assert fleet.phase() is not Phase.ROLLED_BACK

    fleet.world.commit({document: before})
    fleet.rest(2)
    assert fleet.texts()["chat-0"] == "two"
    fleet.wait(DEADLINE)
    fleet.rest(2)
    assert fleet.phase() is Phase.ROLLED_BACK


def test_the_way_back_to_a_version_that_was_suspended_is_gone() -> None:
    fleet = a_fleet_of(chat=spread(3))
    change(fleet, spread(3, suspend="true"))
    fleet.rest(3)
    fleet.states["chat-0"] = ReplicaState.FAILED

    change(fleet, spread(3, "two"))
    fleet.rest(5)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert set(fleet.texts().values()) == {"one"}


def lose(fleet: Fleet, name: str) -> None:
    fleet.silent.add(name)
    fleet.rest(40)


def suspend(fleet: Fleet, name: str) -> None:
    fleet.world.commit({f"nodes/{name}.yaml": node(name, suspend="true")})
    fleet.rest(2)


@pytest.mark.parametrize("take_away", [lose, suspend])
def test_a_node_that_is_away_keeps_no_version_from_being_the_good_one(
    take_away: Callable[[Fleet, str], None],
) -> None:
    update = "{maxUnavailable: 2}"
    fleet = a_fleet_of(volumes=True, chat=spread(4, update=update))
    take_away(fleet, fleet.homes()["chat-3"])
    for text in ("two", "three"):
        change(fleet, spread(4, text, update=update))
        fleet.rest(6)
    source = fleet.decision().source

    fleet.states["chat-1"] = ReplicaState.FAILED
    fleet.rest(4)
    change(fleet, spread(4, "four", update=update))
    fleet.rest(6)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert list(fleet.texts().values()) == ["three", "three", "three", "one"]
    assert fleet.decision().good_source == source


def test_nor_does_what_stays_on_a_drained_node_as_no_other_takes_it() -> None:
    fleet = a_fleet_of(chat=spread(4, resources="{cpu: 9}"))
    home = fleet.homes()["chat-3"]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    change(fleet, spread(4, "two", resources="{cpu: 9}"))
    fleet.rest(6)
    assert list(fleet.texts().values()) == ["two", "two", "two", "one"]

    fleet.states["chat-1"] = ReplicaState.FAILED
    fleet.rest(6)

    assert list(fleet.texts().values()) == ["two", "two", "two", "one"]


def test_and_has_the_good_one_once_it_is_back() -> None:
    fleet = a_fleet_of(volumes=True, chat=spread(4, update="{maxUnavailable: 2}"))
    home = fleet.homes()["chat-3"]
    lose(fleet, home)
    change(fleet, spread(4, "two", update="{maxUnavailable: 2}"))
    fleet.rest(6)

    fleet.silent.clear()
    fleet.states["chat-3"] = ReplicaState.FAILED
    fleet.rest(40)

    assert set(fleet.texts().values()) == {"two"}
    assert fleet.phase() is Phase.SETTLED


@pytest.mark.parametrize(("away", "serves"), [(2, "two"), (3, "one")])
def test_but_half_of_all_prove_it_and_fewer_do_not(away: int, serves: str) -> None:
    update = "{maxUnavailable: 100%}"
    fleet = a_fleet_of(volumes=True, chat=spread(4, update=update))
    homes = fleet.homes()
    for index in range(away):
        suspend(fleet, homes[f"chat-{index}"])
    change(fleet, spread(4, "two", update=update))
    fleet.rest(4)

    fleet.states["chat-3"] = ReplicaState.FAILED
    fleet.rest(4)

    assert fleet.texts()["chat-3"] == serves


def test_a_docker_that_does_not_answer_speaks_against_no_version_until_it_does() -> None:
    fleet = a_fleet_of(chat=spread(4))
    home = fleet.homes()["chat-3"]
    others = [name for name in fleet.agents if name != home]
    change(fleet, spread(4, "two"))
    fleet.agents[home].docker = "Docker does not answer"
    for _ in range(60):
        fleet.world.clock.pass_by(timedelta(seconds=15))
        fleet.world.pass_once()
        fleet.obey(*others)
        fleet.say(home)
    assert set(fleet.texts().values()) == {"two"}
    assert fleet.phase() is Phase.ROLLING

    fleet.agents[home].docker = ""
    fleet.states["chat-3"] = ReplicaState.STARTING
    fleet.rest(3)
    fleet.wait(DEADLINE)

    assert fleet.phase() is Phase.ROLLED_BACK
