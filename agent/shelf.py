"""Small files that survive a kill: whole as they were, or whole as they are."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any


class Shelf:
    """A folder of small files. Each is replaced at once or not at all, and is on disk by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> str | None:
        """The text of a file; None: there is none.

        Raises:
            OSError, UnicodeDecodeError: the disk is ill.
        """
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> Any:
        """The value in a file; None: there is no file, or it holds no JSON.

        A damaged file is no reason to stop: everything kept here can be found out again.
        """
        try:
            text = self.read(name)
            return None if text is None else json.loads(text)
        except (ValueError, OSError):
            return None

    def write(self, name: str, text: str) -> None:
        """Replace a file.

        Raises:
            OSError: disk full or not writable; the file is as it was.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.folder / f".{name}.part"
        with part.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self.folder / name)
        self._sync()

    def write_json(self, name: str, value: object) -> None:
        """Replace a file by a value as JSON; a dataclass in it becomes the map of its fields.

        Raises:
            OSError: as for `write`.
        """
        # On one line: only then does the encoder in C write it, in a tenth of the time.
        self.write(name, json.dumps(value, sort_keys=True, default=plain_fields) + "\n")

    def write_in_need(self, name: str, value: object) -> None:
        """Replace a small file by a value as JSON; on a full disk in its place, where it has room.

        A kill in that moment may leave a damaged file: only for what may count as lost then.

        Raises:
            OSError: neither can be done; the file is as it was.
        """
        try:
            self.write_json(name, value)
        except OSError:
            with (self.folder / name).open("r+b", buffering=0) as stream:
                room = os.fstat(stream.fileno()).st_size
                stream.write((json.dumps(value, sort_keys=True) + "\n").encode().ljust(room))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.folder / name).unlink(missing_ok=True)

    def _sync(self) -> None:
        """A rename is durable only when its folder is."""
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def plain_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, as they are: `asdict` would copy what can never change.

    Raises:
        TypeError: it is no dataclass.
    """
    return {name: getattr(value, name) for name in _names(_hashable(type(value)))}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))


def _hashable(kind: Any) -> Any:
    # Types are hashable, which the stubs of functools.cache do not know of type[T].
    return kind
