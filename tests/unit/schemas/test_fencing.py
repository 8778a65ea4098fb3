"""The arithmetic of a singleton, edge by edge."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.fencing import CLOCK_ERROR, FENCE_PERIOD, STOP_TIME, least_lose_after, margin, unsafe
from schemas.fleet import Timings
from schemas.rollout import Disconnect


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("stop", "fits"),
    [
        pytest.param(104, False, id="one below"),
        pytest.param(105, True, id="exact"),
        pytest.param(106, True, id="one above"),
    ],
)
def test_stop_after_bears_two_lost_heartbeats_and_a_slow_push(stop: int, fits: bool) -> None:
    disconnect = Disconnect(stop_after=seconds(stop), lose_after=seconds(3600))

    assert (unsafe(Timings(), disconnect) is None) is fits


@pytest.mark.parametrize(
    ("lose", "fits"),
    [
        pytest.param(163, False, id="one below"),
        pytest.param(164, True, id="exact"),
        pytest.param(165, True, id="one above"),
    ],
)
def test_lose_after_outlasts_the_stop_of_a_node_that_is_cut_off(lose: int, fits: bool) -> None:
    disconnect = Disconnect(stop_after=seconds(120), lose_after=seconds(lose))

    assert (unsafe(Timings(), disconnect) is None) is fits


@pytest.mark.parametrize("stop", [1, 30, 105, 300, 86_400])
def test_the_least_silence_covers_the_stop_and_what_two_clocks_may_differ(stop: int) -> None:
    least = least_lose_after(seconds(stop))
    needed = seconds(stop) + FENCE_PERIOD + STOP_TIME

    assert least - margin(least) >= needed
    assert least - seconds(1) - margin(least - seconds(1)) < needed
    # The slowest clock of an agent against the fastest of a reconciler.
    assert needed / (1 - CLOCK_ERROR) <= least / (1 + CLOCK_ERROR)


def test_the_refusal_shows_the_sum_and_the_fix() -> None:
    disconnect = Disconnect(stop_after=seconds(270))

    assert unsafe(Timings(), disconnect) == (
        "timings.lost of fleet.yaml is 5m, and stopAfter 270s + 10s for the host's fence + 30s to "
        "stop = 310s, with clocks wrong by 1% 317s: two copies could run",
        "set disconnect.loseAfter to at least 317s, or a shorter stopAfter",
    )


def test_who_is_not_fenced_needs_no_arithmetic() -> None:
    assert unsafe(Timings(), Disconnect(lose_after=seconds(1))) is None
