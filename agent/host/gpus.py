"""The host's GPUs: asked for in a child with a bound in time, then told as reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent.host.bounded import READING_SECONDS, BoundedReading
from agent.host.cards import Card, Reading
from agent.host.drm import devices
from schemas.heartbeat import GpuReport
from schemas.names import GpuUuid

NVIDIA: Final = "0x10de"
DISPLAY_CLASS: Final = "0x03"  # PCI: VGA and 3D controllers, not the sound device of the same card
# A card that is handed to a virtual machine is none of the host's business.
HANDED_ON: Final = "vfio-pci"


@dataclass(frozen=True, slots=True)
class HostMemory:
    """The host's memory, which GPUs without memory of their own share."""

    total_mib: int
    foreign_mib: int


class GpuReader:
    """Reads the cards of this host.

    root: where dev, proc and sys stand. Without a card or a driver there, nothing is asked and
    nothing imported. environment: for the children; None means ours. seconds: for one reading.
    """

    def __init__(
        self,
        *,
        root: Path = Path("/"),
        environment: Mapping[str, str] | None = None,
        seconds: float = READING_SECONDS,
    ) -> None:
        self._root = root
        self._nvidia = BoundedReading(
            "agent.host.nvml",
            driver="the NVIDIA driver",
            fix="run `nvidia-smi` and see `dmesg`; a reboot may be needed",
            environment=environment,
            seconds=seconds,
        )
        self._others = BoundedReading(
            "agent.host.drm",
            str(root),
            driver="a driver of AMD or Intel",
            fix="see `dmesg`; a reboot may be needed",
            environment=environment,
            seconds=seconds,
        )

    def read(self) -> Reading:
        """One look at all cards. It ends in time whatever a driver does. Raises nothing."""
        nvidia = self._read_nvidia()
        if not devices(self._root):
            return nvidia
        others = self._others.read()
        return replace(
            nvidia,
            cards=(*nvidia.cards, *others.cards),
            problems=(*nvidia.problems, *others.problems),
        )

    def _read_nvidia(self) -> Reading:
        cards = nvidia_cards(self._root)
        if not cards and not _driver_is_loaded(self._root):
            return Reading()
        reading = self._nvidia.read()
        if reading.asleep and cards:
            return Reading(
                problems=(
                    f"{len(cards)} NVIDIA card(s) here and no working driver: {reading.asleep}. "
                    "Fix: install the NVIDIA driver and load it, then run `nvidia-smi`",
                )
            )
        return reading


def reports(reading: Reading, ours: frozenset[int], shared: HostMemory) -> tuple[GpuReport, ...]:
    """Tell cards as a heartbeat does, in order of index and UUID.

    Args:
        reading: what the library said.
        ours: ids of the processes in our containers; what others hold is foreign.
        shared: stands for the memory of cards that have none of their own.
    """
    found = [_report(card, reading, ours, shared) for card in reading.cards if card.uuid]
    return tuple(sorted(found, key=lambda report: (report.index, report.uuid)))


def foreign_mib(card: Card, ours: frozenset[int]) -> int:
    """How much of a card something else holds: other processes, and the driver itself.

    What nobody admits to is foreign, too: a process in another namespace is not listed at all.
    Where the driver does not say what ours hold, all that others do not is ours.
    """
    used = card.used_mib or 0
    mine = [holder.mib for holder in card.holders if holder.pid in ours]
    others = [holder.mib for holder in card.holders if holder.pid not in ours]
    known = [mib for mib in mine if mib is not None]
    if len(known) < len(mine) and None not in others:
        return card.reserved_mib + min(used, sum(mib for mib in others if mib is not None))
    return card.reserved_mib + max(0, used - sum(known))


def nvidia_cards(root: Path) -> tuple[str, ...]:
    """Bus addresses of NVIDIA's cards, with or without a driver."""
    found = []
    for device in sorted(root.glob("sys/bus/pci/devices/*")):
        if _line(device / "vendor") == NVIDIA and _line(device / "class").startswith(DISPLAY_CLASS):
            driver = device / "driver"
            if not (driver.exists() and driver.resolve().name == HANDED_ON):
                found.append(device.name)
    return tuple(found)


def _driver_is_loaded(root: Path) -> bool:
    """Also on Jetson boards and under WSL, whose GPUs are on no PCI bus that we see."""
    signs = ("dev/nvidiactl", "proc/driver/nvidia/version", "dev/nvhost-gpu", "dev/dxg")
    return any((root / sign).exists() for sign in signs)


def _report(card: Card, reading: Reading, ours: frozenset[int], shared: HostMemory) -> GpuReport:
    own_memory = card.total_mib is not None
    capability = card.compute_capability
    return GpuReport(
        uuid=GpuUuid(card.uuid),
        index=card.index,
        vendor=card.vendor,
        model=card.model,
        memory_mib=card.total_mib if card.total_mib is not None else shared.total_mib,
        foreign_mib=foreign_mib(card, ours) if own_memory else shared.foreign_mib,
        used_mib=card.used_mib if card.used_mib is not None else _held(card),
        compute_capability=(capability[0], capability[1]) if len(capability) == 2 else (),  # noqa: PLR2004 - major and minor
        driver=reading.driver if card.vendor == "nvidia" else (),
        cuda=reading.cuda if card.vendor == "nvidia" else (),
        sickness=card.sickness,
        withheld=card.withheld,
        throttles=card.throttles,
        parent=card.parent,
        utilisation_percent=card.utilisation_percent,
        temperature_c=card.temperature_c,
        power_w=card.power_w,
    )


def _held(card: Card) -> int:
    return sum(holder.mib or 0 for holder in card.holders)


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
