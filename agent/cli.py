"""`miaas-agent`: the entry point. Answers a pass without a change by itself, and quickly.

This module and what it imports above are all that such a pass loads, and `fence` little more.
Everything else stands in agent/commands.py, which is brought in only when there is something to do.
"""

from __future__ import annotations

import os
import sys
import time

from agent.settings import DEFAULTS, BadSettingsError, read_settings

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.clock import Clock
    from agent.settings import Settings

BOOT_FILE = "/proc/sys/kernel/random/boot_id"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = _plain("once", words)
    if settings is not None and _is_done_by_a_glance(settings):
        return 0
    settings = _plain("fence", words)
    if settings is not None:
        return _fence(settings)
    from agent.commands import run_command  # noqa: PLC0415  # heavy, and usually not needed

    return run_command(words, os.environ, _clock())


def _clock() -> Clock:
    """The clocks of this host: nobody else reads them."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from agent.clock import Clock  # noqa: PLC0415

    return Clock(
        wall=lambda: datetime.now(UTC),
        boottime=_boottime,
        boot=boot_id(),
    )


def boot_id() -> str:
    """Name this boot of the host."""
    with open(BOOT_FILE, encoding="ascii") as stream:  # noqa: PTH123  # pathlib costs 5 ms
        return stream.read().strip()


def _plain(command: str, words: list[str]) -> Settings | None:
    """Settings, if the words are a command and plain settings. None: the full parser has to look.

    argparse alone costs as much as the whole rest of a pass without a change.
    """
    if words[:1] != [command] or len(words) % 2 == 0:
        return None
    flags = {}
    for flag, value in zip(words[1::2], words[2::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in {*DEFAULTS, "config"}:
            return None
        flags[name] = value
    try:
        return read_settings(flags.pop("config", ""), flags, os.environ)
    except BadSettingsError:
        return None


def _fence(settings: Settings) -> int:
    """Stop what this host may run no longer."""
    from agent.fence import enforce  # noqa: PLC0415  # only `fence` needs it

    return enforce(settings, boot=boot_id(), boottime=_boottime)


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_done_by_a_glance(settings: Settings) -> bool:
    """Whether there is nothing to do. Not asked while another agent works: that is told later."""
    from agent.glance import is_all_quiet  # noqa: PLC0415  # only `once` needs it
    from agent.lock import BusyError, acquire  # noqa: PLC0415

    try:
        lock = acquire(settings.state_dir)
    except (BusyError, OSError):
        return False
    try:
        return is_all_quiet(settings, boot=boot_id(), now=_boottime())
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main())
