"""Views as plain JSON values: fields in camel case, times in UTC, states as their words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from reconciler.web.words import iso


def plain(value: object) -> object:
    """Turn a view, or a part of one, into what `json.dumps` takes.

    Raises:
        TypeError: there is no JSON for such a value.
    """
    match value:
        case StrEnum():
            return value.value
        case None | str() | bool() | int() | float():
            return value
        case tuple() | list():
            return [plain(item) for item in value]
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case datetime():
            return iso(value)
        case _:
            if not dataclasses.is_dataclass(value):
                raise TypeError(f"no JSON for a {type(value).__name__}")
            kind: Any = type(value)
            return {key: plain(getattr(value, name)) for name, key in fields_of(kind)}


@cache
def fields_of(kind: Any) -> tuple[tuple[str, str], ...]:
    """List the public fields of a kind of view: the name here and the name in JSON."""
    return tuple(
        (field.name, camel(field.name)) for field in dataclasses.fields(kind) if field.repr
    )


def camel(name: str) -> str:
    """Write a field's name as JSON does: `last_error` becomes `lastError`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def dumps(value: object) -> str:
    """Write a view as JSON text, two blanks of indent, final newline."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"
