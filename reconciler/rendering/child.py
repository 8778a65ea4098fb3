"""One rendering child: started, asked, and killed when it does not answer in time. Shell."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any, Final

import reconciler
from reconciler.rendering.worker import CPU_SECONDS, as_message

# Past this the child waits for something, for its processor time is bounded already; or the
# machine is so busy that the next pass had better try again.
WALL_SECONDS: Final = 20.0
# Several files of the largest size, spelled as JSON.
_ANSWER_MAX: Final = 16 * 1024 * 1024


class KilledError(Exception):
    """The child did not survive a request. The message says which bound it met."""


class Child:
    """A process that renders. It starts with the first request and again after each kill."""

    def __init__(self, *, wall_seconds: float = WALL_SECONDS) -> None:
        self._wall_seconds = wall_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the child before the first request needs it."""
        self._started()

    def ask(self, request: object) -> Any:
        """Send one request and wait for its answer.

        Raises:
            KilledError: it met a bound. The next request goes to a fresh child.
        """
        process = self._started()
        try:
            return _converse(process, request, monotonic() + self._wall_seconds)
        except (EOFError, BrokenPipeError, ValueError, RecursionError) as error:
            # ValueError: what it wrote is no JSON, so somebody else than our worker wrote it.
            cause = _cause(process)
            self.close()
            raise KilledError(cause) from error
        except TimeoutError as error:
            self.close()
            cause = f"the template was stopped after {self._wall_seconds:g} seconds"
            raise KilledError(cause) from error

    def close(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = _start()
        return self._process


def _cause(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "the template made the rendering process fall silent"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"the template was stopped after {CPU_SECONDS} s of processor time"
    return f"the template made the rendering process end with status {code}"


def _start() -> subprocess.Popen[bytes]:
    # Nothing of our environment reaches a template, not even by way of a broken sandbox.
    root = str(Path(reconciler.__file__).parent.parent)
    environment = {"PYTHONPATH": root, "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "reconciler.rendering.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        # A Ctrl-C at the terminal is for the parent, which ends the child itself.
        start_new_session=True,
    )


def _converse(process: subprocess.Popen[bytes], request: object, deadline: float) -> Any:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(as_message(request))
    process.stdin.flush()
    output = process.stdout.fileno()
    length = int.from_bytes(_take(output, 4, deadline), "big")
    if length > _ANSWER_MAX:
        raise EOFError
    return json.loads(_take(output, length, deadline))


def _take(descriptor: int, size: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - monotonic()))
        if not ready:
            raise TimeoutError
        part = os.read(descriptor, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
