"""One thing that is so, or is not so, or that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition speaks of."""

    READY = "Ready"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    STALLED = "Stalled"
    PENDING = "Pending"
    HELD = "Held"
    LATE = "Late"
    LOST = "Lost"
    CORDONED = "Cordoned"
    DRAINING = "Draining"
    DISK_PRESSURE = "DiskPressure"
    HELD_DOWN = "HeldDown"


class Status(StrEnum):
    """Whether it is so."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition. reason: one word for programs; message: a clause for people.

    since: when it last became so; None: unknown.
    observed_revision: the commit of main whose version runs here, or, of a node's duty, the one
    that it was read from; empty where that cannot be told.
    """

    type: ConditionType
    status: Status
    reason: str
    message: str
    since: datetime | None = None
    observed_revision: str = ""


def is_true(conditions: tuple[Condition, ...], kind: ConditionType) -> bool:
    """Whether a condition is among these and is so."""
    return any(one.type is kind and one.status is Status.TRUE for one in conditions)


def camel(word: str) -> str:
    """Write a word of ours as conditions do: `massLoss` becomes `MassLoss`."""
    return word[:1].upper() + word[1:]
