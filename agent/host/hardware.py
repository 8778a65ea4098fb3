"""Processors, memory, disk, addresses and ports of the host. The one door to psutil."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.host.belongings import Belongings
from agent.host.sockets import listening
from schemas.heartbeat import HostReport

MIB: Final = 2**20
ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "i686": "386",
}
# What container engines and hypervisors make: no other machine can reach us there.
INNER_LINKS: Final = ("lo", "docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "podman")
LISTENING: Final = "0A"
MACHINE_ID: Final = Path("/etc/machine-id")
# Of model files there are few, of a database's a thousand. Past this a look would cost too much.
MAX_ENTRIES: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What MIaaS runs here, as Docker tells it.

    containers: full ids. ports: host ports that they publish, or that were given to them.
    published: host ports that other containers publish; Docker may forward one without listening.
    folders: where the data of their volumes stands. image_mib: size of the images that they use.
    """

    containers: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset()
    published: frozenset[int] = frozenset()
    folders: tuple[Path, ...] = ()
    image_mib: int = 0


def host_report(docker_root: Path, ours: Ours, held: Belongings) -> HostReport:
    """Read what the host has, and how much of it something else holds."""
    import psutil  # noqa: PLC0415 - a pass without a heartbeat must not pay for it

    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(existing(docker_root)))
    taken = (memory.total - memory.available) // MIB
    system = os.uname()
    return HostReport(
        os=system.sysname.lower(),
        architecture=architecture(system.machine),
        kernel=system.release,
        cpu_milli=(psutil.cpu_count(logical=True) or 1) * 1000,
        memory_mib=memory.total // MIB,
        disk_mib=disk.total // MIB,
        foreign_memory_mib=max(0, taken - held.memory_mib),
        foreign_disk_mib=max(0, disk.used // MIB - ours.image_mib - folders_mib(ours.folders)),
        addresses=addresses(_interface_addresses()),
        ports=tuple(sorted((_listening_here() - ours.ports) | ours.published)),
        machine=machine_name(MACHINE_ID),
    )


def machine_name(path: Path) -> str:
    """Name this machine by a digest of its id, which is not for others to know; empty: no id."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(f"miaas {text}".encode()).hexdigest()[:16] if text else ""


def architecture(machine: str) -> str:
    """Name a processor as container platforms do; one that we do not know as the kernel does."""
    return ARCHITECTURES.get(machine.lower(), machine.lower())


def addresses(named: Iterator[tuple[str, str]]) -> tuple[str, ...]:
    """Where other machines can reach this one: IPv4 first. named: pairs of link and address."""
    found = set()
    for link, text in named:
        if not link.startswith(INNER_LINKS):
            address = ipaddress.ip_address(text.partition("%")[0])
            if not (address.is_loopback or address.is_link_local or address.is_unspecified):
                found.add(address)
    return tuple(str(one) for one in sorted(found, key=lambda one: (one.version, int(one))))


def listening_ports(root: Path = Path("/")) -> frozenset[int]:
    """TCP ports that something listens on, on any address: Docker could publish none of them."""
    tables = (root / "proc/net" / name for name in ("tcp", "tcp6"))
    return frozenset(port for table in tables if table.exists() for port in _listening(table))


def _listening_here() -> frozenset[int]:
    try:
        return listening()
    except OSError:  # an old kernel, or a sandbox around us
        return listening_ports()


def existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there: the file system is the same."""
    return next(place for place in (path, *path.parents) if place.exists())


def folders_mib(folders: tuple[Path, ...], most: int = MAX_ENTRIES) -> int:
    """Space that folders take, up to `most` entries: what is past that counts as foreign."""
    total, left = 0, most
    waiting = list(folders)
    while waiting and left > 0:
        for entry in _entries(waiting.pop()):
            left -= 1
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            else:
                total += _blocks(entry)
            if left <= 0:
                break
    return total // MIB


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []  # gone meanwhile, or not ours to read


def _blocks(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512  # sparse files take less
    except OSError:
        return 0


def _listening(table: Path) -> Iterator[int]:
    # psutil would look through the open files of every process to name each socket's owner.
    for line in table.read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == LISTENING:
            yield int(local.rpartition(":")[2], 16)


def _interface_addresses() -> Iterator[tuple[str, str]]:
    import psutil  # noqa: PLC0415 - see host_report

    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if name in up and entry.family in {socket.AF_INET, socket.AF_INET6}:
                yield name, entry.address
