"""A person's document on its way from text to a dataclass, collecting all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.check import Finding, check_named
from schemas.marks import Keys, Marks
from schemas.problem import BadDocumentError, Problem
from schemas.words import Words
from schemas.yaml_text import PROBLEMS_MAX, read_yaml


@dataclass(slots=True)
class Page:
    """A document that was read and checked against its schema, whatever came of it."""

    value: Any
    marks: Marks
    problems: list[Problem]
    unsound: list[Keys] = field(default_factory=list)

    def sound(self, *keys: str | int) -> bool:
        """Whether nothing is wrong at, below or above a value, so that it can be worked with."""
        return not any(bad[: len(keys)] == keys[: len(bad)] for bad in self.unsound)

    def get(self, *keys: str) -> Any:
        """A value; None where it, or what it would stand in, is not written."""
        value = self.value
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def entries(self, *keys: str) -> Iterator[tuple[Any, Any]]:
        """The entries of a map or list that nothing is wrong with: key or index, and value."""
        value = self.get(*keys)
        entries = list(value.items()) if isinstance(value, dict) else []
        entries = list(enumerate(value)) if isinstance(value, list) else entries
        yield from ((key, entry) for key, entry in entries if self.sound(*keys, key))

    def take(self, findings: Iterable[Finding]) -> None:
        """Note what was found wrong."""
        for finding in findings:
            at = self.marks.at_key if finding.at_key else self.marks.at
            self.problems.append(Problem(at(*finding.keys), finding.what, finding.fix))
            self.unsound.append(finding.keys)

    def refuse(self, keys: Keys, said: Words) -> None:
        """Note that something is wrong with the value at these keys."""
        self.problems.append(Problem(self.marks.at(*keys), *said))

    def close(self) -> None:
        """End the collecting.

        Raises:
            BadDocumentError: something was wrong; carries all of it.
        """
        if self.problems:
            raise BadDocumentError(tuple(self.problems[:PROBLEMS_MAX]))


def map_of(value: object) -> Mapping[str, Any]:
    """A value that should be a map. One that is none was told of by its schema, and is empty."""
    return value if isinstance(value, dict) else {}


def open_page(text: str, *, path: str, schema: str) -> Page:
    """Read YAML and check it against one of our schemas. What is wrong waits for `close`.

    Raises:
        BadDocumentError: the text cannot be read at all.
    """
    reading = read_yaml(text, path=path)
    page = Page(reading.value, reading.marks, list(reading.problems))
    page.take(check_named(schema, reading.value, written=reading.marks.written))
    return page
