"""Git's objects as bytes: pure values, the same for every implementation, hence the same ids."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from fleet.errors import RepositoryError
from fleet.port import Commit
from schemas.names import CommitId, TreeId

FOLDER: Final = "40000"
FILE: Final = "100644"
PROGRAM: Final = "100755"
IDENTITY: Final = "miaas <miaas@localhost>"

_PACK_TYPES: Final = {"commit": 1, "tree": 2, "blob": 3}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree. name: bytes, since Git allows any but NUL. mode: octal digits."""

    mode: str
    name: bytes
    id: str


Object: TypeAlias = tuple[str, bytes]  # kind and content


def object_id(kind: str, content: bytes) -> str:
    """Compute the id that Git gives to an object."""
    head = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()


def tree_content(entries: Iterable[Entry]) -> bytes:
    """Write a tree. Git sorts folders as if their names ended in `/`."""
    ordered = sorted(entries, key=lambda entry: entry.name + b"/" * (entry.mode == FOLDER))
    return b"".join(
        entry.mode.encode() + b" " + entry.name + b"\0" + bytes.fromhex(entry.id)
        for entry in ordered
    )


def tree_entries(content: bytes) -> tuple[Entry, ...]:
    """Read a tree.

    Raises:
        RepositoryError: it is cut short.
    """
    entries = []
    at = 0
    while at < len(content):
        blank, end = content.find(b" ", at), content.find(b"\0", at)
        if not at < blank < end or end + 21 > len(content):
            raise RepositoryError("a tree object is cut short")
        mode = content[at:blank].decode("ascii", "replace").lstrip("0")
        entries.append(Entry(mode, content[blank + 1 : end], content[end + 1 : end + 21].hex()))
        at = end + 21
    return tuple(entries)


def commit_content(
    tree: TreeId, parent: CommitId | None, message: str, at: datetime, identity: str
) -> bytes:
    """Write a commit. Its time is UTC, in whole seconds.

    Raises:
        RepositoryError: the time has no zone or lies before 1970, or the message has a NUL.
    """
    if at.tzinfo is None or at.timestamp() < 0:
        raise RepositoryError(f"a commit cannot have the time {at}")
    if "\0" in message:
        raise RepositoryError("a commit message cannot hold a NUL")
    who = f"{identity} {int(at.timestamp())} +0000"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
    lines += [f"author {who}", f"committer {who}", "", message.rstrip("\n") + "\n"]
    return "\n".join(lines).encode()


def read_commit(commit: CommitId, content: bytes) -> Commit:
    """Read a commit as history shows it. Odd ones of other tools read as well as they can.

    Raises:
        RepositoryError: it names no tree.
    """
    head, _, message = content.decode("utf-8", "replace").partition("\n\n")
    lines = [line.partition(" ") for line in head.split("\n")]
    tree = next((value for key, _, value in lines if key == "tree"), "")
    if len(tree) != 40:  # noqa: PLR2004
        raise RepositoryError(f"commit {commit} names no tree")
    who = next((value for key, _, value in lines if key == "author"), "")
    author = who.rpartition("> ")[0]
    made = next((value for key, _, value in lines if key == "committer"), who)
    return Commit(
        id=commit,
        tree=TreeId(tree),
        parents=tuple(CommitId(value) for key, _, value in lines if key == "parent"),
        author=f"{author}>" if author else who,
        at=_time(made.rpartition("> ")[2]),
        message=message,
    )


def _time(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text.partition(" ")[0]), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)  # unreadable: as Git shows it


def pack(objects: Mapping[str, Object]) -> bytes:
    """Write objects as one pack, the form in which git takes many at once."""
    parts = [b"PACK" + struct.pack(">II", 2, len(objects))]
    for kind, content in objects.values():
        # Level 1: most of it is small text that git packs anew at the next upkeep.
        parts += [_pack_head(_PACK_TYPES[kind], len(content)), zlib.compress(content, 1)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _pack_head(kind: int, size: int) -> bytes:
    head = [kind << 4 | size & 15]
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head)
