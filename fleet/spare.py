"""Room for a few objects in memory, for when a mirror's disk takes nothing more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from fleet.errors import RepositoryError
from fleet.mirror import Mirror

# What Linux keeps in memory as a folder. Every host has it, and every systemd unit may write there.
MEMORY: Final = "/dev/shm"  # noqa: S108  # a folder of its own is made in it, for us alone


class NoRoomError(RepositoryError):
    """The disk of a mirror is full."""


def is_full(complaint: str) -> bool:
    """Whether git, which speaks English to us, complains of a disk that is full."""
    return "No space left on device" in complaint or "Disk quota exceeded" in complaint


@contextlib.contextmanager
def spare(mirror: Mirror) -> Iterator[Mirror]:
    """A view of a mirror for a `with` block: it reads the mirror, and writes objects to memory.

    Raises:
        NoRoomError: there is no room in memory either.
    """
    import shutil  # noqa: PLC0415  # 8 ms for both, and rarely needed
    import tempfile  # noqa: PLC0415

    try:
        folder = tempfile.mkdtemp(prefix="miaas-objects-", dir=MEMORY)
    except OSError as error:
        raise NoRoomError(f"the disk is full, and memory gives no room: {error}") from error
    try:
        view = Mirror(mirror.url, mirror.folder, access=mirror.access, timeout=mirror.timeout)
        view.environment = {
            **mirror.environment,
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.path.join(mirror.folder, "objects"),  # noqa: PTH118
        }
        yield view
    finally:
        shutil.rmtree(folder, ignore_errors=True)
