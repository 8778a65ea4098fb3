"""Listens to Docker's events, and says when one of our containers changed."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from schemas.layout import LABEL_NODE

# What changes a listing. Left out: what health checks do all the time, and what only reads.
EVENTS = (
    "create", "destroy", "die", "health_status", "oom", "pause", "rename", "restart", "start",
    "stop", "unpause", "update",
)  # fmt: skip
CONNECT_SECONDS = 5.0
RETRY_SECONDS = 2.0
CHUNK_BYTES = 1 << 16
# What Docker calls `docker update`, which no listing shows. A word may be cut over two reads.
UPDATE = b'"update"'


class EventWatch(threading.Thread):
    """A thread that holds one connection to the engine.

    tell: called at each event, and when the connection was made or lost. tell_update: called when
    a container may have been given other limits.
    is_listening: whether it holds just now; until it does, someone has to look now and then.
    """

    def __init__(
        self,
        path: Path,
        node: str,
        tell: Callable[[], None],
        tell_update: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name="docker-events", daemon=True)
        self._path = path
        self._node = node
        self._tell = tell
        self._tell_update = tell_update
        self._stop_event = threading.Event()
        self.is_listening = False

    def run(self) -> None:
        """Listen until stopped. An engine that went away is called again."""
        while not self._stop_event.is_set():
            with contextlib.suppress(OSError):  # a pass says so when it lists the containers
                self._listen()
            was_listening, self.is_listening = self.is_listening, False
            if was_listening:
                self._tell()
            self._stop_event.wait(RETRY_SECONDS)

    def stop(self) -> None:
        """End the thread; it is a daemon thread, and may end with the process."""
        self._stop_event.set()

    def _listen(self) -> None:
        filters = {"type": ["container"], "event": EVENTS, "label": [f"{LABEL_NODE}={self._node}"]}
        target = f"/events?filters={quote(json.dumps(filters))}"
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(CONNECT_SECONDS)
            link.connect(str(self._path))
            link.sendall(f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            link.settimeout(None)
            self.is_listening = True
            self._tell()  # whatever happened before we listened
            end = b""
            while (piece := link.recv(CHUNK_BYTES)) and not self._stop_event.is_set():
                if UPDATE in end + piece:
                    self._tell_update()
                end = piece[1 - len(UPDATE) :]
                self._tell()
