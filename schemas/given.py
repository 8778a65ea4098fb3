"""Whether the files of a replica take more of their host than the planner gave. Pure.

What was promised to others is refused by name: a GPU by its UUID, a host port by its number. A
variable that hands out GPUs is refused wherever Compose may read it from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from schemas.assignment import AssignedReplica
from schemas.check import Finding
from schemas.marks import Keys
from schemas.names import GpuUuid
from schemas.page import map_of
from schemas.problem import Place, Problem
from schemas.words import shown

# Where NVIDIA's runtime is the engine's default, this variable hands out any GPU.
GPU_VARIABLE: Final = "NVIDIA_VISIBLE_DEVICES"
NO_GPUS: Final = frozenset({"none", "void"})
GPU_FIX: Final = "remove it; reserve them by device_ids in deploy.resources.reservations.devices"

# Not taken apart as Compose does: a name inside quotes or in a comment is refused as well.
_NAMED: Final = re.compile(rf"(?<!\w){GPU_VARIABLE}")
_HARMLESS: Final = re.compile(rf"""\s*{GPU_VARIABLE}=(?P<q>["']?)(none|void)(?P=q)[ \t]*\r?\Z""")
_PORT: Final = re.compile(r"([0-9]{1,5}):[0-9]{1,5}(/(tcp|udp))?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a replica was given of its host. gpus: whole or in part. ports: of the host."""

    gpus: frozenset[GpuUuid] = frozenset()
    ports: frozenset[int] = frozenset()


def given_to(replica: AssignedReplica) -> Given:
    """What an assignment gives to a replica."""
    return Given(
        gpus=frozenset(share.uuid for share in replica.gpus),
        ports=frozenset(replica.ports.values()),
    )


def taken(document: object, given: Given) -> Iterator[Finding]:
    """GPUs and host ports in a compose file that were not given."""
    for name, service in map_of(map_of(document).get("services")).items():
        keys: Keys = ("services", name)
        yield from _ports((*keys, "ports"), map_of(service).get("ports"), given)
        reserved: Any = service
        for key in ("deploy", "resources", "reservations"):
            reserved, keys = map_of(reserved).get(key), (*keys, key)
        yield from _gpus((*keys, "devices"), map_of(reserved).get("devices"), given)


def taken_by_variable(
    document: object, files: Mapping[str, bytes], *, path: str
) -> Iterator[Problem]:
    """GPUs that a file of variables would take.

    files: of the replica, by path inside its folder. path: of the compose file.
    """
    folder = path.rpartition("/")[0]
    for named in sorted({*_env_files(document)} & files.keys()):
        # Any bytes are text in this encoding, and the name is plain ASCII in every other.
        text = files[named].decode("latin-1")
        for found in _NAMED.finditer(text):
            start = text.rfind("\n", 0, found.start()) + 1
            line = text[start:].partition("\n")[0]
            if not _HARMLESS.match(line):
                number = text.count("\n", 0, start) + 1
                place = Place(f"{folder}/{named}" if folder else named, number, 1)
                what = f"{GPU_VARIABLE} would take GPUs that were not assigned"
                yield Problem(place, what, GPU_FIX)


def _ports(keys: Keys, value: object, given: Given) -> Iterator[Finding]:
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        number = _host_port(entry)
        if number is not None and number not in given.ports:
            what = f"the host port {number} was not given to this replica"
            fix = (
                "name the port under ports of template.yaml, publish {{ ports.NAME }}, and let "
                "the deployment ask for the number if it matters"
            )
            yield Finding((*keys, index), what, fix)


def _host_port(entry: object) -> int | None:
    """The port of the host; None: the schema refuses the entry as it is."""
    if isinstance(entry, dict):
        text = str(entry.get("published"))
        return int(text) if re.fullmatch("[0-9]{1,5}", text) else None
    found = _PORT.search(entry) if isinstance(entry, str) else None
    return int(found[1]) if found else None


def _gpus(keys: Keys, value: object, given: Given) -> Iterator[Finding]:
    for index, device in enumerate(value if isinstance(value, list) else ()):
        ids = map_of(device).get("device_ids")
        for number, uuid in enumerate(ids if isinstance(ids, list) else ()):
            if isinstance(uuid, str) and uuid not in given.gpus:
                what = f"the GPU {shown(uuid)} was not given to this replica"
                fix = (
                    "ask for GPUs under resources.gpus, and list only the UUIDs of {{ gpus }} here"
                )
                yield Finding((*keys, index, "device_ids", number), what, fix)


def _env_files(document: object) -> Iterator[str]:
    """The files of variables that services name, by path inside the replica's folder."""
    for service in map_of(map_of(document).get("services")).values():
        named = map_of(service).get("env_file")
        for entry in named if isinstance(named, list) else (named,):
            path = map_of(entry).get("path") if isinstance(entry, dict) else entry
            if isinstance(path, str):
                yield str(PurePosixPath(path))
