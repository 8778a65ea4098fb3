"""When a lease is renewed, when it is over, and what of it survives on disk."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import fence
from agent.lease import (
    Lease,
    Limits,
    age,
    drawn,
    heard,
    is_lapsed,
    lease_from_json,
    lease_to_json,
    speaking,
)
from schemas.names import ReplicaName

BOOT = "boot-1"
ONLY = ReplicaName("only-0")
FENCED = Limits(silence=75.0, shortest=120.0)
FREE = Limits(silence=75.0)


def a_lease(**fields: Any) -> Lease:
    ours: dict[str, Any] = {
        "boot": BOOT,
        "incarnation": "boot-1-x",
        "renewed": 1000.0,
        "own": True,
        "told": 1001.0,
    }
    return Lease(**{**ours, **fields})


@pytest.mark.parametrize(
    ("lease", "limits", "now", "lapsed"),
    [
        pytest.param(a_lease(), FENCED, 1119.9, False, id="one below"),
        pytest.param(a_lease(), FENCED, 1120.0, True, id="exact"),
        pytest.param(a_lease(), FREE, 1075.9, False, id="nothing fenced, below"),
        pytest.param(a_lease(), FREE, 1076.0, True, id="nothing fenced, exact"),
        pytest.param(a_lease(own=False, told=1100.0), FENCED, 1150.0, False, id="a new one"),
        pytest.param(a_lease(own=False, told=1100.0), FENCED, 1220.0, True, id="never renewed"),
        pytest.param(a_lease(own=False, told=None), FENCED, 9999.0, False, id="nobody knows it"),
    ],
)
def test_lapse(lease: Lease, limits: Limits, now: float, lapsed: bool) -> None:
    assert is_lapsed(lease, limits, now) is lapsed


def _heard(lease: Lease, looked: float | None, spoke: float, now: float, **more: Any) -> Lease:
    return heard(lease, looked=looked, spoke=spoke, now=now, limits=replace(FENCED, **more))


@pytest.mark.parametrize(
    ("lease", "looked", "now", "renewed", "own"),
    [
        pytest.param(a_lease(), 1030.0, 1032.0, 1030.0, True, id="from the look on"),
        pytest.param(a_lease(), 990.0, 1032.0, 1000.0, True, id="an older look is no news"),
        pytest.param(a_lease(), 1119.0, 1120.0, 1000.0, True, id="it was over by then"),
        pytest.param(a_lease(), None, 1032.0, 1000.0, True, id="no look at all"),
        pytest.param(
            a_lease(own=False, told=1100.0), 1099.0, 1101.0, 1099.0, True, id="a new incarnation"
        ),
        pytest.param(
            a_lease(own=False, told=1100.0), 980.0, 1101.0, 1000.0, False, id="its look is too old"
        ),
        pytest.param(
            a_lease(own=False, told=900.0), 1099.0, 1101.0, 1000.0, False, id="told too long ago"
        ),
        pytest.param(
            a_lease(renewed=None, own=False), 1099.0, 1101.0, 1099.0, True, id="the first of all"
        ),
    ],
)
def test_renewal(lease: Lease, looked: float | None, now: float, renewed: float, own: bool) -> None:
    after = _heard(lease, looked, spoke=now - 1, now=now)

    assert (after.renewed, after.own) == (renewed, own)


def test_what_outlived_an_incarnation_and_is_over_keeps_the_lease_from_being_renewed() -> None:
    lease = a_lease(own=False, told=1595.0, kept={ONLY: 1})

    assert _heard(lease, 1599.0, spoke=1599.0, now=1600.0, kept=600.0) == lease
    assert _heard(lease, 1599.0, spoke=1599.0, now=1600.0, kept=601.0).renewed == 1599.0


def test_a_push_without_a_look_keeps_a_new_incarnation_known() -> None:
    lease = a_lease(own=False, told=1500.0)

    after = _heard(lease, 1000.0, spoke=1590.0, now=1591.0)

    assert after == replace(lease, told=1590.0)


def test_an_incarnation_is_told_from_the_first_try_on() -> None:
    lease = a_lease(own=False, told=None)

    assert speaking(speaking(lease, 5.0), 9.0).told == 5.0


def test_a_new_incarnation_names_its_boot_and_was_told_to_nobody() -> None:
    rng = random.Random(1)
    before = a_lease()

    first, second = drawn(before, {ONLY: 3}, rng), drawn(before, {}, rng)

    assert first.incarnation != second.incarnation
    assert first.incarnation.startswith(f"{BOOT}-")
    assert replace(first, incarnation="") == Lease(boot=BOOT, renewed=1000.0, kept={ONLY: 3})


@pytest.mark.parametrize(
    "lease", [a_lease(), a_lease(kept={ONLY: 7}), a_lease(renewed=None, own=False)]
)
def test_a_lease_survives_its_file(lease: Lease) -> None:
    text = json.dumps(lease_to_json(lease))

    assert lease_from_json(json.loads(text), boot=BOOT) == lease


def test_one_whose_telling_was_not_written_down_counts_as_told_long_ago() -> None:
    lease = a_lease(own=False, told=None)

    assert lease_from_json(lease_to_json(lease), boot=BOOT).told == 0.0


DAMAGED: list[object] = [
    None,
    [],
    {},
    {"boot": BOOT},
    {**lease_to_json(a_lease()), "boot": "boot-2"},
    {**lease_to_json(a_lease()), "renewed": "1000"},
    {**lease_to_json(a_lease()), "renewed": True},
    {**lease_to_json(a_lease()), "renewed": math.inf},
    {**lease_to_json(a_lease()), "renewed": math.nan},
]


@pytest.mark.parametrize("value", DAMAGED)
def test_what_is_damaged_or_of_another_boot_is_no_lease_for_anybody(value: object) -> None:
    assert lease_from_json(value, boot=BOOT) == Lease(boot=BOOT)
    assert fence.age_seconds(json.dumps(value), boot=BOOT, now=1001.0) == math.inf


@given(
    st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)),
    st.floats(min_value=0, max_value=1e9),
)
def test_agent_and_host_fence_reckon_alike(renewed: float | None, now: float) -> None:
    lease = a_lease(renewed=renewed, own=renewed is not None)
    text = json.dumps(lease_to_json(lease))

    assert fence.age_seconds(text, boot=BOOT, now=now) == age(lease, now)


@given(st.text())
def test_any_text_at_all_is_read(text: str) -> None:
    assert fence.age_seconds(text, boot=BOOT, now=1.0) == math.inf
