"""Once all are back in the last good version it is a version like any other, however long main has
the rejected one."""

from __future__ import annotations

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import deployment, node
from tests.unit.rolling.fleet import POLL, Fleet, a_fleet_of
from tests.unit.rolling.test_failover import LOST


def chat(text: str, replicas: int = 3, **spec: object) -> str:
    spread = {"placement": "{strategy: spread}", **spec}
    return deployment("chat", replicas=replicas, parameters=f"{{text: {text}}}", **spread)


def rolled_back(fleet: Fleet, bad: str, failing: str) -> None:
    """Commit a version that fails, and wait until all are back where they were."""
    fleet.world.commit({"deployments/chat.yaml": bad})
    fleet.states[failing] = ReplicaState.FAILED
    fleet.rest(5)
    del fleet.states[failing]
    fleet.rest(10)
    assert fleet.phase() is Phase.ROLLED_BACK
    assert set(fleet.texts().values()) == {"one"}


def served(fleet: Fleet, passes: int) -> int:
    """The fewest replicas that were ready after any of so many passes, before agents obeyed."""
    found = []
    for _ in range(passes):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        standing = fleet.world.decide().facts.standing
        found.append(sum(one.ready for one in standing.values()))
        fleet.obey()
    return min(found)


def drain(fleet: Fleet, replica: str) -> None:
    home = fleet.homes()[replica]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})


def test_a_drain_starts_first_where_the_deployment_says_so() -> None:
    update = "{strategy: startFirst}"
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=chat("one", replicas=1, update=update))
    rolled_back(fleet, chat("two", replicas=1, update=update), failing="chat-1")

    drain(fleet, "chat-0")

    assert served(fleet, passes=6) == 1


def test_nor_are_more_down_than_may_be_where_one_is_on_a_lost_node() -> None:
    stays = "{replace: false}"
    nodes = ("alpha", "beta", "gamma", "delta", "eps")
    fleet = a_fleet_of(*nodes, chat=chat("one", disconnect=stays))
    rolled_back(fleet, chat("two", disconnect=stays), failing="chat-1")
    fleet.silent = {fleet.homes()["chat-2"]}
    fleet.wait(LOST + 4 * POLL)

    drain(fleet, "chat-0")

    assert served(fleet, passes=6) == 2


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.SETTLED])
def test_who_is_more_important_takes_its_place(phase: Phase) -> None:
    spec: dict[str, object] = {"replicas": 2, "resources": "{cpu: 9}", "priority": 0}
    fleet = a_fleet_of("alpha", "beta", chat=chat("one", **spec))
    if phase is Phase.ROLLED_BACK:
        rolled_back(fleet, chat("two", **spec), failing="chat-0")
    more = {"priority": 100, "placement": "{preemption: lowerPriority, strategy: spread}"}
    vip = deployment("vip", replicas=2, resources="{cpu: 10}", parameters="{text: vip}", **more)

    fleet.world.commit({"deployments/vip.yaml": vip})
    fleet.rest(10)

    assert set(fleet.texts("vip")) == {"vip-0", "vip-1"}
    assert fleet.texts() == {}
