"""What is counted without trying is what trying finds, over random worlds."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness
from reconciler.placing.draft import Draft
from reconciler.placing.engine import drafted, plan
from reconciler.placing.newcomers import find_place_without
from reconciler.placing.room import Choices, count_fitting
from schemas.node import Duty
from tests.sim.placing.worlds import some_needs, some_nodes

SEEDS = range(100)
MANY = 200


def a_draft(seed: int, most: int) -> Draft:
    rng = random.Random(seed)
    nodes = tuple(
        replace(one, freshness=Freshness.READY, duty=Duty.ACTIVE) for one in some_nodes(rng, most)
    )
    needs = some_needs(rng)
    return drafted(needs, nodes, plan(needs, nodes, ()).placements)


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_fit_as_can_be_placed_one_after_the_other(seed: int) -> None:
    draft = a_draft(seed, 8)

    for need in draft.needs.values():
        ask = draft.ask(need)
        counted = count_fitting(ask, draft.ground)
        placed = draft.core.many(ask, MANY)
        for choice in placed:
            draft.core.out(ask, choice)
        assert counted is None or min(counted, MANY) == len(placed)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_there_is_plenty_of_choice_nobody_is_left_whoever_goes_first(seed: int) -> None:
    draft = a_draft(seed, 30)
    choices = Choices(draft)
    rng = random.Random(seed)

    for row, there in enumerate(draft.on_row):
        if not choices.plenty_without(row):
            continue
        mark = draft.mark()
        leaving = list(there.values())
        rng.shuffle(leaving)
        for one in leaving:
            draft.remove(one)
        for one in leaving:
            place = find_place_without(row, one.replica, draft.needs[one.deployment], draft)
            assert place is not None
            draft.put(place)
        draft.undo(mark)


def test_there_are_worlds_with_plenty_of_choice_and_without() -> None:
    found = {
        Choices(draft).plenty_without(row)
        for draft in (a_draft(seed, 30) for seed in range(5))
        for row in range(len(draft.on_row))
        if draft.on_row[row]
    }

    assert found == {True, False}
