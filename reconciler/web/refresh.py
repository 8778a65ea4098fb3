"""The one thread that looks. Requests only read what it last saw."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from fleet.port import RepositoryError
from reconciler.web.latest import Latest
from reconciler.web.views import FleetView
from schemas.problem import BadDocumentError

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], datetime]
Look: TypeAlias = Callable[[Clock], FleetView]


class Refresher:
    """Looks every so often and keeps the newest view. What was seen stays while Git is silent."""

    def __init__(self, look: Look, clock: Clock, every: timedelta) -> None:
        self._look = look
        self._clock = clock
        self._latest = Latest(every=every)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)

    def latest(self) -> Latest:
        """What is to be shown now."""
        return self._latest

    def start(self) -> None:
        """Look for the first time, and go on looking, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A look under way is waited for, as long as one may take."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=self._latest.every.total_seconds() + 1)

    def refresh(self) -> None:
        """Look once, and keep what was seen, or why nothing was."""
        try:
            view = self._look(self._clock)
        except (RepositoryError, BadDocumentError, OSError) as error:
            self._fail(str(error))
        except Exception as error:
            # A bug must show on the page and in the log; a dead thread would show nothing.
            log.exception("look failed")
            self._fail(f"internal error: {type(error).__name__}: {error}")
        else:
            if self._latest.error:
                log.warning("git answers again")
            # One assignment of one value: a request sees the old one or the new one.
            self._latest = replace(self._latest, view=view, looked_at=self._clock(), error="")

    def _fail(self, why: str) -> None:
        if why != self._latest.error:
            log.warning("git does not answer", extra={"pairs": {"why": why}})
        self._latest = replace(self._latest, error=why)

    def _run(self) -> None:
        while True:
            self.refresh()
            if self._end.wait(self._latest.every.total_seconds()):
                return
