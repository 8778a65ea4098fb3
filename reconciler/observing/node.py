"""A node as the planner may use it: every judgement about time is already made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from schemas.names import GpuUuid, NodeName, ReplicaName
from schemas.node import Duty
from schemas.resources import Resources, Taint

OS: Final = "miaas/os"
ARCHITECTURE: Final = "miaas/arch"
# Labels that a node has by its heartbeat; all others come from its record.
TOLD_BY_HEARTBEATS: Final = frozenset({OS, ARCHITECTURE})


class Freshness(StrEnum):
    """What a node's silence means."""

    READY = "ready"  # heard of in time
    RETURNING = "returning"  # was lost, and has to be heard of for a while before it gets anything
    CONTESTED = "contested"  # two machines speak under its name, and neither gets anything new
    LATE = "late"  # silent for a while: keeps what it has, gets nothing new
    LOST = "lost"  # silent for long
    UNSEEN = "unseen"  # has a record and never sent a heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU that can be given out. Sick ones, and those only told of, never get this far.

    free_mib: its memory less what processes that are not ours hold. memory_mib: all of it.
    driver, cuda, compute_capability: empty where unknown, and then no minimum is met.
    """

    uuid: GpuUuid
    vendor: str
    model: str
    memory_mib: int
    free_mib: int
    compute_capability: tuple[int, int] | tuple[()] = ()
    driver: tuple[int, ...] = ()
    cuda: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node, as large as it is for us.

    room: what can be given out in all: the host, less what is reserved, less what is foreign.
    Our own replicas are not subtracted: the planner counts them itself, once.
    labels: the operator's, and `miaas/node`, `miaas/os`, `miaas/arch`.
    ports: host ports that something other than MIaaS uses.
    volumes: replicas whose volumes stand on it, wherever they are placed now, if anywhere.
    runtime_error: why Docker cannot start anything; empty when it can.
    disk_pressure: what it says of a disk that is nearly full; empty when there is room.
    silence: how long no news of it was seen, by our own clock; nothing while it is ready.
    incarnation: as its newest heartbeat says; empty where it never spoke.
    suspended: the operator wants nothing on it changed.
    """

    name: NodeName
    freshness: Freshness = Freshness.READY
    duty: Duty = Duty.ACTIVE
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    room: Resources = field(default_factory=Resources)
    gpus: tuple[Gpu, ...] = ()
    sick_gpus: Mapping[GpuUuid, str] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()
    images: frozenset[str] = frozenset()
    volumes: frozenset[ReplicaName] = frozenset()
    runtime_error: str = ""
    disk_pressure: str = ""
    silence: timedelta = timedelta(0)
    incarnation: str = ""
    suspended: bool = False
