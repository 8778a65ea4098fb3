"""Measurements in steps, so that their noise is no news to whoever compares two heartbeats. Pure.

Amounts that something else holds are rounded up: a node never promises more than it has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.host.facts import Facts
from schemas.heartbeat import GpuReport

# A host's services breathe by some MiB, its logs grow by some a minute; placement asks for GiB.
MEMORY_STEP_MIB: Final = 64
DISK_STEP_MIB: Final = 1024
# Contexts of processes on a card come and go in blocks; what is on a card counts nearly to the MiB.
GPU_STEP_MIB: Final = 16
# For people to look at, and for no decision.
PERCENT_STEP: Final = 5
CELSIUS_STEP: Final = 5
WATT_STEP: Final = 10


def steadied(facts: Facts) -> Facts:
    """Put measurements on their steps. What a thing is, and how large, stays exact."""
    host = facts.host
    return replace(
        facts,
        host=replace(
            host,
            foreign_memory_mib=_up(host.foreign_memory_mib, MEMORY_STEP_MIB, host.memory_mib),
            foreign_disk_mib=_up(host.foreign_disk_mib, DISK_STEP_MIB, host.disk_mib),
        ),
        gpus=tuple(_gpu(gpu) for gpu in facts.gpus),
    )


def _gpu(gpu: GpuReport) -> GpuReport:
    return replace(
        gpu,
        foreign_mib=_up(gpu.foreign_mib, GPU_STEP_MIB, gpu.memory_mib),
        used_mib=_up(gpu.used_mib, GPU_STEP_MIB, gpu.memory_mib),
        utilisation_percent=_near(gpu.utilisation_percent, PERCENT_STEP),
        temperature_c=_near(gpu.temperature_c, CELSIUS_STEP),
        power_w=_near(gpu.power_w, WATT_STEP),
    )


def _up(amount: int, step: int, most: int) -> int:
    """Round up to a step, but to no more than there is."""
    return min(-(-amount // step) * step, max(amount, most))


def _near(amount: int | None, step: int) -> int | None:
    return None if amount is None else round(amount / step) * step
