"""What each node is worth now. All arithmetic with time is here and nowhere after. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from reconciler.observing.node import ARCHITECTURE, OS, Freshness, Gpu, Node
from reconciler.observing.snapshot import Observed
from schemas.fleet import Fleet, Timings
from schemas.heartbeat import GpuReport, Heartbeat, HostReport, disk_pressure
from schemas.layout import HEARTBEAT_FILE, heartbeat_ref
from schemas.names import NodeName
from schemas.node import Duty, NodeRecord
from schemas.problem import Place, Problem
from schemas.quantity import format_duration
from schemas.resources import Resources


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest heartbeat of a node, and when we saw it first, by our own clock.

    is_lost: a look found it silent for too long. losses: how often that was so of late before it
    came back. back_at: when it last did; None: never.
    machine: which one spoke. rival: another that spoke under the same name, and was last heard of
    at `rival_at`; None: no other ever did. is_news: whether it came while we looked; what was there
    before may be older than what was decided since, as after a restore from a backup.
    """

    incarnation: str
    sequence: int
    seen_at: datetime
    is_lost: bool = False
    losses: int = 0
    back_at: datetime | None = None
    machine: str = ""
    rival: str = ""
    rival_at: datetime | None = None
    is_news: bool = False


Sightings: TypeAlias = Mapping[NodeName, Sighting]

# A node that comes and goes is held down for twice as long each time. After an hour without a
# loss it is as good as any; longer than an hour it never waits.
HOLD_MOST: Final = timedelta(hours=1)
CALM: Final = timedelta(hours=1)


def sight(  # noqa: PLR0913, PLR0917 - all that a sighting is judged by
    sightings: Sightings,
    heartbeats: tuple[Heartbeat, ...],
    now: datetime,
    timings: Timings,
    unreadable: Iterable[NodeName] = (),
    looked_at: datetime | None = None,
) -> Sightings:
    """Remember what is newly heard of. A node that was never seen before counts as seen now.

    looked_at: when we looked before this; None: never.

    The node's own clock has no say. A heartbeat that was heard before, or an older one of the same
    incarnation, is no news, and one that is unreadable is none either.
    """
    mute = {
        name: _grown_old(sightings[name], now, timings) for name in unreadable if name in sightings
    }
    heard = {
        beat.node: _sighting(sightings.get(beat.node), beat, now, timings, looked_at)
        for beat in heartbeats
    }
    return {**mute, **heard}


def sighted(
    sightings: Sightings, observed: Observed, now: datetime, looked_at: datetime | None = None
) -> Sightings:
    """Remember what a look newly heard of, see `sight`."""
    timings, unreadable = observed.fleet.timings, observed.unreadable
    return sight(sightings, observed.heartbeats, now, timings, unreadable, looked_at)


def forgiven(sightings: Sightings, now: datetime) -> Sightings:
    """Count every node as seen now: we did not look for a while, so their silence says nothing."""
    return {
        name: replace(one, seen_at=now, rival_at=None if one.rival_at is None else now)
        for name, one in sightings.items()
    }


def unheard(sightings: Sightings) -> Sightings:
    """Take nothing for news: what is found after a pause may be older than what it tells of."""
    return {name: replace(one, is_news=False) for name, one in sightings.items()}


def judge(observed: Observed, now: datetime, sightings: Sightings) -> tuple[Node, ...]:
    """Say of every node with a record how fresh it is and what it has room for, by name.

    `sightings` already knows these heartbeats, see `sight`.
    """
    beats = {beat.node: beat for beat in observed.heartbeats}
    return tuple(
        _node(observed, record, beats.get(record.name), sightings.get(record.name), now)
        for record in sorted(observed.records, key=lambda record: record.name)
    )


def silences(sightings: Sightings, now: datetime) -> Mapping[tuple[NodeName, str], timedelta]:
    """For how long no news was seen of every machine that ever spoke, by node, admitted or not."""
    heard = {(name, one.machine): one.seen_at for name, one in sightings.items()}
    rivals = {
        (name, one.rival): one.rival_at
        for name, one in sightings.items()
        if one.rival_at is not None
    }
    return {key: max(now - at, timedelta(0)) for key, at in {**rivals, **heard}.items()}


def unadmitted(
    observed: Observed, now: datetime, sightings: Sightings
) -> Mapping[NodeName, Freshness]:
    """Say how fresh each node is that has a heartbeat and no record.

    `sightings` already knows these heartbeats, see `sight`.
    """
    known = {record.name for record in observed.records}
    ages = {
        beat.node: now - sightings[beat.node].seen_at if beat.node in sightings else timedelta(0)
        for beat in observed.heartbeats
        if beat.node not in known
    }
    return {name: _freshness(age, observed.fleet.timings) for name, age in sorted(ages.items())}


def notices(observed: Observed, strange: Mapping[NodeName, Freshness]) -> tuple[Problem, ...]:
    """What is odd about refs of machines: unreadable ones, and those of nodes nobody admitted.

    strange: how fresh each of the latter is, see `unadmitted`.
    """
    told = [
        problem for name in sorted(observed.unreadable) for problem in observed.unreadable[name]
    ]
    strangers = (_stranger(name, strange[name], observed.fleet.timings) for name in sorted(strange))
    return (*told, *observed.odd_refs, *strangers)


def clearing(node: NodeName) -> str:
    """The command that takes away what is left of a node without a record, for people to run.

    Of its own assignment nothing needs to go: the reconciler would push that again.
    """
    return f"git push STATE :{heartbeat_ref(node)}"


def _sighting(
    last: Sighting | None,
    beat: Heartbeat,
    now: datetime,
    timings: Timings,
    looked_at: datetime | None,
) -> Sighting:
    if last is None:
        return Sighting(
            beat.incarnation,
            beat.sequence,
            now,
            machine=beat.host.machine,
            is_news=looked_at is not None,
        )
    if last.incarnation == beat.incarnation and beat.sequence <= last.sequence:
        return _grown_old(last, now, timings)
    last = replace(last, seen_at=min(last.seen_at, now))
    heard = replace(
        last,
        incarnation=beat.incarnation,
        sequence=beat.sequence,
        seen_at=now,
        is_lost=False,
        machine=beat.host.machine,
        is_news=True,
    )
    if last.machine != beat.host.machine:
        heard = replace(heard, rival=last.machine, rival_at=last.seen_at)
    if last.is_lost:
        return replace(heard, losses=last.losses + 1, back_at=now)
    is_calm = last.back_at is not None and now - last.back_at >= hold_down(last, timings) + CALM
    return replace(heard, losses=0, back_at=None) if is_calm else heard


def _grown_old(last: Sighting, now: datetime, timings: Timings) -> Sighting:
    """A node from which nothing new came."""
    # Our own clock may have been set back; a sighting from the future would never grow old.
    last = replace(last, seen_at=min(last.seen_at, now))
    return replace(last, is_lost=last.is_lost or now - last.seen_at >= timings.lost)


def hold_down(sighting: Sighting, timings: Timings) -> timedelta:
    """How long a node that came back is given nothing new, from its return on."""
    if sighting.back_at is None:
        return timedelta(0)
    return min(timings.late * (1 << min(max(sighting.losses - 1, 0), 20)), HOLD_MOST)


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
            duty=_duty(record),
            labels=labels,
            taints=record.taints,
            suspended=record.suspend,
        )
    age = now - sighting.seen_at if sighting else timedelta(0)
    freshness = _freshness(age, observed.fleet.timings)
    if freshness is Freshness.READY and sighting and _is_held_down(sighting, observed, now):
        freshness = Freshness.RETURNING
    if freshness is Freshness.READY and sighting and _is_contested(sighting, observed, now):
        freshness = Freshness.CONTESTED
    return Node(
        name=record.name,
        freshness=freshness,
        duty=_duty(record),
        labels={**labels, OS: beat.host.os, ARCHITECTURE: beat.host.architecture},
        taints=record.taints,
        room=_room(beat.host, _reserved(observed.fleet, record)),
        gpus=tuple(_gpu(report) for report in _by_uuid(beat) if not _objection(report)),
        sick_gpus={one.uuid: why for one in _by_uuid(beat) if (why := _objection(one))},
        ports=frozenset(beat.host.ports),
        images=frozenset(beat.images),
        volumes=frozenset(beat.volumes),
        runtime_error=beat.runtime.error,
        disk_pressure=disk_pressure(beat),
        silence=age if freshness in {Freshness.LATE, Freshness.LOST} else timedelta(0),
        incarnation=beat.incarnation,
        suspended=record.suspend,
    )


def _is_held_down(sighting: Sighting, observed: Observed, now: datetime) -> bool:
    back_at = sighting.back_at
    return back_at is not None and now < back_at + hold_down(sighting, observed.fleet.timings)


def _is_contested(sighting: Sighting, observed: Observed, now: datetime) -> bool:
    rival_at = sighting.rival_at
    return rival_at is not None and now - rival_at < observed.fleet.timings.lost


def _duty(record: NodeRecord) -> Duty:
    """What a node may take. Of one that is suspended nothing is taken away either."""
    return Duty.CORDONED if record.suspend else record.duty


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


def _stranger(name: NodeName, freshness: Freshness, timings: Timings) -> Problem:
    place = Place(f"{heartbeat_ref(name)}/{HEARTBEAT_FILE}")
    if freshness is Freshness.LOST:
        silent = f"no heartbeat for more than {format_duration(timings.lost)}"
        what = f"the node {name!r} has no record, and {silent}"
        fix = f"if it is gone for good: {clearing(name)}, STATE being the state repository"
        return Problem(place, what, f"{fix}; otherwise commit nodes/{name}.yaml")
    what = f"the node {name!r} sends heartbeats and nobody admitted it"
    return Problem(place, what, f"commit nodes/{name}.yaml, or stop its agent")
