"""Real NVIDIA cards as we read them, against `nvidia-smi` and against our stand-in for them."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from agent.host.cards import Card, Reading
from agent.host.facts import read_facts
from agent.host.gpus import GpuReader, HostMemory, reports
from agent.host.hardware import Ours
from schemas.heartbeat import dump_heartbeat, parse_heartbeat
from tests.builders import a_heartbeat
from tests.unit.agent.host.conftest import Machine

pytestmark = pytest.mark.skipif(
    shutil.which("nvidia-smi") is None or not Path("/dev/nvidiactl").exists(),
    reason="there is no NVIDIA card here",
)
NOBODY: Final[frozenset[int]] = frozenset()
UNSHARED: Final = HostMemory(total_mib=0, foreign_mib=0)
HELD_MIB: Final = 2048
FIELDS: Final = ("index", "uuid", "name", "memory.total", "driver_version", "compute_cap")
# Holds memory of the first card until its standard input ends, with nothing but the driver.
HOLDER: Final = f"""
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
def ask(name, *args):
    code = getattr(cuda, name)(*args)
    if code:
        sys.exit(f"{{name}}: {{code}}")
device, context, at = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
ask("cuInit", 0)
ask("cuDeviceGet", ctypes.byref(device), 0)
ask("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
ask("cuCtxSetCurrent", context)
ask("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t({HELD_MIB} << 20))
print("holds", flush=True)
sys.stdin.read()
"""


@contextmanager
def a_holder() -> Iterator[int]:
    """Somebody who holds memory of the first card: the id of the process."""
    command = [sys.executable, "-c", HOLDER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "holds\n"
            yield process.pid
        finally:
            process.stdin.close()
            process.wait(timeout=60)


def first_card(reading: Reading) -> Card:
    assert reading.problems == ()
    return min(reading.cards, key=lambda card: card.index)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_every_card_is_told_as_nvidia_smi_tells_it() -> None:
    asked = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    said = list(csv.reader(done.stdout.splitlines(), skipinitialspace=True))

    reading = GpuReader().read()

    assert reading.problems == ()
    assert [
        [int(index), uuid, name, int(total), numbers(driver), numbers(capability)]
        for index, uuid, name, total, driver, capability in said
    ] == [
        [
            card.index,
            card.uuid,
            card.model,
            card.total_mib,
            reading.driver,
            card.compute_capability,
        ]
        for card in sorted(reading.cards, key=lambda card: card.index)
    ]


def test_a_well_card_is_told_as_well_and_with_measurements_that_can_be() -> None:
    card = first_card(GpuReader().read())

    assert (card.sickness, card.withheld) == ("", "")
    assert card.utilisation_percent is not None
    assert 0 <= card.utilisation_percent <= 100
    assert card.temperature_c is not None
    assert 0 < card.temperature_c < 120
    assert card.power_w is not None
    assert 0 < card.power_w < 2_000


def test_what_a_process_holds_is_ours_if_it_is_and_foreign_otherwise() -> None:
    reader = GpuReader()
    before = first_card(reader.read())

    with a_holder() as pid:
        reading = reader.read()

    card = first_card(reading)
    as_foreign, as_ours = (
        reports(reading, ours, UNSHARED)[0].foreign_mib for ours in (NOBODY, frozenset({pid}))
    )
    assert (card.used_mib or 0) - (before.used_mib or 0) >= HELD_MIB
    assert as_foreign >= HELD_MIB + card.reserved_mib
    assert as_foreign - as_ours >= HELD_MIB


def test_a_reading_holds_nothing_of_a_card_afterwards() -> None:
    reader = GpuReader()
    before = first_card(reader.read())

    after = first_card(reader.read())

    assert (after.used_mib, after.holders) == (before.used_mib, before.holders)


def test_our_stand_in_is_read_as_the_real_one(machine: Machine) -> None:
    reading = GpuReader().read()

    lines = [f"driver {'.'.join(map(str, reading.driver))}"]
    lines += [f"cuda {reading.cuda[0] * 1000 + reading.cuda[1] * 10}"]
    for card in sorted(reading.cards, key=lambda card: card.index):
        lines += described(card)
    stand_in = machine("\n".join(lines) + "\n").read()

    assert stand_in == replace(reading, cards=stand_in.cards)
    assert [replace(one, throttles=()) for one in stand_in.cards] == [
        replace(one, throttles=()) for one in reading.cards
    ]


def described(card: Card) -> list[str]:
    """A card, in the words of our stand-in."""
    major, minor = card.compute_capability
    return [
        f"gpu {card.uuid} {card.model.replace(' ', '_')}",
        f"total {card.total_mib}",
        f"used {card.used_mib}",
        f"reserved {card.reserved_mib}",
        f"utilisation {card.utilisation_percent}",
        f"celsius {card.temperature_c}",
        f"milliwatts {(card.power_w or 0) * 1000}",
        f"major {major}",
        f"minor {minor}",
        *(f"process {one.pid} {-1 if one.mib is None else one.mib}" for one in card.holders),
    ]


def test_a_heartbeat_of_a_host_with_real_cards_reads_back() -> None:
    found = read_facts(Path("/"), Ours(), GpuReader())
    beat = replace(a_heartbeat(), host=found.host, gpus=found.gpus)

    assert found.problems == ()
    assert found.gpus
    assert parse_heartbeat(dump_heartbeat(beat), path="heartbeat.json").gpus == found.gpus
