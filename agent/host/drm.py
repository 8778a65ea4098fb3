"""What Linux itself says of AMD's and Intel's cards: `python -m agent.host.drm [ROOT]` prints it.

Read from sysfs, which needs no library of the vendor (docs/decisions/0026). It runs in a process of
its own: a file of a driver in trouble can hang its reader for ever.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.host.cards import Card, Reading, dump_reading

MIB: Final = 2**20
AMD, INTEL = "0x1002", "0x8086"
# A card is `card0`; `card0-DP-1` is one of its plugs.
CARD: Final = re.compile(r"card(\d+)")
# What is built into a processor sits on the root of the bus. A card of its own has a bridge.
ROOT_BUS: Final = "0000:00:"
WITHHELD: Final = "containers are given GPUs of NVIDIA alone, so far"


def read(root: Path) -> Reading:
    """Read every card of AMD and Intel. A file that is not there is a fact that nobody tells."""
    return Reading(cards=tuple(_cards(root)))


def devices(root: Path) -> tuple[tuple[int, Path], ...]:
    """Number and folder of each card of the two whose driver is loaded, in order."""
    found = []
    for card in root.glob("sys/class/drm/card*"):
        number = CARD.fullmatch(card.name)
        device = card / "device"
        if number and _text(device / "vendor") in {AMD, INTEL} and not _is_built_in(device):
            found.append((int(number[1]), device))
    return tuple(sorted(found))


def main() -> int:
    """Print one reading."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "/")
    sys.stdout.write(dump_reading(read(root)) + "\n")
    return 0


def _cards(root: Path) -> Iterator[Card]:
    for number, device in devices(root):
        vendor = _text(device / "vendor")
        sensors = next(iter(sorted(device.glob("hwmon/hwmon*"))), device)
        yield Card(
            uuid=_uuid(device, vendor),
            index=number,
            model=_model(device, vendor),
            total_mib=_mib(_total(device, vendor)),
            used_mib=_mib(_number(device / "mem_info_vram_used")),
            utilisation_percent=_number(device / "gpu_busy_percent"),
            temperature_c=_scaled(_number(sensors / "temp1_input"), 1000),
            power_w=_power(sensors),
            vendor="amd" if vendor == AMD else "intel",
            withheld=WITHHELD,
        )


def _is_built_in(device: Path) -> bool:
    is_intel = _text(device / "vendor") == INTEL
    return is_intel and device.resolve().name.startswith(ROOT_BUS)


def _uuid(device: Path, vendor: str) -> str:
    """The card's own number, where it has one; otherwise its place on the bus."""
    name = "AMD" if vendor == AMD else "INTEL"
    return f"{name}-{_text(device / 'unique_id') or device.resolve().name}"


def _model(device: Path, vendor: str) -> str:
    name = "AMD" if vendor == AMD else "Intel"
    number = _text(device / "device").removeprefix("0x")
    return _text(device / "product_name") or f"{name} GPU {number}"


def _total(device: Path, vendor: str) -> int:
    """Bytes of its own memory; 0 where nobody says."""
    if vendor == AMD:
        return _number(device / "mem_info_vram_total") or 0
    tiles = [_number(tile) or 0 for tile in device.glob("tile*/physical_vram_size_bytes")]
    return sum(tiles) or _number(device.parent / "lmem_total_bytes") or 0


def _power(sensors: Path) -> int | None:
    average = _number(sensors / "power1_average")
    return _scaled(average if average is not None else _number(sensors / "power1_input"), 1_000_000)


def _mib(amount: int | None) -> int:
    return (amount or 0) // MIB


def _scaled(amount: int | None, by: int) -> int | None:
    return None if amount is None else round(amount / by)


def _number(path: Path) -> int | None:
    text = _text(path)
    if re.fullmatch(r"0x[0-9a-f]{1,16}", text):
        return int(text, 16)
    return int(text) if re.fullmatch(r"-?\d{1,20}", text) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:200]
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
