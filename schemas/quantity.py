"""Amounts as people write them: `16GiB`, `500m`, `90s`; and as the code counts them.

Units are always written. `16` of memory could be bytes, MiB or GiB, and a guess would be wrong for
somebody; `16G` and `16GB` mean different things to different tools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

# No host has more. The bounds keep sums far inside 64 bits, and turn a slipped zero into a message.
MEMORY_MAX_MIB: Final = 1024 * 1024 * 1024  # 1024TiB
CPU_MAX_MILLI: Final = 4096 * 1000
DURATION_MAX: Final = timedelta(days=30)

_MEMORY = re.compile(r"(?P<number>[0-9]{1,10}(?:\.[0-9]{1,6})?)(?P<unit>[KMGT]iB)\Z")
_LOOSE_MEMORY = re.compile(
    r"(?P<number>[0-9]{1,10}(?:\.[0-9]{1,6})?) ?(?P<unit>[kmgt])i?b?\Z", re.IGNORECASE
)
_CPU = re.compile(r"(?P<number>[0-9]{1,4}(?:\.[0-9]{1,6})?)\Z|(?P<milli>[0-9]{1,7})m\Z")
_DURATION = re.compile(r"(?P<number>[0-9]{1,7})(?P<unit>[smhd])\Z")

_MIB: Final = {"MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class BadQuantityError(ValueError):
    """An amount that cannot be used: what is wrong with it, and the fix."""

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}. Fix: {fix}")


def memory_mib(written: object) -> int:
    """Read memory or disk, `512MiB`, `1.5GiB`, `2TiB`, as MiB.

    Raises:
        BadQuantityError: no unit, another unit, not a whole number of MiB, or too much.
    """
    text = str(written)
    found = _MEMORY.match(text)
    if found is None or found["unit"] == "KiB":
        raise BadQuantityError(f"{text!r} is no amount of memory or disk", _memory_fix(text))
    amount = Decimal(found["number"]) * _MIB[found["unit"]]
    if amount != int(amount):
        raise BadQuantityError(f"{text!r} is no whole number of MiB", f"write {int(amount) + 1}MiB")
    if amount > MEMORY_MAX_MIB:
        raise BadQuantityError(f"{text!r} is more than any host has", "write at most 1024TiB")
    return int(amount)


def format_memory(mib: int) -> str:
    """Write MiB with the largest unit that keeps the number whole: 2048 -> `2GiB`."""
    for unit in ("TiB", "GiB"):
        if mib and mib % _MIB[unit] == 0:
            return f"{mib // _MIB[unit]}{unit}"
    return f"{mib}MiB"


def cpu_milli(written: object) -> int:
    """Read processor cores, `2`, `1.5` or `500m`, as thousandths of a core.

    Raises:
        BadQuantityError: not an amount of cores, finer than a thousandth, or too much.
    """
    text = _plain_number(written)
    found = _CPU.match(text)
    if found is None:
        raise BadQuantityError(
            f"{text!r} is no number of cores", "write cores like 2 or 1.5, or thousandths like 500m"
        )
    amount = Decimal(found["milli"]) if found["milli"] else Decimal(found["number"]) * 1000
    if amount != int(amount):
        raise BadQuantityError(
            f"{text!r} is finer than a thousandth of a core", f"write {int(amount) + 1}m"
        )
    if amount > CPU_MAX_MILLI:
        raise BadQuantityError(f"{text!r} is more than any host has", "write at most 4096 cores")
    return int(amount)


def format_cpu(milli: int) -> int | str:
    """Write thousandths of a core: whole cores as a number, all else as `500m`."""
    return milli // 1000 if milli % 1000 == 0 else f"{milli}m"


def duration(written: object) -> timedelta:
    """Read a duration in one unit: `90s`, `5m`, `2h`, `1d`.

    Raises:
        BadQuantityError: no unit, another unit, or longer than 30 days.
    """
    text = str(written)
    found = _DURATION.match(text)
    if found is None:
        raise BadQuantityError(f"{text!r} is no duration", _duration_fix(text))
    seconds = int(found["number"]) * _SECONDS[found["unit"]]
    if seconds > DURATION_MAX.total_seconds():
        raise BadQuantityError(f"{text!r} is longer than 30 days", "write at most 30d")
    return timedelta(seconds=seconds)


def format_duration(span: timedelta) -> str:
    """Write whole seconds with the largest unit that keeps the number whole: 300 s -> `5m`."""
    seconds = int(span.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def _memory_fix(text: str) -> str:
    found = _LOOSE_MEMORY.match(text)
    if found is None or found["unit"] in "kK":
        return "write a number with MiB, GiB or TiB, like 512MiB or 16GiB"
    return f"write {found['number']}{found['unit'].upper()}iB"


def _duration_fix(text: str) -> str:
    if text.isascii() and text.isdigit():
        return f"write {text}s if these are seconds"
    return "write a whole number with s, m, h or d, like 90s or 5m"


def _plain_number(written: object) -> str:
    # A float prints as 1e-05 below a ten-thousandth, and the message should show decimals.
    return format(Decimal(repr(written)), "f") if isinstance(written, float) else str(written)


# The names by which a schema's `format` calls them.
FORMATS: Final[Mapping[str, Callable[[object], object]]] = {
    "miaas-memory": memory_mib,
    "miaas-cpu": cpu_milli,
    "miaas-duration": duration,
}
