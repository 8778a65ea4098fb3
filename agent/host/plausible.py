"""Measurements within the bounds of a heartbeat: an odd one must not keep the rest unsaid. Pure.

Drivers, kernels and file systems say what they like: a card is 103 % busy, a disk has 8 EiB.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from agent.host.facts import Facts
from schemas.heartbeat import GpuReport, HostReport

MIB_MAX: Final = 2**30
CPU_MILLI_MAX: Final = 4_096_000
# Best first, so the last ones are the ones that nobody misses.
MOST_ADDRESSES: Final = 256
MOST_GPUS: Final = 256
INDEX_MAX: Final = 4096
CELSIUS: Final = (-273, 1000)
WATT_MAX: Final = 100_000
MOST_THROTTLES: Final = 16
THROTTLE_CHARACTERS: Final = 100
MOST_NUMBERS: Final = 4
NUMBER_MAX: Final = 1_000_000
CAPABILITY_MAX: Final = 1000
MACHINE_CHARACTERS: Final = 64
UNKNOWN: Final = "unknown"
_UUID: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_./:]{0,99}\Z")


def plausible(facts: Facts) -> Facts:
    """Put each fact within its bounds. A card whose UUID is none is left out, and told of."""
    odd = [gpu.uuid for gpu in facts.gpus if not _UUID.match(gpu.uuid)]
    told = [gpu for gpu in facts.gpus if _UUID.match(gpu.uuid)]
    problems = [
        f"a driver gives a card the UUID {uuid[:100]!r}, which is none. Fix: update the driver"
        for uuid in odd
    ]
    if len(told) > MOST_GPUS:
        problems.append(f"{len(told)} GPUs are here, and only {MOST_GPUS} can be told of")
    return Facts(
        host=_host(facts.host),
        gpus=tuple(_gpu(gpu) for gpu in told[:MOST_GPUS]),
        problems=(*facts.problems, *problems),
    )


def _host(host: HostReport) -> HostReport:
    return replace(
        host,
        os=host.os or UNKNOWN,
        architecture=host.architecture or UNKNOWN,
        cpu_milli=_within(host.cpu_milli, 0, CPU_MILLI_MAX),
        memory_mib=_mib(host.memory_mib),
        disk_mib=_mib(host.disk_mib),
        foreign_memory_mib=_mib(host.foreign_memory_mib),
        foreign_disk_mib=_mib(host.foreign_disk_mib),
        addresses=tuple(one for one in host.addresses if one)[:MOST_ADDRESSES],
        machine=host.machine[:MACHINE_CHARACTERS],
    )


def _gpu(gpu: GpuReport) -> GpuReport:
    numbers = tuple(_within(number, 0, CAPABILITY_MAX) for number in gpu.compute_capability)
    return replace(
        gpu,
        index=_within(gpu.index, 0, INDEX_MAX),
        vendor=gpu.vendor or UNKNOWN,
        memory_mib=_mib(gpu.memory_mib),
        foreign_mib=_mib(gpu.foreign_mib),
        used_mib=_mib(gpu.used_mib),
        compute_capability=(numbers[0], numbers[1]) if numbers else (),
        driver=_numbers(gpu.driver),
        cuda=_numbers(gpu.cuda),
        utilisation_percent=_known(gpu.utilisation_percent, 0, 100),
        temperature_c=_known(gpu.temperature_c, *CELSIUS),
        power_w=_known(gpu.power_w, 0, WATT_MAX),
        throttles=tuple(one[:THROTTLE_CHARACTERS] for one in gpu.throttles if one)[:MOST_THROTTLES],
    )


def _numbers(version: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_within(number, 0, NUMBER_MAX) for number in version[:MOST_NUMBERS])


def _mib(amount: int) -> int:
    return _within(amount, 0, MIB_MAX)


def _known(amount: int | None, least: int, most: int) -> int | None:
    return None if amount is None else _within(amount, least, most)


def _within(amount: int, least: int, most: int) -> int:
    return max(least, min(amount, most))
