"""What each node is worth now. All arithmetic with time is here and nowhere after. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from reconciler.observing.node import Freshness, Gpu, Node
from reconciler.observing.snapshot import Observed
from schemas.fleet import Fleet, Timings
from schemas.heartbeat import GpuReport, Heartbeat, HostReport, disk_pressure
from schemas.layout import HEARTBEAT_FILE, heartbeat_ref
from schemas.names import NodeName
from schemas.node import NodeRecord
from schemas.problem import Place, Problem
from schemas.resources import Resources


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest heartbeat of a node, and when we saw it first, by our own clock."""

    incarnation: str
    sequence: int
    seen_at: datetime


Sightings: TypeAlias = Mapping[NodeName, Sighting]


def sight(sightings: Sightings, heartbeats: tuple[Heartbeat, ...], now: datetime) -> Sightings:
    """Remember what is newly heard of. A node that was never seen before counts as seen now.

    The node's own clock has no say. A heartbeat that was heard before, or an older one of the same
    incarnation, is no news.
    """
    return {beat.node: _sighting(sightings.get(beat.node), beat, now) for beat in heartbeats}


def judge(observed: Observed, now: datetime, sightings: Sightings) -> tuple[Node, ...]:
    """Say of every node with a record how fresh it is and what it has room for, by name.

    `sightings` already knows these heartbeats, see `sight`.
    """
    beats = {beat.node: beat for beat in observed.heartbeats}
    return tuple(
        _node(observed, record, beats.get(record.name), sightings.get(record.name), now)
        for record in sorted(observed.records, key=lambda record: record.name)
    )


def notices(observed: Observed) -> tuple[Problem, ...]:
    """What is odd about heartbeats: unreadable ones, and those of nodes nobody admitted."""
    known = {record.name for record in observed.records}
    strangers = sorted({beat.node for beat in observed.heartbeats} - known)
    told = [
        problem for name in sorted(observed.unreadable) for problem in observed.unreadable[name]
    ]
    return (*told, *(_stranger(name) for name in strangers))


def _sighting(last: Sighting | None, beat: Heartbeat, now: datetime) -> Sighting:
    if last is not None and last.incarnation == beat.incarnation and beat.sequence <= last.sequence:
        # Our own clock may have been set back; a sighting from the future would never grow old.
        return Sighting(last.incarnation, last.sequence, min(last.seen_at, now))
    return Sighting(beat.incarnation, beat.sequence, now)


def _node(
    observed: Observed,
    record: NodeRecord,
    beat: Heartbeat | None,
    sighting: Sighting | None,
    now: datetime,
) -> Node:
    labels = {**record.labels, "miaas/node": record.name}
    if beat is None:
        silent = Freshness.LATE if record.name in observed.unreadable else Freshness.UNSEEN
        return Node(
            name=record.name,
            freshness=silent,
            duty=record.duty,
            labels=labels,
            taints=record.taints,
        )
    age = now - sighting.seen_at if sighting else timedelta(0)
    return Node(
        name=record.name,
        freshness=_freshness(age, observed.fleet.timings),
        duty=record.duty,
        labels={**labels, "miaas/os": beat.host.os, "miaas/arch": beat.host.architecture},
        taints=record.taints,
        room=_room(beat.host, _reserved(observed.fleet, record)),
        gpus=tuple(_gpu(report) for report in _by_uuid(beat) if not _objection(report)),
        sick_gpus={one.uuid: why for one in _by_uuid(beat) if (why := _objection(one))},
        ports=frozenset(beat.host.ports),
        images=frozenset(beat.images),
        runtime_error=beat.runtime.error,
        disk_pressure=disk_pressure(beat),
    )


def _freshness(age: timedelta, timings: Timings) -> Freshness:
    if age >= timings.lost:
        return Freshness.LOST
    return Freshness.LATE if age >= timings.late else Freshness.READY


def _reserved(fleet: Fleet, record: NodeRecord) -> Resources:
    return fleet.reserved if record.reserved is None else record.reserved


def _room(host: HostReport, reserved: Resources) -> Resources:
    """The host, less what is reserved, less what is foreign; never less than nothing.

    What is reserved is meant for the host's own programs, and so covers foreign memory and disk:
    only what these hold beyond it is lost too.
    """
    memory = max(reserved.memory_mib, host.foreign_memory_mib)
    disk = max(reserved.disk_mib, host.foreign_disk_mib)
    return Resources(
        cpu_milli=max(host.cpu_milli - reserved.cpu_milli, 0),
        memory_mib=max(host.memory_mib - memory, 0),
        disk_mib=max(host.disk_mib - disk, 0),
    )


def _by_uuid(beat: Heartbeat) -> list[GpuReport]:
    return sorted(beat.gpus, key=lambda report: report.uuid)


def _objection(report: GpuReport) -> str:
    """Why a GPU is not given out; empty: it is."""
    return report.sickness or report.withheld


def _gpu(report: GpuReport) -> Gpu:
    return Gpu(
        uuid=report.uuid,
        vendor=report.vendor,
        model=report.model,
        memory_mib=report.memory_mib,
        free_mib=max(report.memory_mib - report.foreign_mib, 0),
        compute_capability=report.compute_capability,
        driver=report.driver,
        cuda=report.cuda,
    )


def _stranger(name: NodeName) -> Problem:
    place = Place(f"{heartbeat_ref(name)}/{HEARTBEAT_FILE}")
    what = f"the node {name!r} sends heartbeats and nobody admitted it"
    return Problem(place, what, f"commit nodes/{name}.yaml, or stop its agent")
