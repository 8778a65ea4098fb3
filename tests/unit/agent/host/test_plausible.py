"""Whatever a host measures can be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.facts import Facts
from agent.host.plausible import MIB_MAX, MOST_ADDRESSES, MOST_GPUS, plausible
from schemas.heartbeat import GpuReport, HostReport, dump_heartbeat, parse_heartbeat
from schemas.names import GpuUuid
from tests.builders import a_gpu_report, a_heartbeat, a_host

ANY = st.integers(-(2**70), 2**70)
WORD = st.text(max_size=200)
FACTS = st.builds(
    Facts,
    host=st.builds(
        HostReport,
        os=WORD,
        architecture=WORD,
        kernel=WORD,
        cpu_milli=ANY,
        memory_mib=ANY,
        disk_mib=ANY,
        foreign_memory_mib=ANY,
        foreign_disk_mib=ANY,
        addresses=st.lists(WORD, max_size=3).map(lambda some: tuple(some) * 100),
        machine=WORD,
    ),
    gpus=st.lists(
        st.builds(
            GpuReport,
            uuid=WORD,
            index=ANY,
            vendor=WORD,
            model=WORD,
            memory_mib=ANY,
            foreign_mib=ANY,
            used_mib=ANY,
            compute_capability=st.just(()) | st.tuples(ANY, ANY),
            driver=st.lists(ANY, max_size=6).map(tuple),
            cuda=st.lists(ANY, max_size=6).map(tuple),
            utilisation_percent=st.none() | ANY,
            temperature_c=st.none() | ANY,
            power_w=st.none() | ANY,
            throttles=st.lists(WORD, max_size=20).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)


@given(FACTS)
def test_all_that_is_measured_can_be_told(facts: Facts) -> None:
    told = plausible(facts)

    beat = a_heartbeat(host=told.host, gpus=told.gpus, problems=told.problems)
    assert parse_heartbeat(dump_heartbeat(beat), path="heartbeat.json")


@pytest.mark.parametrize(
    ("field", "measured", "told"),
    [
        pytest.param("utilisation_percent", 100, 100, id="exact"),
        pytest.param("utilisation_percent", 101, 100, id="one above"),
        pytest.param("utilisation_percent", None, None, id="not said"),
        pytest.param("temperature_c", -274, -273, id="one below"),
        pytest.param("power_w", -1, 0, id="less than nothing"),
        pytest.param("index", 4097, 4096, id="index"),
    ],
)
def test_a_card_that_exaggerates_is_told_in_bounds(field: str, measured: Any, told: Any) -> None:
    card = a_gpu_report()

    (found,) = plausible(Facts(host=a_host(), gpus=(replace(card, **{field: measured}),))).gpus

    assert found == replace(card, **{field: told})


def test_a_host_that_exaggerates_is_told_within_bounds() -> None:
    names = tuple(f"10.0.{number // 250}.{number % 250}" for number in range(300))
    host = a_host(disk_mib=2**43, addresses=names)

    found = plausible(Facts(host=host)).host

    assert found == replace(host, disk_mib=MIB_MAX, addresses=names[:MOST_ADDRESSES])


def test_what_is_within_its_bounds_stays_as_it_is() -> None:
    facts = Facts(host=a_host(), gpus=(a_gpu_report(),), problems=("one",))

    assert plausible(facts) == facts


def test_cards_that_cannot_be_told_are_told_of_in_words() -> None:
    cards = tuple(a_gpu_report(uuid=GpuUuid(f"GPU-{number}")) for number in range(MOST_GPUS + 1))
    odd = a_gpu_report(uuid=GpuUuid("GPU 1?"))

    found = plausible(Facts(host=a_host(), gpus=(*cards, odd)))

    assert found.gpus == cards[:MOST_GPUS]
    assert found.problems == (
        "a driver gives a card the UUID 'GPU 1?', which is none. Fix: update the driver",
        "257 GPUs are here, and only 256 can be told of",
    )
