"""What one decision did, read from the message of its commit. Pure.

Any trailer but `Source` and `Reason` is an event: `Placed: chat-0 on gpu-1`. So what a later
version tells in a trailer of its own is listed by this one too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fleet.port import Commit
from reconciler.observing.trailers import SOURCE, source_of, trailers
from schemas.names import split_replica

_REASON: Final = "Reason"
# What became of a deployment that not all nodes could be found for: a line of the body.
_VERDICT: Final = re.compile(r"(?P<name>\S+) is (?P<verdict>[a-z]+): (?P<why>.*)")
_WHERE: Final = ("on", "from", "to")
# Events that begin with replicas, and those that begin with a deployment or a node: the first may
# tell of `chat-2` as a replica of `chat`, the second never do. Of what is in neither nobody knows.
_OF_REPLICAS: Final = frozenset(
    {"placed", "moved", "changed", "removed", "waits", "granted", "rebalanced"}
)
_OF_OTHERS: Final = frozenset(
    {"rolling", "completed", "stalled", "rolled back", "held", "partial", "unplaced", "evacuated"}
)
# Reasons that begin with a replica, or may; see publishing.story and publishing.turns.
_OF_REPLICA: Final = re.compile(
    r"\S+ (?:could not stay on|has to stop on|waits no longer|needs a new grant on)\b"
)
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
        meant = _meant(events, reasons)
        events = tuple(one for one in events if name in _concerned(one, meant))
        reasons = tuple(one for one in reasons if name in _concerned_by(one, meant))
    subject = commit.message.partition("\n")[0]
    return Entry(commit, source_of(commit.message) or "", subject, events, reasons)


def _meant(events: Iterable[Event], reasons: Iterable[str]) -> frozenset[str]:
    """The words of a decision that name a deployment or a node, and so no replica.

    A deployment or a node may be called `chat-2`, which is a name that a replica of `chat` has too.
    """
    found = {_first(one.text) for one in events if one.what in _OF_OTHERS}
    for event in events:
        if event.what in _OF_REPLICAS:
            found |= {_owner(word) for word in _replicas(event.text)}
            found |= {word for before, word in _pairs(event.text) if before in _WHERE}
    return frozenset(found | {_first(one) for one in reasons if not _OF_REPLICA.match(one)})


def _concerned(event: Event, meant: frozenset[str]) -> set[str]:
    """Every name that an event says something of: as it stands, or of whom it is a replica."""
    if event.what in _OF_REPLICAS:
        return {*_words(event.text), *map(_owner, _replicas(event.text))}
    return _concerned_by(event.text, meant)


def _concerned_by(text: str, meant: frozenset[str]) -> set[str]:
    # What a sentence says of others, it says of them by their own names.
    first = _first(text)
    return {*_words(text), "" if first in meant else _owner(first)}


def _replicas(text: str) -> Iterator[str]:
    """The replicas of `chat-0 from a to b: +1.20` or `chat-0, chat-1 (gate)`."""
    for before, word in _pairs(text.partition(": ")[0]):
        if before not in _WHERE:
            yield word


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Each word, and the one before it."""
    words = _words(text)
    yield from zip(("", *words), words, strict=False)


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _first(text: str) -> str:
    return next(iter(_words(text)), "")


def _owner(word: str) -> str:
    """The deployment that a word is a replica of; empty: it is none."""
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
