"""Docker's events, as they come over its socket."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import EventWatch

BOUND_SECONDS = 10.0


@contextmanager
def an_engine(*pieces: bytes) -> Iterator[Path]:
    """A socket that sends these pieces to the first one who asks, each on its own."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "s")
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, pieces), daemon=True)
        thread.start()
        yield path
        thread.join(BOUND_SECONDS)


def _serve(listener: socket.socket, pieces: tuple[bytes, ...]) -> None:
    link, _ = listener.accept()
    with link:
        link.recv(65536)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        # The listener goes as soon as it has heard enough, which may be before the last piece.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                link.sendall(piece)


START = b'{"status":"start","Type":"container","Action":"start"}\n'
UPDATE = b'{"status":"update","Type":"container","Action":"update"}\n'


@pytest.mark.parametrize(
    ("pieces", "is_update"),
    [
        pytest.param((START, START), False, id="other events"),
        pytest.param((START, UPDATE), True, id="an update"),
        pytest.param((START + UPDATE[:20], UPDATE[20:]), True, id="in two pieces"),
        *(pytest.param((UPDATE[:cut], UPDATE[cut:]), True, id=f"cut at {cut}") for cut in (12, 15)),
    ],
)
def test_an_update_is_told_apart_from_other_events(
    pieces: tuple[bytes, ...], is_update: bool
) -> None:
    told, updates = threading.Event(), threading.Event()
    with an_engine(*pieces) as path:
        watch = EventWatch(path, "alpha", told.set, updates.set)
        watch.start()
        assert told.wait(BOUND_SECONDS)
        if is_update:
            assert updates.wait(BOUND_SECONDS)
        watch.stop()
    assert updates.is_set() is is_update
