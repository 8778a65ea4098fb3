"""What a replica holds on its host, and who has to wait until another lets go of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.assignment import AssignedReplica
from schemas.names import ReplicaName
from schemas.resources import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Host ports, and MiB of memory by UUID of the GPU.

    sharing: whether anybody else may be on these GPUs.
    """

    ports: tuple[int, ...] = ()
    gpus: Mapping[str, int] = field(default_factory=dict)
    sharing: Sharing = Sharing.SHARED


# Needs nothing that anybody else could hold.
NOTHING = Holding()


def holding_of(replica: AssignedReplica) -> Holding:
    """What a replica was given."""
    return Holding(
        ports=tuple(sorted(replica.ports.values())),
        gpus={share.uuid: share.memory_mib for share in replica.gpus},
        sharing=replica.sharing if replica.gpus else Sharing.SHARED,
    )


def holding_from_json(value: dict[str, Any] | None) -> Holding | None:
    """Read what `asdict` made of a holding.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    if value is None:
        return None
    sharing = Sharing(value["sharing"])
    return Holding(ports=tuple(value["ports"]), gpus=dict(value["gpus"]), sharing=sharing)


def merged(one: Holding | None, other: Holding | None) -> Holding | None:
    """What a replica may hold that is on its way from one to the other. None: nobody knows."""
    if one is None or other is None:
        return None
    gpus = {
        uuid: max(one.gpus.get(uuid, 0), other.gpus.get(uuid, 0))
        for uuid in sorted({*one.gpus, *other.gpus})
    }
    whole = Sharing.EXCLUSIVE in {one.sharing, other.sharing}
    return Holding(
        ports=tuple(sorted({*one.ports, *other.ports})),
        gpus=gpus,
        sharing=Sharing.EXCLUSIVE if whole else Sharing.SHARED,
    )


def excess(held: Holding, given: Holding) -> Holding:
    """What of a holding goes beyond what is given by now."""
    if held == given:
        return NOTHING
    was_whole = held.sharing is Sharing.EXCLUSIVE and given.sharing is Sharing.SHARED
    gpus = {
        uuid: mib
        for uuid, mib in held.gpus.items()
        if uuid not in given.gpus or mib > given.gpus[uuid] or was_whole
    }
    ports = tuple(port for port in held.ports if port not in given.ports)
    return replace(held, ports=ports, gpus=gpus) if ports or gpus else NOTHING


def in_the_way(needed: Holding, left: Holding | None) -> str:
    """Say what is needed and still held by somebody whom it was taken from; empty: nothing.

    Memory that is still held counts like the whole GPU: nobody here knows how large that is.
    """
    if needed == NOTHING:
        return ""
    if left is None:
        return "of which nobody knows what it holds"
    ports = [f"port {port}" for port in needed.ports if port in left.ports]
    gpus = [f"GPU {uuid}" for uuid in needed.gpus if uuid in left.gpus]
    return f"which still holds {', '.join((*ports, *gpus))}" if ports or gpus else ""


def leftovers(
    given: Mapping[ReplicaName, Holding],
    held: Mapping[ReplicaName, Holding | None],
    running: Iterable[ReplicaName],
    unlike: frozenset[ReplicaName],
) -> Mapping[ReplicaName, Holding | None]:
    """What replicas still hold beyond what they are given. None: nobody knows what.

    given: to each that is to run. running: those of which any container is left. unlike: those
    that run from other files than they are to. Of whom nobody knows what it holds, and who runs
    from the files that it is to, is believed to hold what it is given.
    """
    found: dict[ReplicaName, Holding | None] = {}
    for replica in running:
        holding = held.get(replica)
        if replica not in given or (holding is None and replica in unlike):
            found[replica] = holding
        elif holding is not None:
            found[replica] = excess(holding, given[replica])
    return {replica: left for replica, left in found.items() if left != NOTHING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Another replica that still holds what is needed. what: as a relative clause."""

    holder: ReplicaName
    what: str


def obstacles(
    replica: ReplicaName, needed: Holding, leftovers: Mapping[ReplicaName, Holding | None]
) -> tuple[Obstacle, ...]:
    """Who still holds what a replica needs, sorted by name.

    leftovers: what each replica holds beyond what it is given; None: nobody knows.
    """

    def found() -> Iterator[Obstacle]:
        for holder, left in sorted(leftovers.items()):
            what = in_the_way(needed, left) if holder != replica else ""
            if what:
                yield Obstacle(holder=holder, what=what)

    return tuple(found())


def wait_text(found: tuple[Obstacle, ...]) -> str:
    """Say whom a replica waits for; empty: for nobody."""
    parts = [f"{one.holder}, {one.what}" for one in found]
    return f"waits for {' and for '.join(parts)}" if parts else ""
