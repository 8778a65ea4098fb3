"""Who may decide, by what each reconciler saw of the lease."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.leading import (
    SHORTEST,
    Duty,
    Standing,
    bidding,
    due,
    duty,
    freed,
    is_gone,
    looked,
    next_lease,
    next_look,
)
from schemas.leader import COUNT_MAX, Leader, dump_leader, parse_leader
from schemas.names import CommitId
from tests.builders import A_MOMENT

LEASE = timedelta(seconds=60)
OURS, THEIRS = CommitId("1" * 40), CommitId("2" * 40)
OLD = Leader(holder="b", term=7, sequence=3, lease_seconds=60, since=A_MOMENT)


def after(seconds: float) -> datetime:
    return A_MOMENT + timedelta(seconds=seconds)


def leading() -> Standing:
    """We pushed a lease in a pass that began at A_MOMENT, and saw it stand two seconds later."""
    return looked(bidding(Standing(), OURS, A_MOMENT), OURS, after(2))


def test_where_nobody_leads_anybody_may() -> None:
    assert duty(looked(Standing(), None, A_MOMENT), LEASE, A_MOMENT) is Duty.CLAIM


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0, Duty.STAND_BY, id="just seen"),
        pytest.param(59.9, Duty.STAND_BY, id="one below"),
        pytest.param(60, Duty.CLAIM, id="exact"),
    ],
)
def test_a_lease_of_another_runs_out_when_it_was_not_moved(seconds: float, expected: Duty) -> None:
    seen = looked(Standing(), THEIRS, A_MOMENT)

    assert duty(looked(seen, THEIRS, after(seconds)), LEASE, after(seconds)) is expected


def test_a_lease_that_moves_never_runs_out() -> None:
    standing = Standing()
    for number in range(1, 10):
        standing = looked(standing, CommitId(str(number) * 40), after(50 * number))

        assert duty(standing, LEASE, after(50 * number)) is Duty.STAND_BY


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(53.9, Duty.LEAD, id="a tenth before its end"),
        pytest.param(54, Duty.CLAIM, id="the last tenth"),
    ],
)
def test_a_lease_of_ours_counts_from_the_beginning_of_its_pass(
    seconds: float, expected: Duty
) -> None:
    assert duty(leading(), LEASE, after(seconds)) is expected


def test_a_bid_whose_answer_was_lost_is_known_again() -> None:
    waiting = looked(Standing(), THEIRS, A_MOMENT)
    bid = bidding(waiting, OURS, after(60))

    assert duty(looked(bid, OURS, after(70)), LEASE, after(70)) is Duty.LEAD
    assert duty(looked(bid, THEIRS, after(70)), LEASE, after(70)) is Duty.CLAIM


def test_who_was_overtaken_stands_by_for_a_lease() -> None:
    standing = looked(leading(), THEIRS, after(30))

    assert standing.made == {}
    assert duty(standing, LEASE, after(89)) is Duty.STAND_BY
    assert duty(standing, LEASE, after(90)) is Duty.CLAIM


def test_a_renewal_keeps_the_term_and_another_begins_one() -> None:
    renewed = next_lease(what=Duty.LEAD, last=OLD, name="a", lease=LEASE * 2, wall=after(9))
    claimed = next_lease(what=Duty.CLAIM, last=OLD, name="a", lease=LEASE, wall=after(9))
    first = next_lease(what=Duty.CLAIM, last=None, name="a", lease=LEASE, wall=after(9))

    assert renewed == Leader(holder="b", term=7, sequence=4, lease_seconds=120, since=A_MOMENT)
    assert claimed == Leader(holder="a", term=8, sequence=1, lease_seconds=60, since=after(9))
    assert first.term == 1


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(COUNT_MAX - 1, COUNT_MAX, id="one below"),
        pytest.param(COUNT_MAX, 1, id="exact"),
    ],
)
def test_the_largest_term_and_sequence_end_no_election(number: int, expected: int) -> None:
    old = replace(OLD, term=number, sequence=number)

    claimed = next_lease(what=Duty.CLAIM, last=old, name="a", lease=LEASE, wall=after(9))
    renewed = next_lease(what=Duty.LEAD, last=old, name="b", lease=LEASE, wall=after(9))
    free = freed(old)

    assert (claimed.term, renewed.sequence, free.sequence) == (expected, expected, expected)
    for one in (claimed, renewed, free):
        assert parse_leader(dump_leader(one), path="leader.json") == one


@pytest.mark.parametrize(
    ("seconds", "gone"),
    [
        pytest.param(60, False, id="a lease: a standby begins to take over"),
        pytest.param(180, False, id="two leases, and clocks a minute apart"),
        pytest.param(181, True, id="longer than that"),
        pytest.param(-3600, False, id="a clock far ahead"),
    ],
)
def test_who_only_looks_calls_a_leader_gone_late(seconds: int, gone: bool) -> None:
    assert is_gone(A_MOMENT, LEASE, after(seconds)) is gone


@pytest.mark.parametrize("share", [0.8, 1.0])
def test_a_leader_renews_three_times_in_a_lease(share: float) -> None:
    assert due(leading(), LEASE, share) == after(20 * share)
    assert next_look(leading(), LEASE, share, after(5)) == timedelta(seconds=20 * share - 5)
    assert next_look(leading(), LEASE, share, after(500)) == SHORTEST


def test_a_standby_looks_again_when_the_lease_would_be_over() -> None:
    standing = looked(Standing(), THEIRS, A_MOMENT)

    assert due(standing, LEASE, 1.0) is None
    assert next_look(standing, LEASE, 0.8, after(45)) == timedelta(seconds=15)
