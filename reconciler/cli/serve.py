"""`miaas serve`: the status page and the JSON API, from Git alone, read-only."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn

from fleet.local import local_folder
from reconciler.cli.clock import even_clock
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.main import installed_version
from reconciler.cli.remotes import open_remotes
from reconciler.cli.terminal import Terminal
from reconciler.cli.where import Where, where
from reconciler.logs import log_to
from reconciler.observing.read import Reader
from reconciler.rendering.pool import BoundedRenderer
from reconciler.web.app import create_app
from reconciler.web.looker import Looker
from reconciler.web.refresh import Refresher
from reconciler.web.server import Server
from schemas.quantity import duration

_LOCAL: Final = timedelta(seconds=2)  # a folder answers in milliseconds
_REMOTE: Final = timedelta(seconds=15)  # forges ask for restraint, and several copies may run
_LEAST: Final = timedelta(seconds=1)


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Serve until SIGTERM or Ctrl-C."""
    log_to(sys.stderr, logging.WARNING)
    place = where(arguments, environ, Path.cwd())
    every = _every(arguments.every, place)
    clock = even_clock()
    with open_remotes(place, environ) as remotes, closing(BoundedRenderer()) as renderer:
        reader = Reader(*remotes, place.branch)
        looker = Looker(reader.read, renderer, history=reader.history)
        refresher = Refresher(looker.look, clock, every)
        app = create_app(refresher.latest, clock, installed_version())
        server = _listen(app, arguments.host, arguments.port)
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, _end)
        refresher.start()
        try:
            terminal.say(f"status page {server.url}")
            terminal.flush()
            server.run()
        finally:
            refresher.stop()
    return Code.FINE


def _listen(app: object, host: str, port: int) -> Server:
    try:
        return Server(app, host, port)
    except ValueError as error:
        raise UsageError(f"cannot listen on {host}: {error}") from error
    except OSError as error:
        text = f"cannot listen on {host}:{port}: {error.strerror}. Fix: choose another --port"
        raise OSError(text) from error


def _every(asked: str | None, place: Where) -> timedelta:
    if asked is None:
        both = (place.desired, place.state)
        return _LOCAL if all(local_folder(url) for url in both) else _REMOTE
    try:
        every = duration(asked)
    except ValueError as error:
        raise UsageError(f"--every {asked}: {error}") from error
    if every < _LEAST:
        raise UsageError(f"--every {asked}: at least 1s")
    return every


def _end(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(Code.FINE)
