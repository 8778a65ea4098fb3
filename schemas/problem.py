"""What is wrong with something a person wrote: where, what, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a document. Line and column count from 1; 0 means the document as a whole."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Print as editors and compilers do, so that terminals make it a link."""
        if self.line == 0:
            return self.path
        return f"{self.path}:{self.line}:{self.column}"


# Where something is wrong with a commit as a whole, and with no file of it.
REPOSITORY: Final = Place(".")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to fix: where it is, what is wrong, and the fix."""

    place: Place
    what: str
    fix: str

    def __str__(self) -> str:
        """Print as one line: `path:line:column: what. Fix: fix`. Of no file: without a place.

        Names and values come from files of strangers: what would move a terminal's cursor is shown
        as an escape.
        """
        where = "" if self.place == REPOSITORY else f"{self.place}: "
        line = f"{where}{self.what}. Fix: {self.fix}"
        if line.isprintable():
            return line
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


class BadDocumentError(Exception):
    """A document cannot be used. Carries every problem that was found in it, sorted by place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
