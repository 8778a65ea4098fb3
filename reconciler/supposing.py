"""What if: a snapshot as it would be read if machines were lost or added, or more were asked for.

What is supposed is put where it would stand, so that the same decision is made of it as of
anything else. Pure.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.observing.snapshot import Observed, Snapshot
from schemas.deployment import Deployment
from schemas.heartbeat import GpuReport, Heartbeat, HostReport, dump_heartbeat
from schemas.layout import DEPLOYMENTS, HEARTBEAT_FILE, NODES, heartbeat_ref
from schemas.machine import Card, Machine
from schemas.names import GpuUuid, NodeName
from schemas.node import NodeRecord, dump_node
from schemas.problem import BadDocumentError, Place, Problem

_INCARNATION: Final = "supposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What is supposed to happen to a fleet.

    lost: nodes that are gone for good. machines: new ones. deployments: with the bytes of their
    documents; one that the fleet has already is replaced.
    """

    lost: tuple[NodeName, ...] = ()
    machines: tuple[Machine, ...] = ()
    deployments: tuple[tuple[Deployment, bytes], ...] = ()


def suppose(
    snapshot: Snapshot, observed: Observed, supposed: Supposed, now: datetime
) -> tuple[Snapshot, Mapping[str, str]]:
    """Put what is supposed into a snapshot. `observed` is the same snapshot, understood.

    Also gives where each document that was put in came from, by its path in the snapshot.

    Raises:
        BadDocumentError: a machine cannot be had, or is like no node that is known.
    """
    problems = tuple(_objections(observed, supposed))
    if problems:
        raise BadDocumentError(problems)
    gone = {one.place.path for one in observed.records if one.name in supposed.lost}
    desired = {path: text for path, text in snapshot.desired.items() if path not in gone}
    heartbeats = {
        name: text for name, text in snapshot.heartbeats.items() if name not in supposed.lost
    }
    origins: dict[str, str] = {}
    for machine in supposed.machines:
        path = f"{NODES}/{machine.name}.yaml"
        desired[path] = dump_node(_record(machine, path)).encode()
        beat = _heartbeat(machine, _like(machine, observed), now)
        heartbeats[machine.name] = dump_heartbeat(beat).encode()
        origins[path] = machine.place.path
    for deployment, text in supposed.deployments:
        path = _path_of(deployment, snapshot)
        desired[path] = text
        origins[path] = deployment.place.path
    mute = {heartbeat_ref(name) + f"/{HEARTBEAT_FILE}" for name in supposed.lost}
    large = {p: size for p, size in snapshot.too_large.items() if p not in {*mute, *desired}}
    changed = replace(snapshot, desired=desired, heartbeats=heartbeats, too_large=large)
    return replace(changed, supposed_lost=supposed.lost), origins


def moved_back(problem: Problem, origins: Mapping[str, str]) -> Problem:
    """Say a problem of a document that was put in with the path that it came from."""
    place = problem.place
    path = origins.get(place.path, place.path)
    return replace(problem, place=replace(place, path=path))


def volumes_lost(observed: Observed, supposed: Supposed) -> Mapping[NodeName, tuple[str, ...]]:
    """Name the replicas whose volumes are on nodes that are lost."""
    found = {
        name: tuple(one.name for one in observed.assignments[name].replicas if one.pinned)
        for name in sorted(supposed.lost)
        if name in observed.assignments
    }
    return {name: replicas for name, replicas in found.items() if replicas}


def _objections(observed: Observed, supposed: Supposed) -> Iterator[Problem]:
    known = {record.name for record in observed.records} - set(supposed.lost)
    speaking = {beat.node for beat in observed.heartbeats}
    for machine in supposed.machines:
        if machine.name in known:
            place = _at(machine, "metadata", "name")
            what = f"there is a node {machine.name!r} already"
            yield Problem(place, what, "give the machine a name of its own")
        known.add(machine.name)
        if machine.like is not None and machine.like not in speaking:
            what = f"no node {machine.like!r} ever said what it has"
            names = ", ".join(sorted(speaking)[:5]) or "say cpu, memory, disk and gpus instead"
            yield Problem(_at(machine, "spec", "like"), what, f"use one that did: {names}")


def _at(machine: Machine, *keys: str) -> Place:
    return machine.marks.at(*keys)


def _path_of(deployment: Deployment, snapshot: Snapshot) -> str:
    """Where a deployment of this name stands already, else where it would."""
    files = (f"/{deployment.name}.yaml", f"/{deployment.name}.yml")
    paths = (p for p in sorted(snapshot.desired) if p.startswith(f"{DEPLOYMENTS}/"))
    return next((p for p in paths if p.endswith(files)), f"{DEPLOYMENTS}{files[0]}")


def _record(machine: Machine, path: str) -> NodeRecord:
    return NodeRecord(
        name=machine.name, labels=machine.labels, taints=machine.taints, place=Place(path)
    )


def _like(machine: Machine, observed: Observed) -> Heartbeat | None:
    return next((beat for beat in observed.heartbeats if beat.node == machine.like), None)


def _heartbeat(machine: Machine, like: Heartbeat | None, now: datetime) -> Heartbeat:
    """What the machine would say first, with nothing running on it."""
    host = _host(machine, like.host if like else None)
    cards = [card for kind in machine.gpus for card in _cards(kind)]
    if like is not None and not machine.gpus:
        cards = [_idle(report, like) for report in like.gpus]
    gpus = (replace(c, uuid=_uuid(machine.name, i), index=i) for i, c in enumerate(cards))
    return Heartbeat(
        node=machine.name,
        incarnation=_INCARNATION,
        sequence=1,
        sent_at=now,
        agent=_INCARNATION,
        host=host,
        gpus=tuple(gpus),
    )


def _host(machine: Machine, like: HostReport | None) -> HostReport:
    return HostReport(
        os=machine.os or (like.os if like else "linux"),
        architecture=machine.architecture or (like.architecture if like else "amd64"),
        cpu_milli=_said(machine.cpu_milli, like.cpu_milli if like else 0),
        memory_mib=_said(machine.memory_mib, like.memory_mib if like else 0),
        disk_mib=_said(machine.disk_mib, like.disk_mib if like else 0),
        ports=(),
    )


def _said(own: int | None, other: int) -> int:
    return other if own is None else own


def _cards(card: Card) -> tuple[GpuReport, ...]:
    one = GpuReport(
        uuid=GpuUuid("GPU-0"),
        index=0,
        vendor=card.vendor,
        model=card.model,
        memory_mib=card.memory_mib,
        compute_capability=card.compute_capability or (),
        driver=card.driver or (),
        cuda=card.cuda or (),
    )
    return (one,) * card.count


def _idle(report: GpuReport, like: Heartbeat) -> GpuReport:
    """Make a card like this one with nothing on it but what its driver holds.

    The driver's part shows on the card of that model where the least is held.
    """
    alike = (one.foreign_mib for one in like.gpus if one.model == report.model)
    return GpuReport(
        uuid=report.uuid,
        index=report.index,
        vendor=report.vendor,
        model=report.model,
        memory_mib=report.memory_mib,
        foreign_mib=min(alike),
        compute_capability=report.compute_capability,
        driver=report.driver,
        cuda=report.cuda,
        parent=report.parent,
    )


def _uuid(node: NodeName, index: int) -> GpuUuid:
    return GpuUuid(f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{node}.supposed.invalid')}")
