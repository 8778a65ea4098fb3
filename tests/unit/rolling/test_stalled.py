"""A rollout that stalled goes no further by itself before what it reached is well."""

from __future__ import annotations

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import node
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


def test_a_drain_takes_what_has_the_version_along_and_brings_it_to_nobody_else() -> None:
    fleet = stalled(volumes=False)
    texts, homes = fleet.texts(), fleet.homes()
    old = [name for name, text in texts.items() if text == "one"]
    new = [name for name, text in texts.items() if text == "two" and name != "chat-0"]
    drained = {homes[name] for name in (*old, *new)}

    fleet.world.commit(
        {f"nodes/{name}.yaml": node(name, duty="draining") for name in sorted(drained)}
    )
    fleet.rest(12)

    assert fleet.texts() == texts
    now = fleet.homes()
    assert {name: now[name] for name in old} == {name: homes[name] for name in old}
    assert not drained & {now[name] for name in new}
    assert fleet.because() == {"stalled"}


def test_it_does_not_come_to_one_that_is_down_for_a_moment() -> None:
    fleet = stalled()
    old = next(name for name, text in sorted(fleet.texts().items()) if text == "one")
    fleet.states[old] = ReplicaState.STARTING
    fleet.obey()

    fleet.step()
    del fleet.states[old]
    fleet.rest(3)

    stays(fleet)
    assert fleet.texts()[old] == "one"


def test_nor_to_additional_replicas_that_came_with_it() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states["chat-0"] = ReplicaState.FAILED
    update = "{canary: 1, rollback: false}"
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two", update=update)})

    fleet.rest(8)

    assert fleet.phase() is Phase.STALLED
    assert sorted(fleet.texts()) == ["chat-0", "chat-1"]


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
