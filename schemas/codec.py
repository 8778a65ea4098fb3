"""Documents of machines: dataclass to JSON and back, after the fields of the dataclass.

A field that equals its default is not written. So a new optional field changes no document that
does not use it, and a newer reconciler makes no commit in a fleet where nothing changed.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import (
    Any,
    Final,
    NewType,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from schemas.check import Finding, check_named, known_part
from schemas.layout import API_VERSION
from schemas.problem import BadDocumentError, Place, Problem
from schemas.timestamps import format_timestamp, timestamp

T = TypeVar("T")
Reader: TypeAlias = Callable[[Any], Any]

# 1,000 replicas and 5,000 images take about 1 MiB; a decision over 500 nodes a few.
BYTES_MAX: Final = 16 * 1024 * 1024
PROBLEMS_MAX: Final = 50
# What an engine or a driver says may be an essay. It is cut, so that it never keeps a heartbeat or
# a decision from going out; the schemas allow this much for every free text.
TEXT_MAX: Final = 2000


def parse_json(kind: type[T], text: str, *, path: str) -> T:
    """Read a machine's document.

    Raises:
        BadDocumentError: it is no JSON, or breaks the schema of its kind.
    """
    plain = _load(text, path)
    return _made(kind, plain, check_named(_schema_of(kind), plain), path)


def parse_json_ahead(kind: type[T], text: str, *, path: str) -> T:
    """Read a machine's document, past keys that only a newer version may know.

    Only for what may be read in part: a document that tells. One that says what has to be done is
    obeyed whole or not at all.

    Raises:
        BadDocumentError: it is no JSON, or what is known of it breaks the schema of its kind.
    """
    plain = _load(text, path)
    findings = check_named(_schema_of(kind), plain)
    if any(finding.is_unknown for finding in findings):
        plain = known_part(_schema_of(kind), plain)
        findings = check_named(_schema_of(kind), plain)
    return _made(kind, plain, findings, path)


def _schema_of(kind: type) -> str:
    return kind.__name__.lower()


def _made(kind: type[T], plain: Any, findings: tuple[Finding, ...], path: str) -> T:
    if findings:
        fix = NEWER if _is_newer(kind, plain, findings) else _FIX
        raise BadDocumentError(
            tuple(Problem(Place(path), one.what, fix) for one in findings[:PROBLEMS_MAX])
        )
    del plain["apiVersion"], plain["kind"]
    reader: Reader = _reader(_hashable(kind))
    found: T = reader(plain)
    return found


def _is_newer(kind: type, plain: Any, findings: tuple[Finding, ...]) -> bool:
    """Whether a newer version may have written it: it says what it is, and more than we know.

    What does not say so was written by nobody of us, whatever keys it has.
    """
    if not isinstance(plain, dict) or plain.get("kind") != kind.__name__:
        return False
    version = plain.get("apiVersion")
    if version == API_VERSION:
        return any(finding.is_unknown for finding in findings)
    return isinstance(version, str) and version.startswith(f"{API_VERSION.partition('/')[0]}/")


def dump_json(value: object) -> str:
    """Write a machine's document: sorted keys, one value a line, the same bytes for equal values.

    Texts longer than TEXT_MAX are cut.

    Raises:
        AssertionError: the value breaks the schema of its kind, so that nobody could read it.
    """
    name = type(value).__name__
    plain = {"apiVersion": API_VERSION, "kind": name, **_plain(value)}
    for finding in check_named(_schema_of(type(value)), plain):
        raise AssertionError(f"a {name} that cannot be read back: {finding.what}")
    return json.dumps(plain, indent=2, sort_keys=True, allow_nan=False) + "\n"


def camel(name: str) -> str:
    """The key of a field in a document: `memory_mib` -> `memoryMib`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _load(text: str, path: str) -> Any:
    if len(text) > BYTES_MAX:
        what = f"the document has {len(text)} characters, more than {BYTES_MAX}"
        raise BadDocumentError((Problem(Place(path), what, _FIX),))
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = Place(path, error.lineno, error.colno)
        raise BadDocumentError((Problem(place, f"this is not JSON: {error.msg}", _FIX),)) from error
    except (ValueError, RecursionError) as error:
        what = f"this cannot be read as JSON: {str(error)[:200]}"
        raise BadDocumentError((Problem(Place(path), what, _FIX),)) from error


_FIX: Final = "machines write this document: let the one that wrote it write it again"
# Nobody edits these by hand, so there is nothing to be removed.
NEWER: Final = "written by a newer miaas? Upgrade this one"


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key stands twice in one map")
    return entries


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if not is_dataclass(value):
        return _plain_scalar(value)
    return {
        key: _plain(entry)
        for key, name, default in _outline(_hashable(type(value)))
        if (entry := getattr(value, name)) != default
    }


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, str):
        return _text(value)
    return format_timestamp(value) if isinstance(value, datetime) else value


def _text(text: str) -> str:
    cut = text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 3]}..."
    # What came from bytes that are no UTF-8 has halves of characters in it.
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


@cache
def _outline(kind: type) -> tuple[tuple[str, str, object], ...]:
    """Of each field: its key, its name, and its default, which is no value where it has none."""
    return tuple((camel(entry.name), entry.name, _default(entry)) for entry in fields(kind))


def _default(entry: Field[Any]) -> object:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return entry.default


@cache
def _reader(hint: Any) -> Reader:
    """How to read a value of this type, worked out once a type. What comes in was checked."""
    if isinstance(hint, NewType):
        return _reader(hint.__supertype__)
    if is_dataclass(hint):
        return _dataclass_reader(hint)
    inner = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return _union_reader(inner)
    if get_origin(hint) is tuple:
        return _tuple_reader(_reader(inner[0]) if inner else _same)
    return _scalar_reader(hint)


def _scalar_reader(hint: Any) -> Reader:
    if hint is datetime:
        return timestamp
    if isinstance(hint, type) and issubclass(hint, StrEnum | float):
        return hint
    return _same


def _dataclass_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = {
        camel(entry.name): (entry.name, _reader(hints[entry.name])) for entry in fields(kind)
    }

    def read(plain: Mapping[str, Any]) -> Any:
        given = {}
        for key, entry in plain.items():
            name, reader = readers[key]
            given[name] = reader(entry)
        return kind(**given)

    return read


def _union_reader(kinds: tuple[Any, ...]) -> Reader:
    # Our unions are `X | None` and `tuple[int, int] | tuple[()]`: the first is told from null.
    first = _reader(kinds[0])
    return lambda plain: None if plain is None else first(plain)


def _tuple_reader(read: Reader) -> Reader:
    return lambda plain: tuple(read(entry) for entry in plain)


def _hashable(kind: Any) -> Any:
    # Types are hashable, which the stubs of functools.cache do not know of type[T].
    return kind


def _same(plain: Any) -> Any:
    return plain
