"""Moments as machines write them: `2026-08-21T10:00:00Z`, always UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from schemas.quantity import BadQuantityError


def timestamp(written: object) -> datetime:
    """Read a moment.

    Raises:
        BadQuantityError: it is no moment, or not in UTC.
    """
    try:
        moment = datetime.fromisoformat(str(written))
    except ValueError as error:
        raise BadQuantityError(f"{written!r} is no moment", _FIX) from error
    if moment.tzinfo != UTC:
        raise BadQuantityError(f"{written!r} is not in UTC", _FIX)
    return moment


def format_timestamp(moment: datetime) -> str:
    """Write a moment in UTC, with as many digits as it needs.

    Raises:
        ValueError: it does not say in which time zone it is.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be written")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_FIX: Final = "write it like 2026-08-21T10:00:00Z"

FORMATS: Final[Mapping[str, Callable[[object], object]]] = {"miaas-time": timestamp}
