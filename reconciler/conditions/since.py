"""Since when what was decided is so, from the messages of the decisions' commits. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Final, Protocol, TypeAlias

from reconciler.observing.trailers import trailers
from schemas.assignment import Phase

# The trailer of each phase in which it begins; see reconciler.publishing.turns.
PHASE_TRAILERS: Final[Mapping[Phase, str]] = {
    Phase.SETTLED: "Completed",
    Phase.ROLLING: "Rolling",
    Phase.STALLED: "Stalled",
    Phase.ROLLED_BACK: "Rolled-Back",
}
WAITS: Final = "Waits"
_WAITING: Final = re.compile(r"(?P<replicas>.+) \((?P<reason>\w+)\)")
FAILED: Final = (Phase.STALLED, Phase.ROLLED_BACK)
_HELD: Final = "Held"
_REASON: Final = "Reason"
_TOO_FEW: Final = re.compile(r"(?P<name>\S+) finds too few nodes")
# What became of a replica on a node, or on two; see reconciler.publishing.story.
_TOUCHED: Final = frozenset({"Placed", "Changed", "Moved", "Removed"})
_WHERE: Final = ("on", "from", "to")
# The last line of a list that was cut short.
_MORE: Final = re.compile(r"and [0-9]+ more")

_Trailers: TypeAlias = tuple[tuple[str, str], ...]
_Pair: TypeAlias = tuple[str, str]


class Told(Protocol):
    """A commit, as far as it is needed here."""

    @property
    def message(self) -> str:
        """All of it."""

    @property
    def at(self) -> datetime:
        """When it was made."""

    @property
    def parents(self) -> Sequence[str]:
        """Nothing: it is the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Since when. What is in none of these is not known.

    phases: of a deployment. sound: a deployment of which no rollout failed since then.
    waits: a replica for a reason of a hold. told: of a replica a node was told something else.
    held: a deployment whose documents are broken. unplaced: one that finds too few nodes.
    """

    phases: Mapping[tuple[str, Phase], datetime] = field(default_factory=dict)
    sound: Mapping[str, datetime] = field(default_factory=dict)
    waits: Mapping[_Pair, datetime] = field(default_factory=dict)
    told: Mapping[_Pair, datetime] = field(default_factory=dict)
    held: Mapping[str, datetime] = field(default_factory=dict)
    unplaced: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Log:
    """What decisions told, and when, newest first. is_whole: nothing was before the last one."""

    told: tuple[tuple[datetime, _Trailers], ...]
    is_whole: bool

    def until_cut(self, keys: Collection[str]) -> _Log:
        """All up to a list that was cut short: what is older may have been told anew in it."""
        number = next((n for n, (_, one) in enumerate(self.told) if _is_cut(one, keys)), None)
        return self if number is None else _Log(self.told[: number + 1], is_whole=False)


def since_when(log: Sequence[Told]) -> Since:
    """Read a log of decisions, newest first, that ends with the first one or at a limit."""
    told = tuple((commit.at, tuple(trailers(commit.message))) for commit in log)
    whole = _Log(told, is_whole=bool(log) and not log[-1].parents)
    turns = whole.until_cut(PHASE_TRAILERS.values())
    found = _turns(turns)
    return Since(
        phases={(name, phases[0][0]): phases[0][1] for name, phases in found.items()},
        sound=_sound(found, turns),
        waits=_newest(whole.until_cut({WAITS}), _waits),
        told=_newest(whole.until_cut(_TOUCHED), _touched),
        held=_unbroken(whole, _HELD, _held),
        unplaced=_unbroken(whole, _REASON, _too_few),
    )


_Turns: TypeAlias = Mapping[str, Sequence[tuple[Phase, datetime]]]


def _turns(log: _Log) -> _Turns:
    """The phases that deployments turned to, newest first."""
    by_trailer = {trailer: phase for phase, trailer in PHASE_TRAILERS.items()}
    found: dict[str, list[tuple[Phase, datetime]]] = {}
    for at, told in log.told:
        for key, name in told:
            if key in by_trailer and not _MORE.fullmatch(name):
                found.setdefault(name, []).append((by_trailer[key], at))
    return found


def _sound(turns: _Turns, log: _Log) -> Mapping[str, datetime]:
    """When the last rollout that failed was over, or the first one began."""
    found: dict[str, datetime] = {}
    for name, all_of_it in turns.items():
        well = tuple(takewhile(lambda turn: turn[0] not in FAILED, all_of_it))
        if well and (len(well) < len(all_of_it) or log.is_whole):
            found[name] = well[-1][1]
    return found


def _newest(log: _Log, read: Callable[[_Trailers], Iterator[_Pair]]) -> Mapping[_Pair, datetime]:
    """When something was told last."""
    found: dict[_Pair, datetime] = {}
    for at, told in log.told:
        for pair in read(told):
            found.setdefault(pair, at)
    return found


def _waits(told: _Trailers) -> Iterator[_Pair]:
    for key, value in told:
        if key == WAITS and (found := _WAITING.fullmatch(value)):
            for replica in found["replicas"].split(", "):
                yield replica, found["reason"]


def _touched(told: _Trailers) -> Iterator[_Pair]:
    for key, value in told:
        if key in _TOUCHED:
            replica, *rest = value.split()
            # Word and name take turns: `from alpha to beta`.
            pairs = zip(rest[::2], rest[1::2], strict=False)
            yield from ((replica, node) for word, node in pairs if word in _WHERE)


def _held(told: _Trailers) -> Iterator[str]:
    return (value for key, value in told if key == _HELD)


def _too_few(told: _Trailers) -> Iterator[str]:
    found = (_TOO_FEW.fullmatch(value) for key, value in told if key == _REASON)
    return (one["name"] for one in found if one)


def _unbroken(
    log: _Log, key: str, read: Callable[[_Trailers], Iterator[str]]
) -> Mapping[str, datetime]:
    """When names began to stand in every decision since. Where that cannot be told, nothing."""
    named = [frozenset(read(told)) for _, told in log.told]
    found: dict[str, datetime] = {}
    for name in named[0] if named else ():
        length = next((n for n, names in enumerate(named) if name not in names), len(named))
        is_broken = length < len(named) and not _is_cut(log.told[length][1], {key})
        if is_broken or (length == len(named) and log.is_whole):
            found[name] = log.told[length - 1][0]
    return found


def _is_cut(told: _Trailers, keys: Collection[str]) -> bool:
    return any(key in keys and _MORE.fullmatch(value) for key, value in told)
