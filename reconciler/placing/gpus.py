"""GPUs: which kinds will do for a need, and which of a node's GPUs a replica gets."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from reconciler.observing.node import Gpu
from schemas.resources import GpuNeed

MIB_PER_GIB: Final = 1024

GpuCheck: TypeAlias = Callable[[GpuNeed, Gpu], str | None]


def vendor_matches(need: GpuNeed, gpu: Gpu) -> str | None:
    """Refuse a GPU of another vendor."""
    if need.vendor is None or need.vendor.lower() == gpu.vendor.lower():
        return None
    return f"needs a GPU of vendor {need.vendor}, has {gpu.vendor}"


def model_matches(need: GpuNeed, gpu: Gpu) -> str | None:
    """Refuse a GPU whose model does not match the pattern."""
    if need.model is None or fnmatchcase(gpu.model.lower(), need.model.lower()):
        return None
    return f"needs GPU model {need.model}, has {gpu.model}"


def capability_suffices(need: GpuNeed, gpu: Gpu) -> str | None:
    """Refuse a GPU of too low or unknown compute capability."""
    return _at_least("compute capability", need.compute_capability, gpu.compute_capability)


def driver_suffices(need: GpuNeed, gpu: Gpu) -> str | None:
    """Refuse a GPU whose driver is too old or unknown."""
    return _at_least("GPU driver", need.driver, gpu.driver)


def cuda_suffices(need: GpuNeed, gpu: Gpu) -> str | None:
    """Refuse a GPU whose CUDA version is too old or unknown."""
    return _at_least("CUDA", need.cuda, gpu.cuda)


def memory_exists(need: GpuNeed, gpu: Gpu) -> str | None:
    """Refuse a GPU that is too small even when empty."""
    if need.memory_mib is None or need.memory_mib <= gpu.memory_mib:
        return None
    return f"needs {gib(need.memory_mib)} on one GPU, {gpu.model} has {gib(gpu.memory_mib)}"


GPU_CHECKS: Final[tuple[GpuCheck, ...]] = (
    vendor_matches,
    model_matches,
    capability_suffices,
    driver_suffices,
    cuda_suffices,
    memory_exists,
)


def kind_objection(need: GpuNeed, gpu: Gpu) -> str | None:
    """Say the first reason why this GPU, even empty, will not do. None: it will."""
    return next((text for check in GPU_CHECKS if (text := check(need, gpu)) is not None), None)


def gib(mib: int) -> str:
    """Print an amount of memory as people say it: `24 GiB`, `1.5 GiB`, `512 MiB`."""
    if abs(mib) < MIB_PER_GIB:
        return f"{mib} MiB"
    return f"{mib / MIB_PER_GIB:.2f}".rstrip("0").rstrip(".") + " GiB"


def _at_least(what: str, least: tuple[int, ...] | None, has: tuple[int, ...]) -> str | None:
    """Compare versions number by number; 12.4 equals 12.4.0, and an unknown one never does."""
    if least is None:
        return None
    width = max(len(least), len(has))
    if has and _padded(has, width) >= _padded(least, width):
        return None
    known = ".".join(map(str, has)) or "an unknown one"
    return f"needs {what} {'.'.join(map(str, least))}, has {known}"


def _padded(version: tuple[int, ...], width: int) -> tuple[int, ...]:
    """Fill a version up with zeros."""
    return version + (0,) * (width - len(version))
