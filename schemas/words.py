"""The words for what is wrong with a value: one function a rule, each giving (what, fix)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from schemas.marks import Keys

Words: TypeAlias = tuple[str, str]
Schema: TypeAlias = Mapping[str, object]

# Long enough to recognise a value, short enough for one line of a terminal.
_SHOWN_MAX: Final = 60

_KINDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map of keys and values",
    "null": "nothing",
}


def shown(value: object) -> str:
    """A value as a message shows it: text in quotes, maps and lists by kind, all of it short."""
    if isinstance(value, Mapping):
        return "a map" if value else "an empty map"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 4]}...{text[-1]}"


def dotted(keys: Keys) -> str:
    """Name a value as people say it: `spec.placement.require[0].key`."""
    text = ""
    for key in keys:
        text += (
            f"[{key}]" if isinstance(key, int) else f".{key if key.isprintable() else repr(key)}"
        )
    name = text.removeprefix(".")
    return name if len(name) <= 2 * _SHOWN_MAX else f"{name[:_SHOWN_MAX]}..."


def named(keys: Keys) -> str:
    """As `dotted`, with a name for the document itself."""
    return dotted(keys) or "the document"


def wrong_type(
    keys: Keys, value: object, wanted: Sequence[str], written: str | None, schema: Schema
) -> Words:
    """Say that a value is of another kind than wanted. written: as it stands in the file."""
    kinds = " or ".join(_KINDS[kind] for kind in wanted)
    seen = shown(value) if written is None or value is None else written[:_SHOWN_MAX]
    return f"{named(keys)} is {seen}, and has to be {kinds}", _type_fix(
        value, wanted, written, schema
    )


def _type_fix(value: object, wanted: Sequence[str], written: str | None, schema: Schema) -> str:
    fix = f"write {' or '.join(_KINDS[kind] for kind in wanted)}{_like(schema)}"
    if value is None:
        fix += ", or remove the key"
    elif "string" in wanted and isinstance(value, bool | int | float):
        fix = f'put it in quotes: "{(written or shown(value))[:_SHOWN_MAX]}"'
    elif isinstance(value, str):
        fix = _text_fix(value, wanted) or fix
    elif wanted[0] == "object" and isinstance(value, list):
        fix = "write `key: value` lines without the '-'"
    elif wanted[0] == "array" and isinstance(value, Mapping):
        fix = "write a list: begin each entry with '- '"
    elif isinstance(value, float) and value.is_integer() and "integer" in wanted:
        fix = f"write {int(value)}"
    return fix


def _like(schema: Schema) -> str:
    example = next(iter(_list(schema.get("examples"))), None)
    text = "" if example is None else _inline(example)
    return f", like {text}" if 0 < len(text) <= _SHOWN_MAX else ""


def _text_fix(value: str, wanted: Sequence[str]) -> str | None:
    if "array" in wanted:
        return f"write a list: [{value[:_SHOWN_MAX]}]"
    if "boolean" in wanted and value.lower() in {"yes", "on", "y"}:
        return "write true"
    if "boolean" in wanted and value.lower() in {"no", "off", "n"}:
        return "write false"
    digits = value.strip().lstrip("+").lstrip("0") or "0"
    if {"integer", "number"} & set(wanted) and digits.isascii() and digits.isdigit():
        return f"write {digits[:20]}, without quotes and leading zeros"
    return None


def not_one_of(keys: Keys, value: object, allowed: Iterable[object]) -> Words:
    """Say that a value is none of the allowed ones."""
    choices = list(allowed)
    near = nearest(str(value), [str(choice) for choice in choices])
    listed = listing(str(choice) for choice in choices)
    fix = f"did you mean {near}? It can be {listed}" if near else f"write {listed}"
    return f"{named(keys)} is {shown(value)}, which it cannot be", fix


def not_exactly(keys: Keys, value: object, wanted: object) -> Words:
    """Say that a value is not the only one that is allowed."""
    return f"{named(keys)} is {shown(value)}, not {shown(wanted)}", f"write {wanted}"


def missing(keys: Keys, schema: Schema) -> Words:
    """Say that a required key is not there, with an example where the schema has one."""
    key = str(keys[-1])
    example = next(iter(_list(schema.get("examples"))), schema.get("const", schema.get("default")))
    if example is None:
        return f"{dotted(keys)} is missing", f"add the key {key!r}"
    return f"{dotted(keys)} is missing", f"add a line like `{key}: {_inline(example)}`"


def unknown(keys: Keys, known: Sequence[str], homes: Sequence[Keys] = ()) -> Words:
    """Say that a key is not known here. homes: where else in the document it may belong."""
    what = f"{dotted(keys)} is not known"
    near = nearest(str(keys[-1]), known)
    if near:
        return what, f"did you mean {near!r}?"
    if homes:
        return what, f"it belongs at {listing(map(dotted, homes[:2]))}"
    if not known:
        return what, "remove it: no keys are expected here"
    return what, f"remove it; known here: {listing(known, 'and')}"


def too_small(keys: Keys, value: object, least: object) -> Words:
    """Say that a number is below its least."""
    return f"{named(keys)} is {shown(value)}, less than {least}", f"write at least {least}"


def too_large(keys: Keys, value: object, most: object) -> Words:
    """Say that a number is above its most."""
    return f"{named(keys)} is {shown(value)}, more than {most}", f"write at most {most}"


def bad_length(keys: Keys, value: Sequence[object] | Mapping[str, object], schema: Schema) -> Words:
    """Say that a text, list or map is too short or too long."""
    noun = {str: "characters", list: "entries", dict: "keys"}.get(type(value), "entries")
    least = schema.get("minLength", schema.get("minItems", schema.get("minProperties", 0)))
    most = schema.get("maxLength", schema.get("maxItems", schema.get("maxProperties")))
    if not value:
        return f"{named(keys)} is empty", "write something there, or remove the key"
    bounds = f"{least} to {most}" if most is not None else f"at least {least}"
    return f"{named(keys)} has {len(value)} {noun}", f"use {bounds} {noun}"


def no_match(keys: Keys, value: str, pattern: str, rule: object) -> Words:
    """Say that a text has the wrong form. rule: the form in words; else the pattern is shown."""
    fix = f"use {rule}" if rule else f"write text that matches {pattern}"
    return f"{named(keys)} is {shown(value)}, which has the wrong form", fix


def twice(keys: Keys, value: object) -> Words:
    """Say that a list has an entry twice."""
    return f"{named(keys)} has {shown(value)} twice", "keep one of the two"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if any: case, `_` and `-` do not count."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    plain = {_bare(name): name for name in known}
    found = get_close_matches(_bare(word[:_SHOWN_MAX]), list(plain), n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def listing(words: Iterable[str], last: str = "or") -> str:
    """Join words as people do: `a, b or c`. Long lists are cut."""
    names = list(words)
    if len(names) > 20:  # noqa: PLR2004 - more would hide the sentence
        names = [*names[:19], f"{len(names) - 19} more"]
    if len(names) < 2:  # noqa: PLR2004 - nothing to join
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _inline(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    return value
