"""How a new version comes in, and what becomes of replicas whose node falls silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from schemas.quantity import duration, format_duration
from schemas.shape import present


class UpdateStrategy(StrEnum):
    """Whether the new version is there before the old one goes."""

    STOP_FIRST = "stopFirst"
    START_FIRST = "startFirst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """A number, or a share of all in percent. Exactly one of them is given."""

    number: int | None = None
    percent: int | None = None

    def of(self, total: int, *, least: int = 0) -> int:
        """How many that is of `total`: a share is rounded down, and is at least `least`.

        Down, because both that are written so are limits: nobody may find them exceeded.
        """
        if self.percent is None:
            return self.number or 0
        return max(total * self.percent // 100, least)

    def __str__(self) -> str:
        return f"{self.percent}%" if self.percent is not None else str(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How a new version comes in.

    max_unavailable: how many replicas may be not ready at a time; of a share at least one.
    canary: how many get it first. soak: how long these have to be ready before the others follow.
    progress_deadline: how long a rollout may go on without another replica getting ready. Ten
        minutes: loading a model of some 100 GB from a disk takes less.
    max_failures: so many failed replicas end it before the deadline.
    rollback: whether a version that does not get ready gives way to the last good one.
    """

    strategy: UpdateStrategy = UpdateStrategy.STOP_FIRST
    max_unavailable: Portion = field(default=Portion(number=1))
    canary: int = 0
    soak: timedelta = timedelta(0)
    progress_deadline: timedelta = timedelta(minutes=10)
    max_failures: int = 1
    rollback: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """What happens to replicas whose node falls silent.

    lose_after: silence after which they count as gone; None: as the fleet's `timings.lost`.
    stop_after: how long their agent may be cut off before it stops them itself, so that never two
        copies of one run; None: it never does.
    replace: whether they are started elsewhere; None: unless volumes tie them to their node.
    """

    lose_after: timedelta | None = None
    stop_after: timedelta | None = None
    replace: bool | None = None


def read_portion(written: object) -> Portion:
    """Read `2` or `25%`, as checked against the schema."""
    if isinstance(written, int):
        return Portion(number=written)
    return Portion(percent=int(str(written).removesuffix("%")))


def write_portion(portion: Portion) -> int | str:
    """Write a portion as people do."""
    return str(portion) if portion.number is None else portion.number


def read_update(plain: Mapping[str, Any]) -> Update:
    """Read spec.update of a deployment."""
    given = {_FIELDS[key]: value for key, value in plain.items()}
    for name, read in _READERS.items():
        if name in given:
            given[name] = read(given[name])
    return Update(**given)


def write_update(update: Update) -> dict[str, Any]:
    """Write spec.update, without what equals the defaults."""
    usual = Update()
    plain = {
        key: None if getattr(update, name) == getattr(usual, name) else getattr(update, name)
        for key, name in _FIELDS.items()
    }
    written = {key: None if value is None else _written(value) for key, value in plain.items()}
    return {key: value for key, value in written.items() if value is not None}


def read_disconnect(plain: Mapping[str, Any]) -> Disconnect:
    """Read spec.disconnect of a deployment."""
    return Disconnect(
        lose_after=duration(plain["loseAfter"]) if "loseAfter" in plain else None,
        stop_after=duration(plain["stopAfter"]) if "stopAfter" in plain else None,
        replace=plain.get("replace"),
    )


def write_disconnect(disconnect: Disconnect) -> dict[str, Any]:
    """Write spec.disconnect, without what is not said."""
    lose, stop = disconnect.lose_after, disconnect.stop_after
    return present(
        {
            "loseAfter": None if lose is None else format_duration(lose),
            "stopAfter": None if stop is None else format_duration(stop),
        }
    ) | ({} if disconnect.replace is None else {"replace": disconnect.replace})


_FIELDS: Final = {
    "strategy": "strategy",
    "maxUnavailable": "max_unavailable",
    "canary": "canary",
    "soak": "soak",
    "progressDeadline": "progress_deadline",
    "maxFailures": "max_failures",
    "rollback": "rollback",
}
_READERS: Final = {
    "strategy": UpdateStrategy,
    "max_unavailable": read_portion,
    "soak": duration,
    "progress_deadline": duration,
}


def _written(value: object) -> Any:
    match value:
        case Portion():
            return write_portion(value)
        case timedelta():
            return format_duration(value)
        case UpdateStrategy():
            return value.value
        case _:
            return value
