"""YAML as people write it: read with bounds and positions, written so that it reads back the same.

The text is turned into plain values from the parser's events, never through a loader that builds
first and asks later: 500 bytes of aliases can grow to gigabytes, and 100,000 `[` overflow the
stack of the compiled loader. Scalars follow the JSON subset of YAML 1.2: only `true` and `false`
are truth values, numbers are decimal, and everything else is text. So `no`, `22:22` and `0755`
stay what they were.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from schemas.marks import UNREADABLE, Keys, Marks, Spot
from schemas.problem import BadDocumentError, Place, Problem
from schemas.words import shown

# A person's document is a page or two. 256 KiB is a book, and still read in a moment.
BYTES_MAX: Final = 256 * 1024
# Our deepest document has 9 levels; parameters and compose files may add some.
DEPTH_MAX: Final = 32
NODES_MAX: Final = 20_000
# One page of a terminal. Who has more than 50 to mend starts with those.
PROBLEMS_MAX: Final = 50
# Beyond 64 bits a number changes on its way through JSON readers.
_INTEGER_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = 20

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: Final[dict[str, object]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, where it says it, and what in it was refused."""

    value: object
    marks: Marks
    problems: tuple[Problem, ...]


def read_yaml(text: str, *, path: str) -> Reading:
    """Read one document. Keys are always text.

    Raises:
        BadDocumentError: the text is too large or too deep, or is not YAML, so that nothing in it
            can be judged. Anything smaller is told in `problems`.
    """
    _bound(text, path)
    reader = _Reader(text, path)
    try:
        return reader.read()
    except yaml.MarkedYAMLError as error:
        raise BadDocumentError((*reader.problems, _not_yaml(error, path))) from error
    except yaml.YAMLError as error:
        raise BadDocumentError((*reader.problems, _odd_character(error, text, path))) from error


def write_yaml(value: object) -> str:
    """Write plain values as YAML that reads back the same here and in every other reader."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def resolve(text: str) -> object:
    """The value of an unquoted scalar. Integers and floats may be too large: see `_number`."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        # The interpreter itself refuses to convert numbers of some thousand digits.
        return int(text) if len(text) <= _DIGITS_MAX else math.inf
    if _NUMBER.match(text):
        return float(text)
    return text


def _bound(text: str, path: str) -> None:
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise _fatal(Place(path), "the text is not Unicode", "save the file as UTF-8") from error
    if size > BYTES_MAX:
        raise _fatal(
            Place(path),
            f"the file has {size} bytes, more than {BYTES_MAX}",
            "split it, or move what is large into the template",
        )


def _fatal(place: Place, what: str, fix: str) -> BadDocumentError:
    return BadDocumentError((Problem(place, what, fix),))


@dataclass(slots=True)
class _Reader:
    """Turns events into values. One reader a text."""

    text: str
    path: str
    problems: list[Problem] = field(default_factory=list)
    values: dict[Keys, Spot] = field(default_factory=dict)
    keys: dict[Keys, Spot] = field(default_factory=dict)
    written: dict[Keys, str] = field(default_factory=dict)
    nodes: int = 0
    events: Iterator[Any] = field(init=False)

    def read(self) -> Reading:
        self.events = iter(yaml.parse(self.text, Loader=_LOADER))
        next(self.events)
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            raise _fatal(
                Place(self.path), "the file is empty", "write the document, or remove the file"
            )
        value = self.node(next(self.events), ())
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self.refuse(after, "a second document begins here", "one document a file: split it")
        marks = Marks(self.path, self.values, self.keys, self.written)
        return Reading(value, marks, tuple(self.problems[:PROBLEMS_MAX]))

    def node(self, event: Any, keys: Keys) -> object:
        self.count(event, keys)
        if keys not in self.keys or isinstance(event, yaml.ScalarEvent):
            self.values[keys] = _spot(event)
        else:
            self.values[keys] = self.keys[keys]
        if isinstance(event, yaml.AliasEvent):
            self.refuse(
                event, f"the alias *{str(event.anchor)[:40]} is not allowed", "write the value out"
            )
            return UNREADABLE
        if event.anchor is not None:
            self.refuse(event, f"the anchor &{event.anchor[:40]} is not allowed", "remove it")
        if event.tag is not None:
            self.refuse(event, f"the tag {_tag(event)} is not allowed", "remove it")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, keys)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(keys)
        return self.mapping(keys)

    def scalar(self, event: Any, keys: Keys) -> object:
        if not event.implicit[0]:  # in quotes
            return event.value
        value = resolve(event.value)
        if isinstance(value, str):
            return value
        self.written[keys] = event.value
        if isinstance(value, bool) or value is None or _keeps(value):
            return value
        self.refuse(event, f"the number {event.value[:40]} is too large", "use fewer digits")
        return UNREADABLE

    def sequence(self, keys: Keys) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, (*keys, len(items))))
        return items

    def mapping(self, keys: Keys) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, keys)
            first = self.keys.get((*keys, key)) if key is not None else None
            if key is None or first is not None:
                self.skip(next(self.events))
                if key is not None and first is not None:
                    self.refuse(
                        event,
                        f"the key {shown(key)} stands here a second time, first on line {first[0]}",
                        "keep one of the two",
                    )
                continue
            self.keys[(*keys, key)] = _spot(event)
            entries[key] = self.node(next(self.events), (*keys, key))
        return entries

    def key(self, event: Any, keys: Keys) -> str | None:
        self.count(event, keys)
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse(event, "a key has to be plain text", "write the key as one word")
            if not isinstance(event, yaml.AliasEvent):
                self.skip(event)
            return None
        if event.anchor is not None:
            self.refuse(event, f"the anchor &{event.anchor[:40]} is not allowed", "remove it")
        if event.tag is not None:
            self.refuse(event, f"the tag {_tag(event)} is not allowed", "remove it")
        if event.value == "<<" and not event.style:
            self.refuse(event, "the merge key << is not allowed", "write the keys out")
            return None
        return str(event.value)

    def skip(self, event: Any) -> None:
        """Pass over a value that nobody will use, however deep it is, without recursion."""
        depth = 0
        while True:
            # What stands in for the keys that are not there makes the depth count.
            self.count(event, (0,) * depth)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth <= 0:
                return
            event = next(self.events)

    def count(self, event: Any, keys: Keys) -> None:
        self.nodes += 1
        if len(keys) >= DEPTH_MAX and isinstance(event, yaml.CollectionStartEvent):
            place = Place(self.path, *_spot(event))
            what = f"the document is nested deeper than {DEPTH_MAX} levels"
            raise _fatal(place, what, "make it flatter")
        if self.nodes > NODES_MAX:
            place = Place(self.path, *_spot(event))
            raise _fatal(place, f"the document has more than {NODES_MAX} values", "split it")

    def refuse(self, event: Any, what: str, fix: str) -> None:
        self.problems.append(Problem(Place(self.path, *_spot(event)), what, fix))


def _tag(event: Any) -> str:
    return str(event.tag).replace("tag:yaml.org,2002:", "!!")[:40]


def _spot(event: Any) -> Spot:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _keeps(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= _INTEGER_MAX
    return isinstance(value, float) and math.isfinite(value)


def _not_yaml(error: yaml.MarkedYAMLError, path: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
    said = error.problem or "it cannot be understood"
    for sign, fix in _SYNTAX_FIXES.items():
        if sign in said:
            return Problem(place, f"this is not YAML: {said}", fix)
    return Problem(place, f"this is not YAML: {said}", "look at this line and the one above it")


_SYNTAX_FIXES: Final = {
    "cannot start any token": "indent with blanks, not tabs; quote text that begins with % or @",
    "mapping values are not allowed": "quote text that has ': ' in it, and check the indentation",
    "did not find expected key": "line the keys of a map up under each other",
    "did not find expected '-' indicator": "line the entries of a list up under each other",
    "could not find expected ':'": "write `key: value`, with a blank after the colon",
    "did not find expected ',' or": "close the bracket, or put a comma between the entries",
    "unexpected end of stream": "close the quote",
    "undefined alias": "write the value out",
    "undefined tag handle": "remove the tag, or quote text that begins with !",
}


def _odd_character(error: yaml.YAMLError, text: str, path: str) -> Problem:
    position = getattr(error, "position", 0)
    before = text[:position] if isinstance(position, int) else ""
    place = Place(path, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return Problem(place, "there is a control character here", "remove it: text only")


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes wherever any reader could take it for something else."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = not isinstance(resolve(text), str) or not text.isprintable() or not text.isascii()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if plain else None)


_Dumper.add_representer(str, _represent_text)
