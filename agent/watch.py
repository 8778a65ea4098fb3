"""Watches a state repository on this machine, and says when our own ref may have moved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, watch

# watchfiles looks every step and answers after one without news. Shorter steps cost: at 5 ms
# they took 0.5 % of a core. These two keep an answer below 100 ms.
STEP_MS = 40
SETTLE_MS = 80
# How long a thread may take to notice that it should end, and to look again for a lost folder.
LOOK_AGAIN_MS = 1000
RETRY_SECONDS = 5.0

log = logging.getLogger(__name__)


class RefWatch(threading.Thread):
    """A thread that watches the refs of a bare repository.

    folder: of the repository. ref: whose moves count. tell: called at each.
    """

    def __init__(self, folder: Path, ref: str, tell: Callable[[], None]) -> None:
        super().__init__(name="ref-watch", daemon=True)
        self._folder = folder
        self._ref = ref
        self._tell = tell
        self._stop_event = threading.Event()

    def run(self) -> None:
        """Watch until stopped. A folder that went away is looked for again."""
        while not self._stop_event.is_set():
            try:
                self._watch()
            except (OSError, RuntimeError) as error:
                log.warning("cannot watch", extra={"pairs": {"error": str(error)}})
            self._tell()
            self._stop_event.wait(RETRY_SECONDS)

    def stop(self) -> None:
        """End the thread."""
        self._stop_event.set()

    def _watch(self) -> None:
        for _ in watch(
            self._folder / "refs",
            watch_filter=self._counts,
            debounce=SETTLE_MS,
            step=STEP_MS,
            rust_timeout=LOOK_AGAIN_MS,
            stop_event=self._stop_event,
            ignore_permission_denied=True,
        ):
            self._tell()

    def _counts(self, _change: Change, path: str) -> bool:
        """Whether a change may be one of our ref: of its file, or of a folder above it.

        A folder counts because the file may have come with it, before anyone watched inside.
        """
        return f"{self._folder}/{self._ref}".startswith(path)
