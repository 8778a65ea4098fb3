"""A rollout that stalled goes no further by itself before what it reached is well."""

from __future__ import annotations

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

NODES = ("n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7")
TWO_DOWN = "{maxUnavailable: 2, rollback: false}"


def stalled(*, volumes: bool = True) -> Fleet:
    """Six replicas of which the first fails in a new version, and three more have it."""
    fleet = a_fleet_of(*NODES, volumes=volumes, chat=spread(6, update=TWO_DOWN))
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.world.commit({"deployments/chat.yaml": spread(6, "two", update=TWO_DOWN)})
    fleet.rest(3)
    assert fleet.phase() is Phase.STALLED
    assert changed(fleet) == 3
    return fleet


def changed(fleet: Fleet) -> int:
    return list(fleet.texts().values()).count("two")


def stays(fleet: Fleet) -> None:
    assert (fleet.phase(), changed(fleet)) == (Phase.STALLED, 3)
    assert fleet.decision().message == "chat-0 failed: it is ill"


def test_it_does_not_when_the_reconciler_lost_its_memory() -> None:
    fleet = stalled()

    for _ in range(3):
        fleet.world.memory = type(fleet.world.memory)()
        fleet.rest(3)

    stays(fleet)


def test_nor_when_the_node_of_what_failed_is_silent() -> None:
    fleet = stalled()

    fleet.silent.add(fleet.homes()["chat-0"])
    fleet.rest(24)

    stays(fleet)


@pytest.mark.parametrize("state", [ReplicaState.STARTING, ReplicaState.DEGRADED])
def test_nor_when_what_failed_does_no_longer_and_is_not_well(state: ReplicaState) -> None:
    fleet = stalled()

    fleet.states["chat-0"] = state
    fleet.rest(6)

    stays(fleet)


def test_nor_when_what_failed_leaves_its_node_and_fails_elsewhere() -> None:
    fleet = stalled(volumes=False)
    home = fleet.homes()["chat-0"]

    fleet.rest(24)

    assert fleet.homes()["chat-0"] != home
    stays(fleet)


def test_it_does_once_all_that_it_reached_are_ready() -> None:
    fleet = stalled()

    fleet.states.clear()
    fleet.rest(6)

    assert (fleet.phase(), changed(fleet)) == (Phase.SETTLED, 6)
