"""Exit codes, the same for every command, and what each one means."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """How a command ended."""

    FINE = 0
    PROBLEMS = 1
    USAGE = 2
    WORLD = 3
    PENDING = 10


MEANINGS: Final = {
    Code.FINE: "fine",
    Code.PROBLEMS: "there are problems in documents; each is printed with file:line:column",
    Code.USAGE: "wrong usage: an option, a name or a path",
    Code.WORLD: "the world refused: Git, the network, the file system, or a fault of our own",
    Code.PENDING: "changes are pending (only with --detailed-exitcode)",
}


class UsageError(Exception):
    """What was asked for cannot be meant. The message says what to do instead."""
