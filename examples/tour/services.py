"""Background programs of the tour: started apart from this terminal, stopped by their own id."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 15.0


class TourError(Exception):
    """The tour cannot go on. The message says what a person can do about it."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running program: its process id, and when the kernel says that it started.

    The start time tells our process from another one that was given the same id later.
    """

    name: str
    pid: int
    started: str


def start(
    name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Service:
    """Start a program in a session of its own, with its log and its id in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed list of words, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=dict(environment),
        )
    # Reaped in the background, or it would stay a zombie for as long as its starter lives.
    threading.Thread(target=process.wait, daemon=True).start()
    service = Service(name, process.pid, _start_time(process.pid) or "")
    (folder / f"{name}.pid").write_text(f"{service.pid} {service.started}\n", encoding="ascii")
    return service


def known(folder: Path) -> tuple[Service, ...]:
    """The programs that were started with this folder and still run."""
    found = []
    for file in sorted(folder.glob("*.pid")):
        words = file.read_text(encoding="ascii").split()
        if len(words) == 2 and _start_time(int(words[0])) == words[1]:  # noqa: PLR2004 - pid, start
            found.append(Service(file.stem, int(words[0]), words[1]))
    return tuple(found)


def stop_all(folder: Path) -> int:
    """End every program of this folder, gently and then not, and say how many there were."""
    services = known(folder)
    for service in services:
        _signal(service, signal.SIGTERM)
    for service in services:
        if not wait_for(lambda service=service: not _alive(service), STOP_SECONDS):  # type: ignore[misc]
            _signal(service, signal.SIGKILL)
            wait_for(lambda service=service: not _alive(service), STOP_SECONDS)  # type: ignore[misc]
    for file in folder.glob("*.pid"):
        file.unlink()
    return len(services)


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    """Look ten times a second until the condition holds. False: it did not, in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())


def _alive(service: Service) -> bool:
    return _start_time(service.pid) == service.started


def _signal(service: Service, number: signal.Signals) -> None:
    if _alive(service):
        os.killpg(service.pid, number)


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/<pid>/stat; None: no such process, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
