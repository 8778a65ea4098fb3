"""What is worth a move, at the edges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness, Node
from reconciler.placing.plan import Keep, Need, Placement
from reconciler.placing.rebalance import Move, rebalance
from schemas.names import DeploymentName, ReplicaName
from schemas.node import Duty
from schemas.resources import (
    Expression,
    Neighbourhood,
    Operator,
    PlacementRules,
    Preference,
    Resources,
    Spread,
    Strategy,
)
from tests.builders import a_gpu_need, a_need, a_node, a_placement, a_share

ONE = a_need("one", gpus=a_gpu_need())
FOUR = a_need("four", gpus=a_gpu_need(count=4))


def on(node: str, deployment: str, index: int, *gpus: int, **fields: object) -> Placement:
    shares = tuple(a_share(number, owner=node) for number in gpus)
    return a_placement(deployment, index, node=node, gpus=shares, **fields)


def moves(
    needs: tuple[Need | Keep, ...],
    nodes: tuple[Node, ...],
    before: tuple[Placement, ...],
    *,
    most: int = 10,
    still: tuple[str, ...] = (),
) -> tuple[Move, ...]:
    names = frozenset(map(ReplicaName, still))
    return rebalance(needs, nodes, before, still=names, most=most)


def short(found: tuple[Move, ...]) -> list[tuple[str, str, str]]:
    return [(move.replica, move.was_on, move.to.node) for move in found]


# Two nodes of four GPUs, on each of which one replica sits: nobody with four finds a place.
SCATTERED = tuple(a_node(name, cards=["l40s"] * 4) for name in ("a", "b"))
BEFORE = (on("a", "one", 0, 0), on("b", "one", 1, 0))
TWO = replace(ONE, replicas=2)


def test_one_who_has_no_node_gets_one_if_another_makes_room() -> None:
    (move,) = moves((TWO, FOUR), SCATTERED, BEFORE)

    assert short((move,)) == [("one-0", "a", "b")]
    assert move.why == "makes room for four-0"
    assert move.gain == 1.0
    assert move.to.why.text == "moved from a: makes room for four-0"
    assert move.to.gpus[0].uuid != BEFORE[1].gpus[0].uuid


@pytest.mark.parametrize(
    ("most", "count"),
    [
        pytest.param(1, 0, id="one below what it takes"),
        pytest.param(2, 2, id="exactly"),
        pytest.param(3, 2, id="one above"),
    ],
)
def test_room_is_made_whole_or_not_at_all(most: int, count: int) -> None:
    before = (
        on("a", "one", 0, 0),
        on("a", "one", 1, 1),
        on("b", "one", 2, 0),
        on("b", "one", 3, 1),
    )
    needs = (replace(ONE, replicas=4), FOUR)

    assert len(moves(needs, SCATTERED, before, most=most)) == count


@pytest.mark.parametrize(
    ("need", "still"),
    [
        pytest.param(TWO, ("one-0", "one-1"), id="not well"),
        pytest.param(replace(TWO, pinned=True), (), id="tied by its volumes"),
    ],
)
def test_who_may_not_move_makes_no_room(need: Need, still: tuple[str, ...]) -> None:
    assert moves((need, FOUR), SCATTERED, BEFORE, still=still) == ()


def test_who_is_held_or_wanted_near_stays() -> None:
    near = PlacementRules(near=(Neighbourhood(deployments=(DeploymentName("one"),)),))
    friend = a_need("friend", rules=near, replicas=0)

    assert moves((Keep(deployment=DeploymentName("one")), FOUR), SCATTERED, BEFORE) == ()
    assert moves((TWO, FOUR, friend), SCATTERED, BEFORE) == ()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"freshness": Freshness.LATE}, id="late"),
        pytest.param({"duty": Duty.CORDONED}, id="cordoned"),
        pytest.param({"runtime_error": "no daemon"}, id="without Docker"),
    ],
)
def test_a_node_that_is_not_in_order_gets_nothing_and_gives_nothing(
    fields: dict[str, object],
) -> None:
    nodes = (SCATTERED[0], replace(SCATTERED[1], **fields))  # type: ignore[arg-type]  # its fields

    assert moves((TWO, FOUR), nodes, BEFORE) == ()


WEB = a_need("web", strategy=Strategy.SPREAD, resources=Resources(cpu_milli=4000, memory_mib=64))


@pytest.mark.parametrize(
    ("replicas", "count"),
    [
        pytest.param(1, 0, id="one is as well here as there"),
        pytest.param(2, 1, id="two share a node"),
        pytest.param(4, 2, id="four"),
    ],
)
def test_a_node_that_joins_takes_over_until_it_is_level(replicas: int, count: int) -> None:
    before = tuple(on("a", "web", index, resources=WEB.resources) for index in range(replicas))
    need = replace(WEB, replicas=replicas)

    found = moves((need,), (a_node("a"), a_node("b")), before)

    assert len(found) == count
    assert all(move.to.node == "b" and "emptier" in move.why for move in found)


@pytest.mark.parametrize(
    ("milli", "moved"),
    [
        pytest.param(1590, False, id="less than a tenth of a node"),
        pytest.param(1600, True, id="a tenth of a node"),
    ],
)
def test_a_little_more_level_is_not_worth_a_restart(milli: int, moved: bool) -> None:
    amounts = Resources(cpu_milli=milli, memory_mib=64)
    need = replace(WEB, replicas=2, resources=amounts)
    before = tuple(on("a", "web", index, resources=amounts) for index in range(2))

    found = moves((need,), (a_node("a"), a_node("b")), before)

    assert bool(found) is moved


def test_a_label_that_is_preferred_is_worth_a_move() -> None:
    wish = Preference(expression=Expression(key="fast", operator=Operator.EXISTS))
    need = a_need("chat", rules=PlacementRules(prefer=(wish,)))
    nodes = (a_node("a"), a_node("b", labels={"fast": "yes"}))

    (move,) = moves((need,), nodes, (on("a", "chat", 0),))

    assert short((move,)) == [("chat-0", "a", "b")]
    assert move.why.startswith("more of the labels that it prefers")


def test_replicas_that_are_no_longer_even_are_brought_back() -> None:
    need = a_need("chat", replicas=2, rules=PlacementRules(spread=(Spread(over="zone"),)))
    nodes = tuple(a_node(name, labels={"zone": name}) for name in "ab")
    before = (on("a", "chat", 0), on("a", "chat", 1))

    (move,) = moves((need,), nodes, before)

    assert move.to.node == "b"
    assert move.gain >= 1.0
    assert move.why.startswith("keeps a rule that a does not: would lead by more than 1 over zone")


def test_a_fleet_that_is_well_packed_is_left_alone() -> None:
    before = (on("a", "one", 0, 0), on("a", "one", 1, 1))

    assert moves((TWO, FOUR), SCATTERED, before) == ()
