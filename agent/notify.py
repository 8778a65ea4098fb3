"""Tells systemd how the agent is: ready, alive, stopping. Does nothing where no systemd asks."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping


class Systemd:
    """The other end of NOTIFY_SOCKET.

    watchdog_seconds: how often to sign life, half of what the unit allows; None: nobody waits.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 2e6 if microseconds.isdigit() else None

    def ready(self) -> None:
        """Say that the first pass is made."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """Sign life, and say in a line what goes on; `systemctl status` shows it."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that the end is meant."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # A leading @ names a socket of Linux's abstract name space, which begins with a zero byte.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link,
        ):
            link.sendto(text.encode(), address)
