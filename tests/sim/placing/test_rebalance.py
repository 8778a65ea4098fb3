"""The promises of rebalancing, each over random worlds."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness, Node
from reconciler.placing.engine import plan
from reconciler.placing.plan import Need, Placement
from reconciler.placing.rebalance import Move, rebalance
from schemas.names import ReplicaName
from schemas.node import Duty
from tests.sim.placing.worlds import breaches, some_needs, some_nodes, where

SEEDS = range(200)
# More passes than the best fleet would need; one that never rests is found out.
PASSES = 40


def a_drifted_world(
    seed: int,
) -> tuple[random.Random, tuple[Need, ...], tuple[Node, ...], tuple[Placement, ...]]:
    """A fleet at rest from which much has gone since, and to which nodes have come."""
    rng = random.Random(seed)
    nodes, needs = some_nodes(rng), some_needs(rng, most=10)
    nodes = tuple(replace(n, freshness=Freshness.READY, duty=Duty.ACTIVE) for n in nodes)
    few = tuple(node for node in nodes if rng.random() < 0.7) or nodes
    first = plan(needs, few, ()).placements
    left = tuple(replace(n, replicas=rng.randint(0, n.replicas)) for n in needs)
    return rng, left, nodes, plan(left, nodes, first).placements


def moved(before: tuple[Placement, ...], moves: tuple[Move, ...]) -> tuple[Placement, ...]:
    to = {move.replica: move.to for move in moves}
    return tuple(to.get(one.replica, one) for one in before)


@pytest.mark.parametrize("seed", SEEDS)
def test_never_more_than_asked_for_and_each_replica_once(seed: int) -> None:
    rng, needs, nodes, before = a_drifted_world(seed)
    most = rng.choice([0, 1, 2, 5])

    moves = rebalance(needs, nodes, before, still=frozenset(), most=most)

    assert len(moves) <= most
    assert len({move.replica for move in moves}) == len(moves)
    assert all(move.to.node != move.was_on and move.gain > 0 for move in moves)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_with_the_moves_keeps_every_promise_and_makes_no_other_move(seed: int) -> None:
    _, needs, nodes, before = a_drifted_world(seed)

    moves = rebalance(needs, nodes, before, still=frozenset(), most=5)
    after = plan(needs, nodes, moved(before, moves))

    assert breaches(nodes, after.placements) == []
    was, now = {one.replica: one.node for one in before}, where(after)
    assert {r: now.get(r) for r in was if now.get(r) != was[r]} == {
        move.replica: move.to.node for move in moves
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_who_is_tied_or_still_or_wanted_near_stays(seed: int) -> None:
    rng, needs, nodes, before = a_drifted_world(seed)
    still = frozenset(one.replica for one in before if rng.random() < 0.3)
    tied = {one.replica for one in before if one.pinned}
    near = {other for n in needs for rule in n.rules.near for other in rule.deployments}

    moves = rebalance(needs, nodes, before, still=still, most=20)

    assert {move.replica for move in moves}.isdisjoint(still | tied)
    assert {move.to.deployment for move in moves}.isdisjoint(near)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_the_end_there_is_nothing_more_to_gain(seed: int) -> None:
    _, needs, nodes, placed = a_drifted_world(seed)

    for _ in range(PASSES):
        moves = rebalance(needs, nodes, placed, still=frozenset(), most=2)
        if not moves:
            return
        placed = plan(needs, nodes, moved(placed, moves)).placements
    raise AssertionError(f"still moving after {PASSES} passes: {moves}")


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_who_was_placed_is_left_without_a_node(seed: int) -> None:
    _, needs, nodes, before = a_drifted_world(seed)
    without = plan(needs, nodes, before)

    moves = rebalance(needs, nodes, before, still=frozenset(), most=5)
    after = plan(needs, nodes, moved(before, moves))

    assert where(without).keys() <= where(after).keys()
    freed = {move.why.removeprefix("makes room for ") for move in moves if "makes room" in move.why}
    assert {ReplicaName(name) for name in freed} <= where(after).keys()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_input_does_not_matter(seed: int) -> None:
    rng, needs, nodes, before = a_drifted_world(seed)
    mixed = (rng.sample(things, len(things)) for things in (needs, nodes, before))
    again = rebalance(*map(tuple, mixed), still=frozenset(), most=5)  # type: ignore[arg-type]  # three kinds of tuple

    assert again == rebalance(needs, nodes, before, still=frozenset(), most=5)


def test_these_worlds_have_something_to_gain() -> None:
    counts = {"room": 0, "better": 0}
    for seed in SEEDS:
        _, needs, nodes, before = a_drifted_world(seed)
        for move in rebalance(needs, nodes, before, still=frozenset(), most=5):
            counts["room" if "makes room" in move.why else "better"] += 1

    assert counts["room"] > 2, counts
    assert counts["better"] > 25, counts
