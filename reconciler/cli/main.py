"""`miaas`: what people type. Reads arguments, runs one command, turns its end into an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from fleet.errors import RepositoryError
from reconciler.cli.arguments import parser
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.terminal import Terminal, devnull_on, safe
from schemas.problem import BadDocumentError

_INTERRUPTED: Final = 130  # as shells have it: 128 and the signal's number


def main(argv: Sequence[str] | None = None) -> int:
    """Run `miaas` and give its exit code. Nothing a person can cause ends in a traceback."""
    terminal = Terminal.of(sys.stdout, sys.stderr, os.environ)
    arguments = parser(installed_version()).parse_args(argv)
    try:
        # A command imports what it needs when it runs: help and version come at once.
        name = arguments.command.replace("-", "_")
        command = importlib.import_module(f"reconciler.cli.{name}")
        code: int = command.run(arguments, terminal, os.environ)
        terminal.flush()
    except BrokenPipeError:
        devnull_on(sys.stdout)
        return Code.FINE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        if os.environ.get("MIAAS_DEBUG"):
            raise
        return _ended(error, f"miaas {arguments.command}", terminal)
    return code


def _ended(error: Exception, command: str, terminal: Terminal) -> Code:
    """Say why a command could not do its work, and with which code it ends."""
    match error:
        case BadDocumentError():
            terminal.complain(safe(str(error)))
            return Code.PROBLEMS
        case UsageError():
            terminal.complain(f"{command}: {safe(str(error))}")
            return Code.USAGE
        case RepositoryError() | OSError():
            terminal.complain(f"{command}: {safe(_told(error))}")
            return Code.WORLD
        case _:
            terminal.complain(
                f"{command}: internal error: {type(error).__name__}: {safe(str(error))}\n"
                "Fix: report it, with what MIAAS_DEBUG=1 prints"
            )
            return Code.WORLD


def installed_version() -> str:
    """The version of this installation."""
    try:
        return version("miaas")
    except PackageNotFoundError:
        return "not installed"


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
