"""Watches a state repository on this machine, and says when our own ref may have moved."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

from agent.inotify import ALL, Inotify

# A folder that went away is looked for again after this long.
RETRY_SECONDS: Final = 5.0
# All refs that are not files of their own: git writes it beside its place and renames it.
PACKED: Final = "packed-refs"

log = logging.getLogger(__name__)


class RefWatch(threading.Thread):
    """A thread that watches one ref of a bare repository.

    folder: of the repository. ref: whose moves count. tell: called at each, from this thread.
    """

    def __init__(self, folder: Path, ref: str, tell: Callable[[], None]) -> None:
        super().__init__(name="ref-watch", daemon=True)
        self._folder = folder
        self._ref = ref
        self._tell = tell
        self._stop_event = threading.Event()
        self._heard, self._bell = os.pipe2(os.O_CLOEXEC)

    def run(self) -> None:
        """Watch until stopped. A folder that went away is looked for again."""
        while not self._stop_event.is_set():
            try:
                self._watch()
            except OSError as error:
                log.warning("cannot watch", extra={"pairs": {"error": str(error)}})
            self._tell()
            self._stop_event.wait(RETRY_SECONDS)

    def stop(self) -> None:
        """End the thread."""
        self._stop_event.set()
        os.write(self._bell, b".")

    def _watch(self) -> None:
        """Tell of changes until stopped, or until the repository is gone.

        Raises:
            OSError: the kernel does not let us watch.
        """
        names = links(self._folder, self._ref)
        with Inotify() as kernel:
            while self._all_watched(kernel, names) and not self._stop_event.is_set():
                changes = kernel.wait(self._heard)
                if any(counts(names, *change) for change in changes):
                    self._tell()

    def _all_watched(self, kernel: Inotify, names: dict[Path, frozenset[str]]) -> bool:
        """Watch every folder on the way that is there. False: not even the first one is.

        A folder that comes may hold the ref already: who adds a watch has to look once more.
        """
        before = len(kernel.folders)
        there = [kernel.add(folder) for folder in names]
        if before and len(kernel.folders) > before:
            self._tell()
        return there[0]


def links(folder: Path, ref: str) -> dict[Path, frozenset[str]]:
    """The folders on the way to a ref, from the repository down, and what counts in each.

    Nothing else does: other nodes' refs stand beside ours, and git puts its locks there too.
    """
    names: dict[Path, frozenset[str]] = {folder: frozenset({ref.partition("/")[0], PACKED})}
    place = folder
    parts = ref.split("/")
    for part, following in pairwise(parts):
        place /= part
        names[place] = frozenset({following})
    return names


def counts(names: dict[Path, frozenset[str]], folder: Path, name: str) -> bool:
    """Whether a change may be one of our ref: of its file, of a folder above it, or of anything."""
    return name == ALL or name in names.get(folder, frozenset())
