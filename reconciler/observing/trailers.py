"""What people and reconcilers say to programs in the message of a commit: its trailers. Pure.

A trailer is a line `Key: value` of the last paragraph, as Git has it. The subject is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from schemas.names import CommitId

SOURCE: Final = "Source"
ALLOW_REMOVALS: Final = "Miaas-Allow-Removals"
REMOVALS_ALLOWED: Final = f"{ALLOW_REMOVALS}: yes"
ACCEPT_REWIND: Final = "Miaas-Accept-Rewind"

_LINE: Final = re.compile(r"(?P<key>[A-Za-z][A-Za-z0-9-]*):[ \t]+(?P<value>\S.*)")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def trailers(message: str) -> Iterator[tuple[str, str]]:
    """Every trailer of a message, key and value, in its order."""
    # Without a blank line there is only the subject.
    _, blank, last = message.replace("\r\n", "\n").rstrip().rpartition("\n\n")
    for line in last.splitlines() if blank else ():
        if found := _LINE.match(line):
            yield found["key"], found["value"].strip()


def values_of(message: str, key: str) -> tuple[str, ...]:
    """The values of all trailers of a key. As in Git, capitals make no difference."""
    return tuple(value for name, value in trailers(message) if name.lower() == key.lower())


def source_of(message: str) -> CommitId | None:
    """The commit of the fleet repository that a decision was made from; None: it says none."""
    found = [value for value in values_of(message, SOURCE) if _COMMIT.match(value)]
    return CommitId(found[-1]) if found else None


def allows_removals(message: str) -> bool:
    """Whether a commit of the fleet repository allows to remove much at once."""
    return any(value.lower() == "yes" for value in values_of(message, ALLOW_REMOVALS))


def accepts_rewind(message: str, left: CommitId) -> bool:
    """Whether a commit of the fleet repository says that the head `left` was left on purpose.

    Only the whole id counts: a few digits could name two.
    """
    return str(left) in (value.lower() for value in values_of(message, ACCEPT_REWIND))
