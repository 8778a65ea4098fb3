"""How a value is written into a file: as JSON where the file has a shape, as text elsewhere.

JSON is YAML too, and on one line it can stand wherever a YAML value can. What JSON allows and some
YAML reader does not is written as an escape, so that both always read the same text.
"""

from __future__ import annotations

import json
import re
from typing import Final

# Characters that YAML does not print, or takes for line breaks. JSON would let them stand.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# 1e+16 is a number in JSON and text in YAML 1.1, which wants the point.
_NO_POINT = re.compile(r"^(-?[0-9]+)(e[-+][0-9]+)$")


class UnwritableError(ValueError):
    """A value has no place in a file. The message says what it is and what to do."""


def as_json(value: object) -> str:
    """Write a value as JSON on one line that every YAML reader reads as the same value.

    Raises:
        UnwritableError: it is no text, number, truth value, list or map of such, or it is empty.
    """
    if isinstance(value, float):
        return _NO_POINT.sub(r"\1.0\2", _encode(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(_key(k))}: {as_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_json(item) for item in value) + "]"
    if value is not None and not isinstance(value, str | int):
        raise UnwritableError(
            f"a value of the kind {type(value).__name__} cannot be written; "
            "write text, a number, true, false, a list or a map"
        )
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", _encode(value))


def for_compose(value: object) -> object:
    """Double every `$` in the texts of a value, because Compose would take it for a variable."""
    if isinstance(value, str):
        return str(value).replace("$", "$$")
    if isinstance(value, dict):
        return {for_compose(key): for_compose(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [for_compose(item) for item in value]
    return value


def as_text(value: object) -> str:
    """Write a value into a file without a shape that we know, such as a shell script.

    Raises:
        UnwritableError: a list, a map or nothing, of which each kind of file has its own form.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    kind: Final = {"NoneType": "null", "dict": "a map", "list": "a list", "tuple": "a list"}
    name = kind.get(type(value).__name__, f"a value of the kind {type(value).__name__}")
    raise UnwritableError(f"{name} cannot be written here as it is; join its parts into text")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise UnwritableError(f"the key {key!r} of a map is no text; write it in quotes")
    return key


def _encode(value: object) -> str:
    if isinstance(value, str) and _LONE_SURROGATE.search(value):
        raise UnwritableError("half of a surrogate pair is no character; remove it")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise UnwritableError(f"{value!r} is no number that a file can hold; {error}") from error
