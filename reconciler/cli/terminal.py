"""Where results go, and how they look: colours for people at a terminal, plain text elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TextIO


class Paint(StrEnum):
    """What a colour stands for. The word it paints says the same without it."""

    GOOD = "32"
    BUSY = "33"
    BAD = "31"
    SOFT = "2"
    BOLD = "1"


_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Terminal:
    """Results go to `out`, everything about the run itself to `err`."""

    out: TextIO
    err: TextIO
    coloured: bool = False

    @classmethod
    def of(cls, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> Terminal:
        """Paint only where a person looks at a terminal and has not asked for none (NO_COLOR)."""
        wanted = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return cls(out, err, wanted and out.isatty())

    def say(self, text: str = "") -> None:
        """Write a line of the result."""
        self.out.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write a text of the result that ends its own lines."""
        self.out.write(text)

    def complain(self, text: str) -> None:
        """Write a line about the run."""
        self.err.write(f"{text}\n")

    def paint(self, text: str, paint: Paint | None) -> str:
        """Colour a text, where there are colours."""
        return f"\x1b[{paint}m{text}\x1b[0m" if self.coloured and paint and text else text

    def flush(self) -> None:
        """Hand everything on, so that a closed pipe is noticed here."""
        self.out.flush()


def safe(text: str) -> str:
    """Take out what could steer a terminal: text of a document or a heartbeat may hold anything."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def table(rows: Sequence[Sequence[str]], paints: Mapping[str, Paint], terminal: Terminal) -> str:
    """Align rows in columns; a cell whose text is in `paints` is coloured. The last is free."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(f"{_line(row, widths, paints, terminal)}\n" for row in rows)


def _line(
    row: Iterable[str], widths: list[int], paints: Mapping[str, Paint], terminal: Terminal
) -> str:
    cells = (
        terminal.paint(cell, paints.get(cell)) + " " * (width - len(cell))
        for cell, width in zip(row, widths, strict=True)
    )
    return _GAP.join(cells).rstrip()


def devnull_on(stream: TextIO) -> None:
    """Point a stream whose reader is gone at nothing, so that the end of the program is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
