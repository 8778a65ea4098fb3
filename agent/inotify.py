"""The kernel's word on changes in a few folders: it costs nothing while nothing happens.

Straight from the C library: what libraries offer wakes up many times a second to look.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
from pathlib import Path
from types import TracebackType
from typing import Final

# From <sys/inotify.h>: a file was written and closed, a name came, went, or moved.
CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
DELETE_SELF: Final = 0x400
MOVE_SELF: Final = 0x800
OVERFLOW: Final = 0x4000
ONLY_FOLDERS: Final = 0x1000000
MASK: Final = (
    CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF | ONLY_FOLDERS
)
HEAD: Final = struct.Struct("iIII")
CHUNK_BYTES: Final = 1 << 16
# The folder itself went or moved away, or more happened than the kernel could keep.
ALL: Final = ""


class Inotify:
    """Watches folders, each of them alone and not what is below.

    folders: by the kernel's number for them.

    Raises:
        OSError: the kernel has none to give.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._number = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._number < 0:
            raise _error("inotify_init1")
        self.folders: dict[int, Path] = {}

    def __enter__(self) -> Inotify:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._number)

    def add(self, folder: Path) -> bool:
        """Watch a folder; once more is the same as once. False: it is not there.

        Raises:
            OSError: the kernel refuses; it says why.
        """
        found = self._libc.inotify_add_watch(self._number, os.fsencode(folder), MASK)
        if found < 0:
            if ctypes.get_errno() in {errno.ENOENT, errno.ENOTDIR}:
                return False
            raise _error(f"inotify_add_watch {folder}")
        self.folders[found] = folder
        return True

    def wait(self, stop: int) -> frozenset[tuple[Path, str]]:
        """Wait until something changed, or until the file `stop` can be read: then nothing.

        Gives folder and name of each change. The name is empty for the folder itself, and so are
        both where anything may have changed.

        Raises:
            OSError: the watch broke.
        """
        ready, _, _ = select.select([self._number, stop], [], [])
        if self._number not in ready or stop in ready:
            return frozenset()
        return frozenset(self._changes(os.read(self._number, CHUNK_BYTES)))

    def _changes(self, events: bytes) -> list[tuple[Path, str]]:
        found, at = [], 0
        while at < len(events):
            watch, mask, _, length = HEAD.unpack_from(events, at)
            at += HEAD.size + length
            name = os.fsdecode(events[at - length : at].rstrip(b"\0"))
            lost = mask & (DELETE_SELF | MOVE_SELF | OVERFLOW)
            folder = self.folders.get(watch, Path())
            found.append((Path() if mask & OVERFLOW else folder, ALL if lost else name))
        return found


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
