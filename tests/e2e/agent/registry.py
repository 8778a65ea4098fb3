"""A registry that takes a call and never answers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from examples.tour.engines import Engine
from tests.e2e.agent.host import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class SilentRegistry:
    """name: what stands before the `/` in references to its images."""

    name: str
    listener: socket.socket

    def wait_for_a_pull(self) -> None:
        """Return as soon as an engine has called, which then waits for as long as we live."""
        self.listener.settimeout(PATIENCE_SECONDS)
        self.listener.accept()[0].detach()


@contextlib.contextmanager
def silent_registry(engine: Engine) -> Iterator[SilentRegistry]:
    """Listen where the engine can reach it, for the length of a block."""
    host = f"{engine.address.rpartition('.')[0]}.1"
    with socket.create_server((host, 0)) as listener:
        yield SilentRegistry(f"{host}:{listener.getsockname()[1]}", listener)
