"""Which processes are in our containers, and how much memory they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.runtime import kernel

MIB: Final = 2**20
PAGE_BYTES_IN_STATM: Final = 4096
# A container's cgroup is named after its id: `/docker/<id>`, `docker-<id>.scope`.
_ID: Final = re.compile(r"([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Belongings:
    """What our containers hold. pids: ids of their processes, as the host counts."""

    pids: frozenset[int] = frozenset()
    memory_mib: int = 0


def belongings(containers: Iterable[str], root: Path = Path("/")) -> Belongings:
    """Find the processes of these containers by their cgroups, without asking Docker.

    containers: full ids. root: where proc and sys stand.
    """
    wanted = frozenset(containers)
    if not wanted:
        return Belongings()
    cgroups = {
        pid: text
        for pid, text in kernel.cgroups(str(root))
        if not wanted.isdisjoint(_ID.findall(text))
    }
    return Belongings(frozenset(cgroups), _memory_mib(cgroups, root))


def _memory_mib(cgroups: Mapping[int, str], root: Path) -> int:
    """What the containers hold beyond caches, which the kernel gives back when asked."""
    total = 0
    for text in set(cgroups.values()):
        known = _group_bytes(text, root)
        if known is None:
            pids = [pid for pid, group in cgroups.items() if group == text]
            known = sum(_resident_bytes(root / "proc" / str(pid)) for pid in pids)
        total += known
    return total // MIB


def _group_bytes(text: str, root: Path) -> int | None:
    """The memory of one cgroup; None where its counters cannot be read."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        below = path.lstrip("/")
        if controllers == "memory":
            stat = _stat(root / "sys/fs/cgroup/memory" / below / "memory.stat")
            if stat is not None:
                return stat.get("total_rss", 0) + stat.get("total_shmem", 0)
        elif not controllers:
            stat = _stat(root / "sys/fs/cgroup" / below / "memory.stat")
            if stat is not None:
                return stat.get("anon", 0) + stat.get("shmem", 0)
    return None


def _stat(path: Path) -> dict[str, int] | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - a pair


def _resident_bytes(process: Path) -> int:
    try:
        return int((process / "statm").read_text().split()[1]) * PAGE_BYTES_IN_STATM
    except (OSError, IndexError, ValueError):
        return 0
