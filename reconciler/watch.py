"""News of a repository on this machine, without asking for it again and again. Shell."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final

from watchfiles import Change, watch

from fleet.local import local_folder
from schemas.layout import NODE_REFS, desired_ref

log = logging.getLogger(__name__)

# A push moves its refs within a few milliseconds; what comes within `step` is one piece of news.
_STEP_MS: Final = 5
_DEBOUNCE_MS: Final = 50
_PACKED: Final = "packed-refs"


class News:
    """Waits between passes. Threads that watch, and signals, wake it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._people = False
        self._machines = False
        self._stopped = False
        self._last = monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the program is asked to end."""
        return self._stopped

    def people_spoke(self) -> None:
        """The branch that people commit to moved: look at once."""
        with self._changed:
            self._people = True
            self._changed.notify_all()

    def machines_spoke(self) -> None:
        """A heartbeat arrived: look when it is calm."""
        with self._changed:
            self._machines = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the waiting for good."""
        # Set first and without the lock: a signal handler may run while the waiter holds it.
        self._stopped = True
        threading.Thread(target=self._wake, daemon=True).start()

    def wait(self, longest: timedelta, calm: timedelta) -> None:
        """Return when people committed, when machines spoke and `calm` is over, or at `longest`."""
        begun = monotonic()
        with self._changed:
            while not (self._stopped or self._people):
                end = begun + longest.total_seconds()
                if self._machines:
                    end = min(end, self._last + calm.total_seconds())
                if (left := end - monotonic()) <= 0:
                    break
                self._changed.wait(left)
            self._people = self._machines = False
            self._last = monotonic()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Watcher:
    """Watches the refs of local repositories and wakes whoever waits. Others are left to polling.

    Watching is only a quicker way to hear: what it misses, the next poll finds.
    """

    def __init__(self, desired: str, state: str, branch: str, news: News) -> None:
        self._wanted = (
            (desired, desired_ref(branch), news.people_spoke),
            (state, NODE_REFS, news.machines_spoke),
        )
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to watch what is here."""
        for url, ref, tell in self._wanted:
            folder = local_folder(url)
            if folder is not None:
                self._watch(folder / "refs", ref, tell, recursive=True)
                self._watch(folder, ref, tell, recursive=False)

    def stop(self) -> None:
        """End the watching."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, folder: Path, ref: str, tell: Callable[[], None], *, recursive: bool) -> None:
        def run() -> None:
            try:
                for _ in watch(
                    folder,
                    watch_filter=_Concerns(ref, folder if not recursive else folder.parent),
                    debounce=_DEBOUNCE_MS,
                    step=_STEP_MS,
                    stop_event=self._stop,
                    rust_timeout=1_000,
                    recursive=recursive,
                    raise_interrupt=False,
                ):
                    tell()
            except OSError as error:
                pairs = {"folder": folder, "error": error}
                log.warning("cannot watch, polling instead", extra={"pairs": pairs})

        thread = threading.Thread(target=run, name=f"watch {folder}", daemon=True)
        thread.start()
        self._threads.append(thread)


class _Concerns:
    """Whether a changed path can mean that a ref moved: its own file, or the packed ones.

    A folder on the way to the ref counts too: what is made in a new folder at once is not heard.
    """

    def __init__(self, ref: str, root: Path) -> None:
        self._ref = f"{root}/{ref}"
        self._packed = f"{root}/{_PACKED}"

    def __call__(self, change: Change, path: str) -> bool:
        del change
        if path.endswith(".lock"):
            return False
        below = self._ref.endswith("/") and path.startswith(self._ref)
        return below or path in (self._ref, self._packed) or self._ref.startswith(f"{path}/")
