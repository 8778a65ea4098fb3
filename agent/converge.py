"""Decides what to do so that what runs becomes what was assigned. Pure; every act says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from agent.content import ServiceWant
from agent.runtime.port import Container
from schemas.layout import project_name
from schemas.names import DeploymentName, NodeName, ReplicaName, TreeId, split_replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A replica that should run. services None: its files cannot be used; it stays as it is."""

    replica: ReplicaName
    deployment: DeploymentName
    tree: TreeId
    services: tuple[ServiceWant, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a listing cannot tell.

    present: replicas that were started and not yet removed, even where no container is left: their
        networks may be. Each with the tree that it last started from; empty: none did.
    interrupted: replicas of which an act began and never ended.
    waiting: replicas whose last try failed not long enough ago.
    """

    present: Mapping[ReplicaName, str] = field(default_factory=dict)
    interrupted: frozenset[ReplicaName] = frozenset()
    waiting: frozenset[ReplicaName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """Stop a replica and remove its containers and networks. Its volumes stay."""

    replica: ReplicaName
    project: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Bring the images of a replica while what runs goes on."""

    replica: ReplicaName
    tree: TreeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """Make a replica run from its files. Services that are as they should be are left alone."""

    replica: ReplicaName
    tree: TreeId
    reason: str


Act: TypeAlias = Down | Pull | Up

# Compose cannot start a container in one of these states: it has to be made anew.
STUCK = frozenset({"paused", "dead", "removing"})


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
    for replica, want in sorted(wanted.items()):
        reason = "" if replica in remembered.waiting else _reason(want, own, remembered)
        if reason:
            decided.extend(_renewal(node, want, own.get(replica, ()), reason))
    return tuple(decided)


def _renewal(
    node: NodeName, want: Wanted, containers: tuple[Container, ...], reason: str
) -> Iterator[Act]:
    """The acts that bring one replica to what it should be: images first, so that it serves on."""
    yield Pull(replica=want.replica, tree=want.tree, reason=reason)
    if any(container.state in STUCK for container in containers):
        project = project_name(node, want.replica)
        yield Down(replica=want.replica, project=project, reason=reason)
    yield Up(replica=want.replica, tree=want.tree, reason=reason)


def own_containers(
    node: NodeName, observed: tuple[Container, ...]
) -> Mapping[ReplicaName, tuple[Container, ...]]:
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


def faults(services: tuple[ServiceWant, ...], containers: tuple[Container, ...]) -> Iterator[str]:
    """Say everything in which the containers of a replica are not what they should be."""
    by_service: dict[str, list[Container]] = {}
    for container in containers:
        by_service.setdefault(container.service, []).append(container)
    for service in services:
        yield from _service_faults(service, by_service.pop(service.name, []))
    for name in sorted(by_service):
        yield f"service {name} is no longer part of it"


def _reason(
    want: Wanted, own: Mapping[ReplicaName, tuple[Container, ...]], remembered: Remembered
) -> str:
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


def _service_faults(service: ServiceWant, containers: list[Container]) -> Iterator[str]:
    """Say in what one service is not as it should be."""
    if any(container.content_hash != service.hash for container in containers):
        yield f"content of service {service.name} changed"
    elif not containers and service.copies:
        yield f"service {service.name} is missing"
    elif len(containers) != service.copies:
        yield f"service {service.name} has {len(containers)} containers, {service.copies} wanted"
    for container in containers:
        if container.content_hash == service.hash and not is_well(service, container):
            yield f"service {service.name} is {state_text(container)}"


def is_well(service: ServiceWant, container: Container) -> bool:
    """Whether a container is in a state in which it may be left alone.

    `restarting` is Docker's own healing at work; a second healer would only fight it.
    """
    if container.state in {"running", "restarting"}:
        return True
    return service.finishes and container.state == "exited" and container.exit_code == 0


def state_text(container: Container) -> str:
    """A container's state in words, with its exit code where it has one."""
    if container.exit_code is None or container.state == "running":
        return container.state
    return f"{container.state} with code {container.exit_code}"
