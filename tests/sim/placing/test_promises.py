"""The promises of a plan, each over hundreds of random worlds."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness, Node
from reconciler.placing.engine import drafted, plan
from reconciler.placing.hosted import domain
from reconciler.placing.improving import free_to_go
from reconciler.placing.plan import Keep, Need, Placement
from schemas.names import DeploymentName
from schemas.node import Duty
from schemas.resources import PlacementRules, Preemption
from tests.sim.placing.worlds import a_need, breaches, some_needs, some_nodes, where

SEEDS = range(100)


def a_world(
    seed: int,
) -> tuple[random.Random, tuple[Need, ...], tuple[Node, ...], tuple[Placement, ...]]:
    """A world in which an earlier state of the same deployments already runs."""
    rng = random.Random(seed)
    nodes, needs = some_nodes(rng), some_needs(rng)
    healthy = tuple(replace(n, freshness=Freshness.READY, duty=Duty.ACTIVE) for n in nodes)
    earlier = tuple(need for need in needs if rng.random() < 0.7)
    return rng, needs, nodes, plan(earlier, healthy, ()).placements


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_overfull(seed: int) -> None:
    _, needs, nodes, before = a_world(seed)

    assert breaches(nodes, before) == []
    assert breaches(nodes, plan(needs, nodes, before).placements) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_every_replica_is_placed_or_refused_with_a_reason(seed: int) -> None:
    _, needs, nodes, before = a_world(seed)

    made = plan(needs, nodes, before)

    wanted = {f"{need.deployment}-{i}" for need in needs for i in range(need.replicas)}
    refused = {one.replica for one in made.refusals}
    assert where(made).keys() | refused == wanted
    assert all(one.reasons for one in made.refusals)


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_input_does_not_matter(seed: int) -> None:
    rng, needs, nodes, before = a_world(seed)

    def mixed(things: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(rng.sample(things, len(things)))

    again = plan(mixed(needs), mixed(nodes), mixed(before))  # type: ignore[arg-type]

    assert again == plan(needs, nodes, before)


@pytest.mark.parametrize("seed", SEEDS)
def test_second_pass_changes_nothing(seed: int) -> None:
    _, needs, nodes, before = a_world(seed)

    first = plan(needs, nodes, before)
    second = plan(needs, nodes, first.placements)

    assert second.placements == first.placements


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_starts_empty_while_the_node_with_its_data_would_take_it(seed: int) -> None:
    _, needs, nodes, before = a_world(seed)

    draft = drafted(needs, nodes, before)

    for one in draft.placed.values():
        need = draft.needs[one.deployment]
        rows = draft.columns.volumes.get(one.replica, [])
        if one.replica in draft.before or not (need.has_data and free_to_go(need, draft)):
            continue
        if draft.row(one) not in rows:
            assert [row for row in rows if draft.core.on(draft.ask(need), row)] == []


def test_in_these_worlds_many_return_to_their_data() -> None:
    told = [one.why.text for seed in SEEDS for one in plan(*a_world(seed)[1:]).placements]

    assert told.count("its data is there") > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_newcomer_never_evicts_an_equal(seed: int) -> None:
    rng, needs, nodes, before = a_world(seed)
    settled = plan(needs, nodes, before)
    names = [need.deployment for need in needs]
    newcomer = replace(a_need(rng, "new", [str(name) for name in names]), priority=0)
    newcomer = replace(newcomer, rules=replace(newcomer.rules, apart=(), near=()))

    after = plan((*needs, newcomer), nodes, settled.placements)

    assert where(settled).items() <= where(after).items()


@pytest.mark.parametrize("seed", SEEDS)
def test_drain_empties_a_node_of_all_that_is_not_tied_to_it(seed: int) -> None:
    _, needs, nodes, before = a_world(seed)
    settled = plan(needs, nodes, before)
    drained = (replace(nodes[0], duty=Duty.DRAINING), *nodes[1:])

    after = plan(needs, drained, settled.placements)

    left = [one for one in after.placements if one.node == nodes[0].name]
    assert all(one.pinned for one in left)
    assert {one.replica for one in left} <= {one.replica for one in after.refusals}


@pytest.mark.parametrize("seed", SEEDS)
def test_preemption_only_goes_downwards(seed: int) -> None:
    rng, needs, nodes, before = a_world(seed)
    settled = plan(needs, nodes, before)
    strong = replace(
        some_needs(rng, 1)[0],
        deployment=DeploymentName("new"),
        priority=5,
        rules=PlacementRules(preemption=Preemption.LOWER_PRIORITY),
    )

    after = plan((*needs, strong), nodes, settled.placements)

    gone = where(settled).items() - where(after).items()
    lower = {need.deployment for need in needs if need.priority < strong.priority}
    assert {name.rsplit("-", 1)[0] for name, _ in gone} <= lower


@pytest.mark.parametrize("seed", SEEDS)
def test_spread_skew_is_held_for_whoever_is_placed_anew(seed: int) -> None:
    _, needs, nodes, _ = a_world(seed)
    free = tuple(replace(n, rules=PlacementRules(spread=n.rules.spread)) for n in needs)

    made = plan(free, nodes, ())

    for need in free:
        for rule in need.rules.spread:
            by_name = {node.name: node for node in nodes}
            counts = Counter(
                domain(by_name[one.node], rule.over)
                for one in made.placements
                if one.deployment == need.deployment
            )
            assert None not in counts
            if counts:
                assert max(counts.values()) - min(counts.values()) <= rule.max_skew


@pytest.mark.parametrize("seed", SEEDS)
def test_gangs_are_whole_or_absent(seed: int) -> None:
    _, needs, nodes, _ = a_world(seed)
    calm = tuple(replace(n, rules=replace(n.rules, preemption=Preemption.NEVER)) for n in needs)

    placed = where(plan(calm, nodes, ()))

    for gang in {need.rules.gang for need in calm} - {None}:
        members = [n for n in calm if n.rules.gang == gang]
        wanted = {f"{n.deployment}-{i}" for n in members for i in range(n.replicas)}
        assert wanted <= placed.keys() or not wanted & placed.keys()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_kept_stays_verbatim(seed: int) -> None:
    rng, needs, nodes, before = a_world(seed)
    held = {need.deployment for need in needs if rng.random() < 0.4}
    desired = tuple(Keep(deployment=n.deployment) if n.deployment in held else n for n in needs)

    after = plan(desired, nodes, before)

    assert {one for one in map(repr, before) if any(f"deployment='{h}'" in one for h in held)} <= {
        repr(one) for one in after.placements
    }
    assert breaches(nodes, after.placements) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_that_take_nothing_new_get_nothing_new(seed: int) -> None:
    _, needs, nodes, before = a_world(seed)
    already = {(one.replica, one.node) for one in before}

    after = plan(needs, nodes, before)

    closed = {
        n.name
        for n in nodes
        if n.freshness is not Freshness.READY or n.duty is not Duty.ACTIVE or n.runtime_error
    }
    assert {(r, n) for r, n in where(after).items() if n in closed} <= already
