"""Check plain values against one of our own JSON Schemas, in words for people.

Why not `jsonschema` here: an agent that finds nothing to do has 60 ms of processor time in all, and
importing jsonschema alone takes 70. A reconciler reads 500 heartbeats a pass. And a message has to
say the fix. This knows the keywords that our schemas use, and fails loudly on any other; the tests
hold it against jsonschema. Schemas that come from users are checked by jsonschema itself, see
`parameters`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from schemas import quantity, timestamps, words
from schemas.marks import UNREADABLE, Keys
from schemas.words import Schema, Words

ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples"}
    | {"patternErrorMessage", "markdownDescription"}
)
KEYWORDS: Final = frozenset(
    {"$ref", "type", "enum", "const", "properties", "required", "additionalProperties"}
    | {"propertyNames", "minProperties", "maxProperties", "items", "minItems", "maxItems"}
    | {"uniqueItems", "minimum", "maximum", "pattern", "minLength", "maxLength", "format"}
)
# One is guessed at, word by word; a file of 10,000 unknown keys must not take minutes.
FINDINGS_MAX: Final = 100
FORMATS: Final = {**quantity.FORMATS, **timestamps.FORMATS}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a value.

    at_key: its key is to be shown, not the value. is_unknown: the key is one that no schema knows.
    """

    keys: Keys
    what: str
    fix: str
    at_key: bool = False
    is_unknown: bool = False


@cache
def schema_named(name: str) -> Schema:
    """The JSON Schema that stands beside this module."""
    found: Schema = json.loads(Path(__file__).with_name(f"{name}.schema.json").read_text("utf-8"))
    return found


def check(
    root: Schema, value: object, *, written: Mapping[Keys, str] | None = None
) -> tuple[Finding, ...]:
    """Everything that is wrong with a value, in the order of the value. Empty: nothing is.

    written: numbers, true, false and null as a person wrote them, to be shown in messages.
    """
    checker = _Checker(root, written or {})
    checker.visit(root, value, ())
    return tuple(checker.findings)


def check_named(
    name: str, value: object, *, written: Mapping[Keys, str] | None = None
) -> tuple[Finding, ...]:
    """As `check`, by the schema of that name."""
    return check(schema_named(name), value, written=written)


def known_part(name: str, value: object) -> object:
    """A value without the keys that the schema of that name does not know. Nothing is checked."""
    root = schema_named(name)
    return _known(root, root, value)


def _known(root: Schema, schema: Schema, value: object) -> object:
    # Goes no deeper than the schema does, however deep the value is.
    schema = follow(root, schema)
    if isinstance(value, list):
        items = schema.get("items")
        return [_known(root, items, one) for one in value] if isinstance(items, dict) else value
    if not isinstance(value, dict):
        return value
    listed: Mapping[str, Schema] = _any(schema.get("properties", {}))
    others = schema.get("additionalProperties", True)
    rule = others if isinstance(others, dict) else {}
    return {
        key: _known(root, listed.get(key, rule), entry)
        for key, entry in value.items()
        if key in listed or others is not False
    }


@dataclass(slots=True)
class _Checker:
    root: Schema
    written: Mapping[Keys, str]
    findings: list[Finding] = field(default_factory=list)

    def add(self, keys: Keys, said: Words) -> None:
        self.findings.append(Finding(keys, *said))

    def visit(self, schema: Schema, value: object, keys: Keys) -> None:
        if value is UNREADABLE or len(self.findings) >= FINDINGS_MAX:
            return
        given, schema = schema, follow(self.root, schema)
        wanted = schema.get("type")
        if wanted is not None and not _is_kind(wanted, value):
            kinds = [wanted] if isinstance(wanted, str) else list(_any(wanted))
            self.wrong_type({**schema, **given}, value, keys, kinds)
            return
        if not self.allowed(schema, value, keys):
            return
        if isinstance(value, str):
            self.text(schema, value, keys)
        elif isinstance(value, dict):
            self.mapping(schema, value, keys)
        elif isinstance(value, list):
            self.array(schema, value, keys)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.number(schema, value, keys)

    def wrong_type(self, schema: Schema, value: object, keys: Keys, kinds: list[str]) -> None:
        before = len(self.findings)
        if isinstance(value, int | float) and not isinstance(value, bool):
            # `memory: 16` has to be told about units, not about quotes.
            self.format(schema, value, keys)
        if len(self.findings) == before:
            written = self.written.get(keys)
            self.add(keys, words.wrong_type(keys, value, kinds, written, schema))

    def allowed(self, schema: Schema, value: object, keys: Keys) -> bool:
        if "const" in schema and value != schema["const"]:
            self.add(keys, words.not_exactly(keys, value, schema["const"]))
            return False
        if "enum" in schema and value not in _any(schema["enum"]):
            self.add(keys, words.not_one_of(keys, value, _any(schema["enum"])))
            return False
        return True

    def text(self, schema: Schema, value: str, keys: Keys) -> None:
        pattern = schema.get("pattern")
        if not value.isascii() and not _is_unicode(value):
            self.add(keys, (f"{words.named(keys)} is not Unicode text", "write it as UTF-8"))
        elif not _any(schema.get("minLength", 0)) <= len(value) <= _most(schema, "maxLength"):
            self.add(keys, words.bad_length(keys, value, schema))
        elif isinstance(pattern, str) and not compiled(pattern).search(value):
            self.add(keys, words.no_match(keys, value, pattern, schema.get("patternErrorMessage")))
        else:
            self.format(schema, value, keys)

    def number(self, schema: Schema, value: float, keys: Keys) -> None:
        if "minimum" in schema and value < _any(schema["minimum"]):
            self.add(keys, words.too_small(keys, value, schema["minimum"]))
        elif "maximum" in schema and value > _any(schema["maximum"]):
            self.add(keys, words.too_large(keys, value, schema["maximum"]))
        else:
            self.format(schema, value, keys)

    def format(self, schema: Schema, value: object, keys: Keys) -> None:
        name = schema.get("format")
        if not isinstance(name, str):
            return
        try:
            FORMATS[name](value)
        except quantity.BadQuantityError as error:
            self.add(keys, (f"{words.named(keys)}: {error.what}", error.fix))

    def array(self, schema: Schema, value: list[object], keys: Keys) -> None:
        if not _any(schema.get("minItems", 0)) <= len(value) <= _most(schema, "maxItems"):
            self.add(keys, words.bad_length(keys, value, schema))
            return
        if schema.get("uniqueItems"):
            for entry in repeated(value):
                self.add(keys, words.twice(keys, entry))
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                self.visit(items, item, (*keys, index))

    def mapping(self, schema: Schema, value: dict[str, object], keys: Keys) -> None:
        if not _any(schema.get("minProperties", 0)) <= len(value) <= _most(schema, "maxProperties"):
            self.add(keys, words.bad_length(keys, value, schema))
            return
        known: Mapping[str, Schema] = _any(schema.get("properties", {}))
        for key in _any(schema.get("required", ())):
            if key not in value:
                rule = known.get(key, {})
                self.add(keys, words.missing((*keys, key), {**follow(self.root, rule), **rule}))
        for key, entry in value.items():
            if key in known:
                self.visit(known[key], entry, (*keys, key))
            else:
                self.unlisted(schema, key, entry, (*keys, key))

    def unlisted(self, schema: Schema, key: str, entry: object, keys: Keys) -> None:
        others = schema.get("additionalProperties", True)
        if len(self.findings) >= FINDINGS_MAX:
            return
        if others is False:
            known = list(_any(schema.get("properties", {})))
            homes = [] if words.nearest(key, known) else self.homes(schema, key, keys)
            what, fix = words.unknown(keys, known, homes)
            self.findings.append(Finding(keys, what, fix, at_key=True, is_unknown=True))
            return
        names = schema.get("propertyNames")
        if isinstance(names, dict):
            before = len(self.findings)
            self.visit(names, key, keys)
            self.findings[before:] = [
                Finding(keys, f"the key {words.shown(key)} has the wrong form", found.fix, True)  # noqa: FBT003 - a field
                for found in self.findings[before:]
            ]
        if isinstance(others, dict):
            self.visit(others, entry, keys)

    def homes(self, schema: Schema, key: str, keys: Keys) -> list[Keys]:
        """Where else a key may belong: where it is known, and in a map beside it that is free."""
        known: Mapping[str, Schema] = _any(schema.get("properties", {}))
        free = [name for name, part in known.items() if _is_free(follow(self.root, part))]
        return [*list(_homes(self.root, key))[:1], *((*keys[:-1], name, key) for name in free)]


def _is_free(schema: Schema) -> bool:
    return schema.get("type") == "object" and not {"properties", "additionalProperties"} & {*schema}


def follow(root: Schema, schema: Schema) -> Schema:
    """Follow local references to the schema that they mean."""
    while "$ref" in schema:
        found: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of our own schemas. `$` means the end, and not before a last newline."""
    return re.compile(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern)


def _homes(root: Schema, key: str) -> Iterator[Keys]:
    """Where in the document a key is known, from the top down, through maps only."""
    waiting: list[tuple[Keys, Schema]] = [((), root)]
    while waiting:
        keys, schema = waiting.pop(0)
        for name, entry in _any(follow(root, schema).get("properties", {})).items():
            if name == key:
                yield (*keys, name)
            waiting.append(((*keys, name), entry))


def repeated(values: list[object]) -> list[object]:
    """The entries that stand a second time, told apart by how they are written as JSON."""
    seen: set[str] = set()
    found = []
    for value in values:
        text = json.dumps(value, sort_keys=True, default=str)
        if text in seen:
            found.append(value)
        seen.add(text)
    return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _most(schema: Schema, keyword: str) -> float:
    return float(_any(schema.get(keyword, "inf")))


def _any(value: object) -> Any:
    # Our own schemas are data that the tests check; their shape is not doubted here.
    return value


def _is_kind(wanted: object, value: object) -> bool:
    if isinstance(wanted, str):
        return _IS[wanted](value)
    return any(_IS[kind](value) for kind in _any(wanted))


_IS: Final[Mapping[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
