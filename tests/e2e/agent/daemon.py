"""What happens to a Docker daemon: it is stopped, it comes back, it hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from examples.tour.cables import NAMESPACES
from examples.tour.engines import Engine
from tests.e2e.agent.host import docker, eventually


@dataclass(frozen=True, slots=True)
class Launch:
    """How a daemon was started, read from the kernel, so that it can be started again alike."""

    words: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def of(cls, engine: Engine) -> Launch:
        process = Path(f"/proc/{engine.pid}")
        words = (process / "cmdline").read_text().split("\0")[:-1]
        pairs = (process / "environ").read_text().split("\0")[:-1]
        return cls(tuple(words), dict(pair.split("=", 1) for pair in pairs))


@contextlib.contextmanager
def hung(engine: Engine) -> Iterator[None]:
    """The daemon does not move for the length of a block; its socket still takes calls."""
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        eventually(lambda: all(state == "T" for state in _thread_states(engine.pid)))
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


def stopped(engine: Engine) -> Launch:
    """Stop the daemon as `systemctl stop` does, and say how it was started."""
    launch = Launch.of(engine)
    os.kill(engine.pid, signal.SIGTERM)
    eventually(lambda: not _thread_states(engine.pid))
    return launch


def started(engine: Engine, launch: Launch) -> Engine:
    """Start a stopped daemon again, and wait until it answers."""
    entering = [f"--net={NAMESPACES / engine.namespace}"] if engine.namespace else []
    with (engine.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*(["nsenter", *entering] if entering else []), *launch.words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=launch.environment,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()
    again = replace(engine, pid=process.pid)
    eventually(lambda: _answers(again))
    return again


def restarted(engine: Engine, *, program_path: str = "") -> Engine:
    """Stop and start the daemon; programs in `program_path` are found before all others."""
    launch = stopped(engine)
    if program_path:
        path = f"{program_path}:{launch.environment['PATH']}"
        launch = replace(launch, environment={**launch.environment, "PATH": path})
    return started(engine, launch)


def _answers(engine: Engine) -> bool:
    try:
        return bool(docker(engine, "version", "--format", "{{.Server.Version}}"))
    except AssertionError:
        return False


def _thread_states(pid: int) -> list[str]:
    """State letters of the threads of a process. Empty: it is gone, or about to be."""
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(stat.read_text().rpartition(")")[2].split()[0])
    return [state for state in states if state not in "ZX"]
