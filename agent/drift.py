"""In what a container is no longer as it was made, though Compose would not see it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from agent.content import ServiceWant
from agent.runtime.port import Container, Limits

# Compose cannot start a container in one of these states: it has to be made anew.
STUCK = frozenset({"paused", "dead", "removing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A container in a project of ours that no agent put there."""

    id: str
    project: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the last thorough look found amiss.

    limits: by container, where others are wanted. contents: the content hashes of those containers.
    vain: what the engine makes of a content however often, by hash, where other limits are wanted.
    """

    limits: Mapping[str, Limits] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    vain: Mapping[str, Limits] = field(default_factory=dict)
    strangers: tuple[Stranger, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.limits or self.strangers)


# To make a container anew for a thousandth of a core is worse than to let it have that.
_SAME_MILLI = 1
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def spoiled(service: ServiceWant, container: Container) -> Iterator[str]:
    """Say why a container has to be made anew though its description is right."""
    if container.state in STUCK:
        yield f"is {container.state}"
    yield from _cut_off(service, container)
    yield from limits_changed(service, container)


def limits_changed(service: ServiceWant, container: Container) -> Iterator[str]:
    """Say which limits are others than wanted. Where nobody looked there is nothing to say."""
    if service.limits is None or container.limits is None:
        return
    has, wanted = container.limits, service.limits
    yield from _amount("memory", has.memory_bytes, wanted.memory_bytes, _bytes)
    cpu_milli = _nearly(has.cpu_milli, wanted.cpu_milli)
    yield from _amount("CPU", cpu_milli, wanted.cpu_milli, _cores)
    yield from _amount("processes", has.pids, wanted.pids, _processes)
    if has.cpus is not None and has.cpus != wanted.cpus:
        yield f"is kept to the cores {has.cpus or 'none'}, {wanted.cpus or 'any'} wanted"
    if has.restart != wanted.restart:
        yield f"has the restart policy {has.restart}, {wanted.restart} wanted"


def in_vain(
    before: Findings, containers: tuple[Container, ...], deviating: Mapping[str, Limits]
) -> Mapping[str, Limits]:
    """What the engine makes of which content though other limits are wanted, by content hash.

    A container that was made anew and has again what the last one had will have it the next time.

    Args:
        before: what the look before this one found.
        containers: those that are there now.
        deviating: their limits, where others are wanted, by container.
    """
    here = {one.id for one in containers}
    gone = {
        (before.contents.get(name), limits)
        for name, limits in before.limits.items()
        if name not in here
    }
    found = {}
    for one in containers:
        limits = deviating.get(one.id)
        again = one.id not in before.limits and (one.content_hash, limits) in gone
        if limits is not None and (again or before.vain.get(one.content_hash) == limits):
            found[one.content_hash] = limits
    return found


def vain_texts(
    services: tuple[ServiceWant, ...], containers: tuple[Container, ...], vain: Mapping[str, Limits]
) -> Iterator[str]:
    """Say which limits stay others than wanted, whatever is done about it."""
    known = {service.name: service for service in services}
    for one in containers:
        service = known.get(one.service)
        if service is not None and service.hash == one.content_hash and service.hash in vain:
            for told in limits_changed(service, replace(one, limits=vain[service.hash])):
                yield f"service {service.name} {told}, also after it was made anew"


def without_limits(containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """The same containers, as if nobody had asked for their limits."""
    return tuple(replace(one, limits=None) if one.limits else one for one in containers)


def _nearly(has: int | None, wanted: int | None) -> int | None:
    """The amount that is there, or the wanted one where it is the same but for its rounding."""
    if has and wanted and abs(has - wanted) <= _SAME_MILLI:
        return wanted
    return has


def _cut_off(service: ServiceWant, container: Container) -> Iterator[str]:
    # One that does not run is connected when it starts, and looked at then.
    if container.networks is not None and container.state == "running":
        for network in sorted(set(service.networks) - set(container.networks)):
            yield f"is cut off from the network {network}"


def _amount(
    what: str, has: int | None, wanted: int | None, told: Callable[[int], str]
) -> Iterator[str]:
    """Say how a limit differs. None: the engine keeps no such limits, and nothing differs."""
    if has is None or wanted is None or has == wanted:
        return
    if has and wanted:
        yield f"has {told(has)}, {told(wanted)} wanted"
    elif has:
        yield f"has {told(has)}, no limit of {what} wanted"
    else:
        yield f"has no limit of {what}, {told(wanted)} wanted"


def _bytes(amount: int) -> str:
    for size, unit in _UNITS:
        if amount >= size and not amount * 10 % size:
            return f"{amount / size:g} {unit}"
    return f"{amount} bytes"


def _processes(most: int) -> str:
    return f"{most} processes"


def _cores(milli: int) -> str:
    return f"{milli / 1000:g} cores"
