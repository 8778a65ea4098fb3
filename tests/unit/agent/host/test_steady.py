"""Noise of measurements disappears; what a thing is and how large it is stays exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.host.facts import Facts
from agent.host.steady import steadied
from schemas.heartbeat import GpuReport
from tests.builders import a_gpu_report, a_host

BASE = {"foreign_memory_mib": 2000, "foreign_disk_mib": 20_000}
CARD = {
    "foreign_mib": 600,
    "used_mib": 5000,
    "utilisation_percent": 51,
    "temperature_c": 61,
    "power_w": 212,
}


def _facts(**fields: Any) -> Facts:
    host = {name: value for name, value in fields.items() if name in BASE}
    card = {name: value for name, value in fields.items() if name in CARD}
    return Facts(host=a_host(**{**BASE, **host}), gpus=(a_gpu_report(**{**CARD, **card}),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("foreign_memory_mib", 1985, id="a host's services breathe"),
        pytest.param("foreign_disk_mib", 20_400, id="logs grow"),
        pytest.param("foreign_mib", 593, id="a context on a card"),
        pytest.param("used_mib", 4995, id="a batch on a card"),
        pytest.param("utilisation_percent", 49, id="load"),
        pytest.param("temperature_c", 59, id="warmth"),
        pytest.param("power_w", 208, id="power"),
    ],
)
def test_noise_is_no_change(field: str, value: int) -> None:
    assert steadied(_facts(**{field: value})) == steadied(_facts())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("foreign_memory_mib", 3000, id="another service"),
        pytest.param("foreign_disk_mib", 40_000, id="a download"),
        pytest.param("foreign_mib", 700, id="somebody else's process on a card"),
        pytest.param("utilisation_percent", 90, id="work"),
        pytest.param("temperature_c", 80, id="heat"),
    ],
)
def test_a_change_stays_one(field: str, value: int) -> None:
    assert steadied(_facts(**{field: value})) != steadied(_facts())


@pytest.mark.parametrize(
    ("foreign", "told"),
    [
        pytest.param(0, 0, id="nothing is nothing"),
        pytest.param(1, 16, id="never less than there is"),
        pytest.param(16, 16, id="exact"),
        pytest.param(17, 32, id="one above"),
        pytest.param(46_067, 46_068, id="and never more than the card has"),
    ],
)
def test_what_others_hold_of_a_card_is_rounded_up(foreign: int, told: int) -> None:
    card = a_gpu_report(foreign_mib=foreign, memory_mib=46_068)

    assert _steady_card(card).foreign_mib == told


def test_what_a_card_does_not_say_stays_unsaid() -> None:
    card = a_gpu_report(utilisation_percent=None, temperature_c=None, power_w=None)

    assert _steady_card(card) == card


def test_sizes_stay_exact() -> None:
    host = a_host(memory_mib=64_123, disk_mib=500_123)

    assert steadied(Facts(host=host)).host == replace(host)


def _steady_card(card: GpuReport) -> GpuReport:
    (found,) = steadied(Facts(host=a_host(), gpus=(card,))).gpus
    return found
