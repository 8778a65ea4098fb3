"""heartbeat.json: what a node is, and how what was assigned to it fares."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.codec import dump_json, parse_json_ahead
from schemas.names import CommitId, DeploymentName, GpuUuid, NodeName, ReplicaName

# Bytes of a heartbeat that reconcilers read; 64 GPUs and 1,000 replicas take about half of it.
HEARTBEAT_MAX: Final = 1024 * 1024
# A problem of a heartbeat that begins with this word and a colon says: the disk is nearly full.
DISK_PRESSURE: Final = "DiskPressure"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """One GPU, or one MIG instance.

    memory_mib: all of it; the host's, where a card has none of its own.
    foreign_mib: held by processes that are not ours, and by the driver itself.
    used_mib: held by all processes. index: as the driver counts at this boot.
    compute_capability, driver, cuda: empty where the vendor's library does not say.
    sickness: why it must not be used (`lost`, `pending remap`, ...); empty when it is well.
    withheld: why it is only told of and not given out, however well it is; empty: it is given out.
    throttles: what slows it down just now, `heat` or `power limit` for example, sorted.
    parent: the UUID of the card of a MIG instance; empty for a whole card.
    utilisation_percent, temperature_c, power_w: None where the card does not say.
    """

    uuid: GpuUuid
    index: int
    vendor: str
    model: str
    memory_mib: int
    foreign_mib: int = 0
    used_mib: int = 0
    compute_capability: tuple[int, int] | tuple[()] = ()
    driver: tuple[int, ...] = ()
    cuda: tuple[int, ...] = ()
    sickness: str = ""
    parent: str = ""
    utilisation_percent: int | None = None
    temperature_c: int | None = None
    power_w: int | None = None
    throttles: tuple[str, ...] = ()
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What the host has. Foreign amounts are held by what MIaaS did not start.

    disk_mib: size of the file system that holds Docker's data. ports: TCP ports that something
    other than MIaaS listens on. architecture: as in container platforms, `amd64` or `arm64`.
    machine: tells machines apart that use one name; empty: unknown.
    """

    os: str
    architecture: str
    kernel: str = ""
    cpu_milli: int
    memory_mib: int
    disk_mib: int
    foreign_memory_mib: int = 0
    foreign_disk_mib: int = 0
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    machine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeReport:
    """Docker as the agent finds it. An `error` that is not empty means that it does not answer.

    since: since when it answers, or does not, by the node's own clock; for people. None: unknown.
    """

    docker: str = ""
    compose: str = ""
    error: str = ""
    since: datetime | None = None


class ReplicaState(StrEnum):
    """How a replica fares on its node."""

    PENDING = "pending"  # assigned, nothing done yet
    STARTING = "starting"  # its containers run, and are not yet healthy
    RUNNING = "running"  # every service runs, is healthy where it can say so, and answers probes
    DEGRADED = "degraded"  # some service is missing, stopped or unhealthy, or a probe fails
    FAILED = "failed"  # the last try to start it failed, or it crashes again and again
    STOPPING = "stopping"  # no longer assigned, and not gone yet


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """One service of a replica. health: `healthy`, `unhealthy`, `starting`, or empty: no check."""

    name: str
    image: str
    state: str
    health: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The last lines of a failing service's log. Secrets are masked."""

    service: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReport:
    """One replica as the agent sees it.

    observed: tree id of the files that it runs from. drifted: in what it differs from them though
    nobody decided so, where its deployment wants that told and not healed, or nothing heals it.
    logs: of services that fail, from when they began to.
    since: when `state` last changed, by the node's own clock; for people. None: unknown.
    epoch: of the grant under which it was started; 0: it needs none.
    """

    name: ReplicaName
    deployment: DeploymentName
    state: ReplicaState
    observed: str = ""
    message: str = ""
    drifted: str = ""
    services: tuple[ServiceReport, ...] = ()
    logs: tuple[LogTail, ...] = ()
    since: datetime | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A parsed heartbeat. Holding one means that it is valid.

    incarnation: changes at every boot of the host, and when its agent gave up what is fenced.
    sequence: grows with each heartbeat of an incarnation.
    sent_at: by the node's own clock, for people to read and for nothing else.
    observed: commit of the assignment that the agent last converged to; None before the first.
    generation: that assignment's generation; 0 before the first.
    accepted: commit of the assignment that the agent obeys, reached or not; None before the first.
    accepted_generation: that assignment's generation; 0 before the first.
    problems: what the agent could not do, in words, worst first.
    images: references of the images present on the host.
    volumes: replicas whose volumes stand on the host, assigned still or not, sorted.
    disk_since: since when its disk is nearly full, or is not, by the node's own clock; for people.
    None: unknown.
    """

    node: NodeName
    incarnation: str
    sequence: int
    sent_at: datetime
    agent: str
    observed: CommitId | None = None
    generation: int = 0
    accepted: CommitId | None = None
    accepted_generation: int = 0
    host: HostReport
    runtime: RuntimeReport = field(default_factory=RuntimeReport)
    gpus: tuple[GpuReport, ...] = ()
    replicas: tuple[ReplicaReport, ...] = ()
    images: tuple[str, ...] = ()
    volumes: tuple[ReplicaName, ...] = ()
    problems: tuple[str, ...] = ()
    disk_since: datetime | None = None


def disk_pressure(heartbeat: Heartbeat) -> str:
    """What a node says of its disk where that is nearly full; empty: nothing."""
    head = f"{DISK_PRESSURE}: "
    return next((one for one in heartbeat.problems if one.startswith(head)), "").removeprefix(head)


def parse_heartbeat(text: str, *, path: str) -> Heartbeat:
    """Read heartbeat.json. Keys that only a newer agent knows are passed over.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    return parse_json_ahead(Heartbeat, text, path=path)


def dump_heartbeat(heartbeat: Heartbeat) -> str:
    """Write heartbeat.json."""
    return dump_json(heartbeat)
