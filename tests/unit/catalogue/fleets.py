"""The example fleets as they would be read: their files, and what their nodes would say."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reconciler.observing.snapshot import Snapshot
from schemas.heartbeat import Heartbeat, dump_heartbeat
from schemas.resources import Resources
from tests.builders import GIB, a_heartbeat, a_host
from tests.unit.catalogue.shelf import ROOT

EXAMPLES: Final = ROOT / "examples"
NAMES: Final = ("gpu-cluster", "homelab")


def _node(name: str, size: Resources, *cards: str, architecture: str = "amd64") -> Heartbeat:
    host = a_host(
        architecture=architecture,
        cpu_milli=size.cpu_milli,
        memory_mib=size.memory_mib,
        disk_mib=size.disk_mib,
    )
    return a_heartbeat(name, cards=cards, host=host)


def _size(cores: int, memory_gib: int, disk_gib: int) -> Resources:
    return Resources(cpu_milli=cores * 1000, memory_mib=memory_gib * GIB, disk_mib=disk_gib * GIB)


_A100: Final = _size(64, 512, 4000)
_L40S: Final = _size(48, 256, 2000)
_T4: Final = _size(16, 64, 500)
_CPU: Final = _size(32, 128, 1000)

HEARTBEATS: Final[dict[str, tuple[Heartbeat, ...]]] = {
    "homelab": (
        _node("attic", _size(8, 32, 500), "rtx3090"),
        _node("cellar", _size(4, 16, 8000), architecture="arm64"),
        _node("shelf", _size(8, 32, 500)),
    ),
    "gpu-cluster": (
        _node("a100-a", _A100, *["a100"] * 4),
        _node("a100-b", _A100, *["a100"] * 4),
        _node("cpu-a", _CPU),
        _node("cpu-b", _CPU),
        _node("l40s-a", _L40S, *["l40s"] * 4),
        _node("l40s-b", _L40S, *["l40s"] * 4),
        _node("l40s-c", _L40S, *["l40s"] * 4),
        _node("t4-a", _T4, *["t4"] * 2),
        _node("t4-b", _T4, *["t4"] * 2),
        _node("t4-c", _T4, *["t4"] * 2),
    ),
}


def snapshot_of(name: str) -> Snapshot:
    """Read an example as if it had been pushed and all its nodes had just spoken."""
    return Snapshot(
        source=None,
        desired=_files(EXAMPLES / name, ""),
        builtin=_files(ROOT / "templates", "templates/"),
        heartbeats={beat.node: dump_heartbeat(beat).encode() for beat in HEARTBEATS[name]},
    )


def _files(folder: Path, prefix: str) -> dict[str, bytes]:
    return {
        prefix + file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
