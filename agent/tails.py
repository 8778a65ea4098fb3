"""Decides whose log is worth reading: only of a container that begins to fail. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.runtime.port import Container

# A replica seldom has more services, and one screen shows no more.
MOST_TAILS = 4
# As much as one text of a heartbeat may hold, less a line for what is cut off.
TAIL_CHARACTERS = 1900


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The masked end of one service's log, and the failure for which it was read.

    mark: names container and failure; a failure that goes on is no reason to read again.
    """

    service: str
    mark: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A container that fails now."""

    container: Container
    mark: str


def failures(
    containers: tuple[Container, ...], *, fallen: frozenset[str], kind: str, probe_fails: bool
) -> tuple[Failure, ...]:
    """The containers that fail, each with what names its failure.

    fallen: services that fell lately. kind: `fall`, or `loop` once that is a crash loop: the last
    lines are worth a second look then. probe_fails: whether one of the replica's probes does.
    """
    found = []
    for one in containers:
        why = kind if one.service in fallen or one.state in {"restarting", "dead"} else ""
        if not why and one.state in {"created", "exited"} and one.exit_code:
            why = "ended"
        if not why and one.health == "unhealthy":
            why = "unhealthy"
        if not why and probe_fails:
            why = "probe"
        if why:
            found.append(Failure(container=one, mark=f"{one.id} {why}"))
    return tuple(found[:MOST_TAILS])


def to_read(found: tuple[Failure, ...], known: tuple[Tail, ...]) -> tuple[Failure, ...]:
    """The failures whose logs were not read yet."""
    marks = {tail.mark for tail in known}
    return tuple(one for one in found if one.mark not in marks)


def kept(
    found: tuple[Failure, ...], known: tuple[Tail, ...], read: Mapping[str, str]
) -> tuple[Tail, ...]:
    """The tails of what fails now. read: masked texts that were read just now, by mark."""
    texts = {tail.mark: tail.text for tail in known} | dict(read)
    return tuple(
        Tail(service=one.container.service, mark=one.mark, text=texts[one.mark])
        for one in found
        if one.mark in texts
    )
