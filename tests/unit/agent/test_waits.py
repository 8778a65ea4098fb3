"""Back-off, the budget of pushes, and when a heartbeat is due."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import (
    FORGIVEN_AFTER_SECONDS,
    FREE_STARTS,
    LONGEST_SECONDS,
    Tries,
    cut_short,
    delay,
    failed,
    started,
    waits,
)
from agent.pacing import Budget, may_come_early, next_keep_alive, next_poll


@pytest.mark.parametrize(
    ("failures", "least"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (1000, 300)]
)
def test_each_failure_waits_longer_up_to_five_minutes(failures: int, least: int) -> None:
    waited = [delay(failures, random.Random(seed)) for seed in range(50)]

    assert all(least <= seconds <= min(least * 1.2, LONGEST_SECONDS) for seconds in waited)


def test_jitter_keeps_hosts_apart() -> None:
    assert len({delay(1, random.Random(seed)) for seed in range(50)}) == 50


def test_another_subject_is_tried_at_once() -> None:
    tries = failed(Tries(), "tree 1", "no", 100.0, random.Random(0))

    assert waits(tries, "tree 1", 105.0)
    assert not waits(tries, "tree 2", 105.0)
    assert failed(tries, "tree 2", "no", 105.0, random.Random(0)).failures == 1


def test_the_first_starts_are_free_and_a_crash_loop_waits() -> None:
    tries, rng = Tries(), random.Random(0)
    for number in range(FREE_STARTS):
        tries = started(tries, "tree", 10.0 * number, rng)
        assert not waits(tries, "tree", 10.0 * number)

    tries = started(tries, "tree", 100.0, rng)

    assert waits(tries, "tree", 105.0)


def test_a_crash_loop_is_forgiven_after_a_quiet_time() -> None:
    tries, rng = Tries(), random.Random(0)
    for _ in range(FREE_STARTS + 3):
        tries = started(tries, "tree", 0.0, rng)

    later = started(tries, "tree", FORGIVEN_AFTER_SECONDS, rng)

    assert later.starts == 1


def test_a_try_that_was_cut_short_is_no_failure_and_nothing_waits_for_it() -> None:
    before = failed(Tries(), "tree", "no", 100.0, random.Random(0))

    again, other = cut_short(before, "tree", 200.0), cut_short(before, "tree 2", 200.0)

    assert again == replace(before, last=200.0)
    assert other == Tries(subject="tree 2", last=200.0)
    assert not waits(again, "tree", 200.0)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 3600))
def test_the_budget_never_exceeds_a_burst(tokens: float, since: float, per_hour: int) -> None:
    budget = Budget(per_hour)

    assert 0 <= budget.refilled(min(tokens, budget.burst), since) <= budget.burst


@pytest.mark.parametrize("per_hour", [1, 6, 60, 140, 3600])
def test_the_budget_allows_what_it_says_in_an_hour_and_no_more(per_hour: int) -> None:
    budget = Budget(per_hour)
    tokens, pushes = budget.burst, 0
    for _ in range(3600):
        tokens = budget.refilled(tokens, 1.0)
        if tokens >= 1.0:
            tokens, pushes = tokens - 1.0, pushes + 1

    assert per_hour * 0.8 <= pushes <= max(per_hour, 2)


@given(st.floats(0, 0.999), st.integers(6, 3600))
def test_a_spent_budget_says_when_it_allows_a_push(tokens: float, per_hour: int) -> None:
    budget = Budget(per_hour)

    wait = budget.wait_seconds(tokens)

    assert budget.refilled(tokens, wait) == pytest.approx(1.0)
    assert budget.wait_seconds(1.0) == 0.0


@given(st.integers())
def test_a_keep_alive_is_early_and_never_late(seed: int) -> None:
    assert 27.0 <= next_keep_alive(0.0, 30, random.Random(seed)) <= 30.0


@given(st.integers())
def test_polls_spread_around_their_interval(seed: int) -> None:
    assert 13.5 <= next_poll(0.0, 15, random.Random(seed)) <= 16.5


@pytest.mark.parametrize(("now", "may"), [(109.9, False), (110.0, True), (110.1, True)])
def test_what_comes_early_comes_once_in_a_third_of_a_heartbeat(now: float, may: bool) -> None:
    assert may_come_early(100.0, 30, now) is may
