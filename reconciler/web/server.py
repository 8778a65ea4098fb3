"""The server for production: waitress, a pool of threads, no reloads."""

from __future__ import annotations

from typing import Any, Final

import waitress  # type: ignore[import-untyped]  # it ships no types

# A page is rendered in some milliseconds, so few threads serve many readers.
_THREADS: Final = 4
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, never bound


class Server:
    """A page that listens from the moment it is made. Port 0 takes any free one.

    Raises:
        OSError: the port is taken, or not ours to take.
        ValueError: there is no such host.
    """

    def __init__(self, app: object, host: str, port: int) -> None:
        self._server: Any = waitress.create_server(
            app, host=host, port=port, threads=_THREADS, ident=""
        )
        # A name with several addresses makes several sockets, all on one port.
        several = getattr(self._server, "effective_listen", ())
        bound = several[0][1] if several else self._server.effective_port
        self.url = _url(_ANYWHERE.get(host, host), int(bound))

    def run(self) -> None:
        """Answer until SystemExit or KeyboardInterrupt is raised in this thread."""
        self._server.run()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
