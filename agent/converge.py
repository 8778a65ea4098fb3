"""Decides what to do so that what runs becomes what was assigned. Pure; every act says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from agent.acts import Act, Down, Pull, RemoveContainer, RemoveVolumes, Up
from agent.content import ServiceWant
from agent.drift import STUCK, Stranger, spoiled
from agent.faults import faults, is_well
from agent.grants import ENDED
from agent.holding import NOTHING, Holding, Obstacle, leftovers, obstacles, wait_text
from agent.runtime.port import Container
from agent.turns import Turns, turns
from schemas.layout import project_name
from schemas.names import DeploymentName, NodeName, ReplicaName, TreeId, split_replica
from schemas.resources import Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A replica that should run. services None: its files cannot be used; it stays as it is.

    drift: whether it is made right again when it changes though nobody decided so.
    holding: what it is given of this host. epoch: of its grant; None: it needs none.
    """

    replica: ReplicaName
    deployment: DeploymentName
    tree: TreeId
    services: tuple[ServiceWant, ...] | None
    drift: Drift = Drift.HEAL
    epoch: int | None = None
    holding: Holding = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a listing cannot tell.

    present: replicas that were started and not yet removed, even where no container is left: their
        networks may be. Each with the tree that it last started from; empty: none did.
    held: what each of them may hold of this host; None: nobody knows.
    epochs: of the grant under which each was last started; 0: under none.
    halfway: those of which the last start did not go well, from whichever tree it was.
    interrupted: replicas of which an act began and never ended.
    waiting: replicas whose last try failed not long enough ago.
    strangers: containers in projects of ours that nobody assigned, by whoever looked last.
    removable: replicas whose volumes go with them: so said the last assignment that had them.
    """

    present: Mapping[ReplicaName, str] = field(default_factory=dict)
    held: Mapping[ReplicaName, Holding | None] = field(default_factory=dict)
    epochs: Mapping[ReplicaName, int] = field(default_factory=dict)
    halfway: frozenset[ReplicaName] = frozenset()
    interrupted: frozenset[ReplicaName] = frozenset()
    waiting: frozenset[ReplicaName] = frozenset()
    strangers: tuple[Stranger, ...] = ()
    removable: frozenset[ReplicaName] = frozenset()


Own: TypeAlias = Mapping[ReplicaName, tuple[Container, ...]]


def acts(
    node: NodeName,
    assigned: tuple[Wanted, ...],
    observed: tuple[Container, ...],
    remembered: Remembered,
) -> tuple[Act, ...]:
    """Say what to do, in order: removals first, which free ports and GPUs, then replica by replica.

    A replica that is as it should be gets no act. A container is ours only if its labels and its
    project agree on that; any other is left alone, whatever it claims.
    """
    own = own_containers(node, observed)
    wanted = {want.replica: want for want in assigned}
    gone = (set(own) | set(remembered.present)) - set(wanted) - remembered.waiting
    decided: list[Act] = [
        Down(
            replica=replica,
            project=project_name(node, replica),
            reason="the replica is no longer assigned",
        )
        for replica in sorted(gone)
    ]
    decided += [
        RemoveVolumes(
            replica=replica,
            project=project_name(node, replica),
            reason="the replica is no longer assigned, and was with `onRemove: delete`",
        )
        for replica in sorted(remembered.removable - set(wanted) - remembered.waiting)
    ]
    decided += _changes(node, wanted, own, remembered, frozenset(gone))
    return tuple(decided)


def delays(
    node: NodeName,
    assigned: tuple[Wanted, ...],
    observed: tuple[Container, ...],
    remembered: Remembered,
) -> Mapping[ReplicaName, str]:
    """Which replicas wait until another lets something go, and for whom, in words."""
    own = own_containers(node, observed)
    left = _leftovers(assigned, own, remembered)
    if not left:
        return {}
    found = {
        want.replica: wait_text(_obstacles(want, own, left))
        for want in assigned
        if _reason(want, own, remembered)
    }
    return {replica: text for replica, text in found.items() if text}


def _changes(
    node: NodeName,
    wanted: Mapping[ReplicaName, Wanted],
    own: Own,
    remembered: Remembered,
    gone: frozenset[ReplicaName],
) -> Iterator[Act]:
    """The acts on replicas that are to run. Who needs what another still holds comes after it."""
    reasons = {
        replica: _reason(want, own, remembered)
        for replica, want in wanted.items()
        if replica not in remembered.waiting
        and not is_left_alone(want, own.get(replica, ()), remembered)
    }
    left = _leftovers(tuple(wanted.values()), own, remembered)
    waits = {
        replica: frozenset(one.holder for one in _obstacles(wanted[replica], own, left))
        if reason
        else frozenset()
        for replica, reason in reasons.items()
    }
    row = turns(waits, gone)
    made = {
        replica: (
            *_evictions(node, wanted[replica], remembered),
            *_renewal(wanted[replica], own, remembered, reasons[replica], waits[replica]),
        )
        for replica in (*row.order, *row.circle)
    }
    for replica in row.order:
        yield from made[replica]
    if row.circle:
        yield from _around(node, row, made)


def _around(
    node: NodeName, row: Turns, made: Mapping[ReplicaName, tuple[Act, ...]]
) -> Iterator[Act]:
    """Change those that wait for each other: images first, then some stop, then each its turn."""
    for replica in row.circle:
        yield from (act for act in made[replica] if isinstance(act, Pull))
    for replica in row.yielding:
        yield Down(
            replica=replica,
            project=project_name(node, replica),
            reason="it holds what others need that hold what it needs",
            after=frozenset(row.circle),
        )
    for replica in row.circle:
        yield from (act for act in made[replica] if not isinstance(act, Pull))


def _leftovers(
    assigned: tuple[Wanted, ...], own: Own, remembered: Remembered
) -> Mapping[ReplicaName, Holding | None]:
    unlike = frozenset(want.replica for want in assigned if _is_unlike(want, own))
    given = {want.replica: want.holding for want in assigned}
    return leftovers(given, remembered.held, own, unlike)


def _obstacles(
    want: Wanted, own: Own, left: Mapping[ReplicaName, Holding | None]
) -> tuple[Obstacle, ...]:
    """Who still holds what a replica needs. Who runs from its files already has all of that."""
    has_it = want.replica in own and not _is_unlike(want, own)
    known = {name: held for name, held in left.items() if held is not None}
    return obstacles(want.replica, want.holding, known if has_it else left)


def _is_unlike(want: Wanted, own: Own) -> bool:
    """Whether any container was made from other files. Of files that cannot be used: no."""
    if want.services is None:
        return False
    hashes = {service.name: service.hash for service in want.services}
    containers = own.get(want.replica, ())
    return any(hashes.get(one.service) != one.content_hash for one in containers)


def is_left_alone(want: Wanted, containers: tuple[Container, ...], remembered: Remembered) -> bool:
    """Whether what differs in a replica is only told: it last started from these files, and well.

    What is fenced is not left where it has to start: who keeps it from running twice ends it, or a
    boot does, and nobody could tell that from a hand.
    """
    if want.services is None or want.drift is not Drift.REPORT:
        return want.services is None
    started = want.tree == remembered.present.get(want.replica)
    is_whole = want.replica not in remembered.interrupted | remembered.halfway
    return started and is_whole and not _has_to_start(want, containers, remembered)


def _has_to_start(want: Wanted, containers: tuple[Container, ...], remembered: Remembered) -> bool:
    """Whether a container ended that the fence looks after, or is missing under a new grant."""
    services = {service.name: service for service in want.services or ()}
    for one in containers:
        service = services.get(one.service)
        is_fenced = want.epoch is not None or one.stop_after is not None
        if is_fenced and one.state in ENDED and not (service and is_well(service, one)):
            return True
    if want.epoch is None or want.epoch == remembered.epochs.get(want.replica):
        return False
    there = {one.service for one in containers}
    return any(service.copies and service.name not in there for service in services.values())


def intruders(
    node: NodeName, replica: ReplicaName, strangers: tuple[Stranger, ...]
) -> tuple[Stranger, ...]:
    """The containers that were put into the project of a replica by hand.

    They go by the whole name of the project, which only an agent gives. Compose takes them for its
    own as well: the next change would remove them, or count them as copies of a service.
    """
    project = project_name(node, replica)
    return tuple(one for one in strangers if one.project == project)


def _evictions(node: NodeName, want: Wanted, remembered: Remembered) -> Iterator[Act]:
    for stranger in intruders(node, want.replica, remembered.strangers):
        yield RemoveContainer(
            replica=want.replica,
            tree=want.tree,
            container=stranger.id,
            reason=intruder_text(stranger),
        )


def intruder_text(stranger: Stranger) -> str:
    """Say that a container does not belong where it is."""
    return f"container {stranger.id[:12]} of {stranger.image} was put into the project by hand"


def _renewal(
    want: Wanted, own: Own, remembered: Remembered, reason: str, after: frozenset[ReplicaName]
) -> Iterator[Act]:
    """The acts that bring one replica to what it should be: images first, so that it serves on."""
    if not reason:
        return
    yield Pull(replica=want.replica, tree=want.tree, reason=reason)
    services = {service.name: service for service in want.services or ()}
    containers = own.get(want.replica, ())
    for container in containers:
        service = services.get(container.service)
        if container.state in STUCK or (service is not None and _is_spoiled(service, container)):
            yield RemoveContainer(
                replica=want.replica,
                tree=want.tree,
                container=container.id,
                reason=reason,
                after=after,
            )
    yield Up(
        replica=want.replica,
        tree=want.tree,
        reason=reason,
        after=after,
        adopts=bool(containers) and remembered.held.get(want.replica) is None,
    )


def _is_spoiled(service: ServiceWant, container: Container) -> bool:
    """Whether Compose would leave a container alone that has to be made anew."""
    return container.content_hash == service.hash and any(spoiled(service, container))


def own_containers(node: NodeName, observed: tuple[Container, ...]) -> Own:
    """Group the containers that are truly ours by replica.

    A label can be copied to a container by hand; only one that also stands in the project that
    the label implies was made by us.
    """
    own: dict[ReplicaName, tuple[Container, ...]] = {}
    for container in sorted(observed, key=lambda one: one.id):
        replica = ReplicaName(container.replica)
        if container.project == project_name(node, replica) and _is_sound(container):
            own[replica] = (*own.get(replica, ()), container)
    return own


def _is_sound(container: Container) -> bool:
    """Whether its labels could be of our making: a name of a replica, and the deployment in it."""
    try:
        deployment, _ = split_replica(container.replica)
    except ValueError:
        return False
    return deployment == container.deployment


def _reason(want: Wanted, own: Own, remembered: Remembered) -> str:
    """Why a replica needs an act; empty: it needs none."""
    if want.services is None:
        return ""
    containers = own.get(want.replica, ())
    if not containers and not remembered.present.get(want.replica):
        return "the replica is newly assigned"
    if want.replica in remembered.interrupted:
        return "the last act on it was interrupted"
    found = "; ".join(faults(want.services, containers))
    if not found and want.tree != remembered.present.get(want.replica):
        # Same content under a new tree id: a file changed that no service uses. Nothing to do.
        return ""
    return found
