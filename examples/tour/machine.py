"""What engines need of the machine below them: its programs, its processes, and patience."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

# Debian keeps dockerd and ip where an ordinary PATH does not look.
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class EngineError(Exception):
    """An engine could not be started or stopped. The message holds the end of its log."""


def poll(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds. Gives whether it did in that time."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.02)
    return True


def alive(pid: int) -> bool:
    """Whether a process still runs. A zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def find(program: str) -> str | None:
    """Find a program, also where an ordinary PATH does not look."""
    return shutil.which(program, path=f"{SYSTEM_PATH}:{os.defpath}")


def path_of(name: str) -> str:
    """Find a program.

    Raises:
        EngineError: it is not installed.
    """
    found = find(name)
    if found is None:
        raise EngineError(f"{name} is not installed")
    return found


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program, for 30 seconds at most. It may fail."""
    command = [path_of(program), *arguments]
    return subprocess.run(command, capture_output=True, timeout=30, check=False)  # noqa: S603


def must(program: str, *arguments: str) -> None:
    """Run a program that may not fail.

    Raises:
        EngineError: it failed; the message holds its complaint.
    """
    answer = run(program, *arguments)
    if answer.returncode != 0:
        complaint = answer.stderr.decode(errors="replace").strip()
        raise EngineError(f"{program} {' '.join(arguments)}: {complaint}")
