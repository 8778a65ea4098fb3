"""Cards of AMD and Intel, over the files that Linux shows of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.host.cards import Card
from agent.host.drm import WITHHELD, read
from agent.host.gpus import GpuReader, HostMemory, reports
from schemas.heartbeat import GpuReport
from schemas.names import GpuUuid

Files = Mapping[str, str]
GIB = 1 << 30

MI300X: Files = {
    "vendor": "0x1002",
    "device": "0x74a1",
    "product_name": "AMD Instinct MI300X OAM",
    "unique_id": "2f1e7c0a55aa1234",
    "mem_info_vram_total": str(192 * GIB),
    "mem_info_vram_used": str(3 * GIB),
    "gpu_busy_percent": "41",
    "hwmon/hwmon4/temp1_input": "52000",
    "hwmon/hwmon4/power1_average": "312000000",
}
RX7900: Files = {
    "vendor": "0x1002",
    "device": "0x744c",
    "unique_id": "9c3d5b7d12f0aa55",
    "mem_info_vram_total": str(24 * GIB),
    "mem_info_vram_used": "33554432",
    "gpu_busy_percent": "0",
    "hwmon/hwmon2/temp1_input": "41500",
    "hwmon/hwmon2/power1_input": "18600000",
}
POLARIS: Files = {"vendor": "0x1002", "device": "0x67df", "mem_info_vram_total": str(8 * GIB)}
ARC_B580: Files = {
    "vendor": "0x8086",
    "device": "0xe20b",
    "tile0/physical_vram_size_bytes": f"0x{12 * GIB:x}",
    "hwmon/hwmon5/temp1_input": "47000",
}
TWO_TILES: Files = {
    "vendor": "0x8086",
    "device": "0x0bd5",
    "tile0/physical_vram_size_bytes": str(64 * GIB),
    "tile1/physical_vram_size_bytes": str(64 * GIB),
}
ARC_A770: Files = {"vendor": "0x8086", "device": "0x56a0", "../lmem_total_bytes": str(16 * GIB)}
UNKNOWN_SIZE: Files = {"vendor": "0x8086", "device": "0x56a0"}


def a_host(root: Path, *cards: Files, places: tuple[str, ...] = ()) -> Path:
    """A file system with cards as the kernel shows them: each in its place on the bus."""
    (root / "sys/class/drm").mkdir(parents=True)
    for number, files in enumerate(cards):
        place = places[number] if places else f"0000:0{number + 3}:00.0"
        device = root / "sys/devices/pci0000:00" / place
        card = device / f"drm/card{number}"
        card.mkdir(parents=True)
        (card / "device").symlink_to(device)
        (root / f"sys/class/drm/card{number}").symlink_to(card)
        (root / f"sys/class/drm/card{number}-DP-1").mkdir()
        for name, text in files.items():
            path = card / name.removeprefix("../") if name.startswith("../") else device / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
    return root


def card(**fields: Any) -> Card:
    return Card(**{"index": 0, "used_mib": 0, "withheld": WITHHELD, **fields})


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(
            MI300X,
            card(
                uuid="AMD-2f1e7c0a55aa1234",
                model="AMD Instinct MI300X OAM",
                vendor="amd",
                total_mib=196_608,
                used_mib=3_072,
                utilisation_percent=41,
                temperature_c=52,
                power_w=312,
            ),
            id="AMD, a server's card",
        ),
        pytest.param(
            RX7900,
            card(
                uuid="AMD-9c3d5b7d12f0aa55",
                model="AMD GPU 744c",
                vendor="amd",
                total_mib=24_576,
                used_mib=32,
                utilisation_percent=0,
                temperature_c=42,
                power_w=19,
            ),
            id="AMD, a desktop's card",
        ),
        pytest.param(
            POLARIS,
            card(uuid="AMD-0000:03:00.0", model="AMD GPU 67df", vendor="amd", total_mib=8_192),
            id="AMD, too old for a number of its own",
        ),
        pytest.param(
            ARC_B580,
            card(
                uuid="INTEL-0000:03:00.0",
                model="Intel GPU e20b",
                vendor="intel",
                total_mib=12_288,
                temperature_c=47,
            ),
            id="Intel under xe",
        ),
        pytest.param(
            TWO_TILES,
            card(
                uuid="INTEL-0000:03:00.0",
                model="Intel GPU 0bd5",
                vendor="intel",
                total_mib=131_072,
            ),
            id="Intel with two tiles",
        ),
        pytest.param(
            ARC_A770,
            card(
                uuid="INTEL-0000:03:00.0",
                model="Intel GPU 56a0",
                vendor="intel",
                total_mib=16_384,
            ),
            id="Intel under its own i915",
        ),
        pytest.param(
            UNKNOWN_SIZE,
            card(uuid="INTEL-0000:03:00.0", model="Intel GPU 56a0", vendor="intel", total_mib=0),
            id="Intel under the kernel's i915, which tells no size",
        ),
    ],
)
def test_a_card_is_told_as_the_kernel_tells_it(tmp_path: Path, files: Files, told: Card) -> None:
    assert read(a_host(tmp_path / "root", files)).cards == (told,)


@pytest.mark.parametrize(
    ("files", "place"),
    [
        pytest.param({"vendor": "0x10de"}, "0000:03:00.0", id="NVIDIA has a library"),
        pytest.param({"vendor": "0x1a03"}, "0000:03:00.0", id="a server's console"),
        pytest.param({"vendor": "0x8086"}, "0000:00:02.0", id="built into a processor"),
        pytest.param({}, "0000:03:00.0", id="nothing is told"),
    ],
)
def test_what_is_no_card_of_theirs_is_left_out(tmp_path: Path, files: Files, place: str) -> None:
    assert read(a_host(tmp_path / "root", files, places=(place,))).cards == ()


def test_rubbish_is_as_good_as_nothing(tmp_path: Path) -> None:
    broken = dict.fromkeys(MI300X, "?") | {"vendor": "0x1002", "unique_id": "7"}

    (found,) = read(a_host(tmp_path / "root", broken)).cards

    assert (found.total_mib, found.used_mib, found.power_w, found.temperature_c) == (
        0,
        0,
        None,
        None,
    )


def test_a_host_without_graphics_has_no_cards(tmp_path: Path) -> None:
    assert read(tmp_path).cards == ()


def test_the_reader_asks_a_child_and_says_that_they_are_not_given_out(tmp_path: Path) -> None:
    root = a_host(tmp_path / "root", RX7900, ARC_B580)
    environment = {"PATH": os.defpath}

    reading = GpuReader(root=root, environment=environment).read()

    assert reading.problems == ()
    first, second = reports(reading, frozenset(), HostMemory(1, 1))
    assert first == GpuReport(
        uuid=GpuUuid("AMD-9c3d5b7d12f0aa55"),
        index=0,
        vendor="amd",
        model="AMD GPU 744c",
        memory_mib=24_576,
        foreign_mib=32,
        used_mib=32,
        utilisation_percent=0,
        temperature_c=42,
        power_w=19,
        withheld=WITHHELD,
    )
    assert (second.vendor, second.memory_mib, second.withheld) == ("intel", 12_288, WITHHELD)


def test_a_driver_that_hangs_is_given_up(tmp_path: Path) -> None:
    root = a_host(tmp_path / "root", RX7900)
    slow = root / "sys/class/drm/card0/device/gpu_busy_percent"
    slow.unlink()
    os.mkfifo(slow)  # whoever reads it waits for ever, as behind a driver in trouble

    (problem,) = GpuReader(root=root, environment={"PATH": os.defpath}, seconds=0.5).read().problems

    assert problem.startswith("a driver of AMD or Intel hangs: process ")
