"""Since when what was decided is so, from the messages of the decisions' commits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

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
_HELD: Final = "Held"
_TOO_FEW: Final = re.compile(r"(?P<name>\S+) finds too few nodes")


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

    phases: of a deployment. waits: a replica for a reason of a hold. held: a deployment whose
    documents are broken. unplaced: one that finds too few nodes.
    """

    phases: Mapping[tuple[str, Phase], datetime] = field(default_factory=dict)
    waits: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    held: Mapping[str, datetime] = field(default_factory=dict)
    unplaced: Mapping[str, datetime] = field(default_factory=dict)


def since_when(log: Sequence[Told]) -> Since:
    """Read a log of decisions, newest first, that ends with the first one or at a limit."""
    phases: dict[tuple[str, Phase], datetime] = {}
    waits: dict[tuple[str, str], datetime] = {}
    held: list[frozenset[str]] = []
    unplaced: list[frozenset[str]] = []
    turned: set[str] = set()
    for commit in log:
        told = tuple(trailers(commit.message))
        for phase, name in _phases(told):
            if name not in turned:
                turned.add(name)
                phases[name, phase] = commit.at
        for key in _waits(told):
            waits.setdefault(key, commit.at)
        held.append(frozenset(value for key, value in told if key == _HELD))
        found = (_TOO_FEW.fullmatch(value) for _, value in told)
        unplaced.append(frozenset(one["name"] for one in found if one))
    return Since(
        phases=phases, waits=waits, held=_unbroken(held, log), unplaced=_unbroken(unplaced, log)
    )


def _phases(told: Iterable[tuple[str, str]]) -> Iterable[tuple[Phase, str]]:
    by_trailer = {trailer: phase for phase, trailer in PHASE_TRAILERS.items()}
    return ((by_trailer[key], value) for key, value in told if key in by_trailer)


def _waits(told: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for key, value in told:
        if key == WAITS and (found := _WAITING.fullmatch(value)):
            for replica in found["replicas"].split(", "):
                yield replica, found["reason"]


def _unbroken(named: list[frozenset[str]], log: Sequence[Told]) -> Mapping[str, datetime]:
    """When names began to stand in every commit since. Where the log ends before, nobody knows."""
    found: dict[str, datetime] = {}
    for name in named[0] if named else ():
        length = next((n for n, names in enumerate(named) if name not in names), len(named))
        if length < len(named) or not log[-1].parents:
            found[name] = log[length - 1].at
    return found
