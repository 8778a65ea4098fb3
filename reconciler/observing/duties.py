"""Since when main says of its nodes what it says, from what it said before. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Final, TypeAlias

from schemas.names import NodeName
from schemas.node import Duty, NodeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What main said of all its nodes, from a commit on until the next of a history.

    at: when that commit was made. is_first: main has none before it, so that what it says began
    with it; otherwise nobody knows whether the same was said before.
    """

    at: datetime
    is_first: bool
    records: Mapping[NodeName, NodeRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """Since when main says what it says of one node. None: unknown.

    admitted: that it is one of the fleet. cordoned: that it takes nothing new, for whatever
    reason, or that it takes work. draining: that it is to be emptied, or that it is not.
    """

    admitted: datetime | None = None
    cordoned: datetime | None = None
    draining: datetime | None = None


UNKNOWN: Final = Duties()

_Says: TypeAlias = Callable[[NodeRecord], bool]


def duties(history: Sequence[Words]) -> Mapping[NodeName, Duties]:
    """Say it of every node that the newest words name. history: newest first."""
    return {
        name: Duties(
            admitted=_since(history, name, _is_there),
            cordoned=_since(history, name, _takes_nothing_new),
            draining=_since(history, name, _is_to_be_emptied),
        )
        for name in (history[0].records if history else ())
    }


def _since(history: Sequence[Words], name: NodeName, says: _Says) -> datetime | None:
    """When main began to say of a node what it says now, as far as the history tells."""

    def said(words: Words) -> bool | None:
        record = words.records.get(name)
        return None if record is None else says(record)

    now = said(history[0])
    same = list(takewhile(lambda words: said(words) is now, history))
    is_known = len(same) < len(history) or same[-1].is_first
    return same[-1].at if is_known else None


def _is_there(_record: NodeRecord) -> bool:
    return True


def _takes_nothing_new(record: NodeRecord) -> bool:
    return record.suspend or record.duty is not Duty.ACTIVE


def _is_to_be_emptied(record: NodeRecord) -> bool:
    return record.duty is Duty.DRAINING
