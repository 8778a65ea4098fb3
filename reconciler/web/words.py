"""Numbers and times in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_STEPS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_GIB: Final = 1024


def span(duration: timedelta) -> str:
    """Say a duration in its largest whole unit: `90 seconds` as `1 minute`."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in _STEPS:
        if seconds >= size:
            return count(seconds // size, unit)
    return "0 seconds"


def exactly(duration: timedelta) -> str:
    """Say a duration in the largest unit that leaves nothing over: `90 seconds`, `5 minutes`."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in _STEPS:
        if seconds and seconds % size == 0:
            return count(seconds // size, unit)
    return "0 seconds"


def age(then: datetime | None, now: datetime) -> str:
    """Say how long ago it was. Under two seconds, and the future, count as now; None as never."""
    if then is None:
        return "never"
    if now - then < timedelta(seconds=2):
        return "just now"
    return f"{span(now - then)} ago"


def utc(then: datetime) -> str:
    """Write a moment for people, absolute: `2026-01-05 12:00:00 UTC`."""
    return f"{then:%Y-%m-%d %H:%M:%S} UTC"


def iso(then: datetime) -> str:
    """Write a moment for machines: `2026-01-05T12:00:00Z`."""
    return f"{then:%Y-%m-%dT%H:%M:%SZ}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: `1 node`, `2 nodes`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def memory(mib: int) -> str:
    """Write an amount of memory or disk: `512 MiB`, `44.9 GiB`, `2 TiB`."""
    for size, unit in ((_GIB * _GIB, "TiB"), (_GIB, "GiB")):
        if mib >= size:
            return f"{mib / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{mib} MiB"


def cores(milli: int) -> str:
    """Write an amount of processor: `16 cores`, `0.5 cores`."""
    number = thousandths(milli)
    return f"{number} {'core' if number == '1' else 'cores'}"


def thousandths(milli: int) -> str:
    """Write an amount in thousandths as a number: 1500 as `1.5`, 16000 as `16`."""
    return f"{milli / 1000:.2f}".rstrip("0").rstrip(".")


def enumerate_names(names: tuple[str, ...], limit: int = 4) -> str:
    """Write names as a sentence does, at most `limit` of them: `a, b and 3 more`."""
    if len(names) > limit:
        return f"{', '.join(names[: limit - 1])} and {len(names) - limit + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
