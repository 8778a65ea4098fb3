"""What one decision did, read from the message of its commit. Pure.

Any trailer but `Source` and `Reason` is an event: `Placed: chat-0 on gpu-1`. So what a later
version tells in a trailer of its own is listed by this one too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fleet.port import Commit
from reconciler.observing.trailers import SOURCE, source_of, trailers
from schemas.names import split_replica

_REASON: Final = "Reason"
# What became of a deployment that not all nodes could be found for: a line of the body.
_VERDICT: Final = re.compile(r"(?P<name>\S+) is (?P<verdict>[a-z]+): (?P<why>.*)")
_WHERE: Final = ("on", "from", "to")
_WORD: Final = re.compile(r"[^\s,:]+")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a decision did. what: `placed`, `moved`, `held`... text: to what."""

    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision. source: the commit it was made from; empty: it says none."""

    commit: Commit
    source: str
    subject: str
    events: tuple[Event, ...]
    reasons: tuple[str, ...]


def entry_of(commit: Commit, name: str = "") -> Entry:
    """Read a decision's commit; with a name, only what concerns that deployment, replica or node.

    A list that its commit cut short may hide something: the decision itself has it all.
    """
    told = tuple(trailers(commit.message))
    events = (*_trailed(told), *_verdicts(commit.message))
    reasons = tuple(value for key, value in told if key == _REASON)
    if name:
        events = tuple(event for event in events if concerns(event.text, name))
        reasons = tuple(reason for reason in reasons if concerns(reason, name))
    subject = commit.message.partition("\n")[0]
    return Entry(commit, source_of(commit.message) or "", subject, events, reasons)


def concerns(text: str, name: str) -> bool:
    """Whether a text names a deployment, one of its replicas, a replica or a node."""
    words = _WORD.findall(text)
    # A node may be called gpu-1, and is no replica of a deployment gpu.
    return any(
        word == name or (before not in _WHERE and _owner(word) == name)
        for before, word in zip(("", *words), words, strict=False)
    )


def _owner(word: str) -> str:
    try:
        return split_replica(word)[0]
    except ValueError:
        return ""


def _trailed(told: tuple[tuple[str, str], ...]) -> Iterator[Event]:
    for key, value in told:
        if key not in (SOURCE, _REASON):
            yield Event(key.lower().replace("-", " "), value)


def _verdicts(message: str) -> Iterator[Event]:
    body = message.partition("\n")[2].rpartition("\n\n")[0]
    for line in body.splitlines():
        if (found := _VERDICT.fullmatch(line)) and found["verdict"] != "held":
            yield Event(found["verdict"], f"{found['name']}: {found['why']}")
