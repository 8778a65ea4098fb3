"""Compose's calls in a process of their own, which leaves again when nothing changes for a while.

Compose's Python client takes as much memory as the whole agent, and a fifth of a second to load. A
service that changes something once a day must not keep it, and one that just did should not load
it twice. So calls go to a child; one child that has nothing to do stays for some minutes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from agent.runtime.compose import ComposeRuntime, DockerSettings
from agent.runtime.port import Project, RuntimeDownError, RuntimeFailedError

# Who changed one thing often changes the next within minutes.
STAY_SECONDS: Final = 120.0
# A child with nothing to do ends in milliseconds once nobody can call it any longer.
END_SECONDS: Final = 5.0
SIZE: Final = struct.Struct("!I")


class LentCompose(ComposeRuntime):
    """The engine of this host, with all that needs Compose's client done by children.

    Obeys `agent.runtime.port.Runtime`. Calls may come from several threads: each has a child.
    """

    def __init__(self, settings: DockerSettings, stay_seconds: float = STAY_SECONDS) -> None:
        super().__init__(settings)
        self._lent = settings
        self._stay = stay_seconds
        self._guard = threading.Lock()
        self._idle: list[_Child] = []
        self._timer: threading.Timer | None = None

    def warm(self) -> None:
        """Have a child ready, so that a change about to come need not wait for it."""
        with self._guard:
            if self._idle:
                return
        with contextlib.suppress(RuntimeFailedError, OSError):  # a call says so when it is made
            self._give_back(_Child(self._lent))

    def close(self) -> None:
        """End the child that has nothing to do. Another call starts a new one."""
        with self._guard:
            gone, self._idle = self._idle, []
            if self._timer is not None:
                self._timer.cancel()
        for child in gone:
            child.end()

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        resolved: Mapping[str, object] = self._lend("resolve", folder, project)
        return resolved

    def lacking(self, project: Project) -> tuple[str, ...]:
        """Name the images of a project that are not here; only who resolved it knows them all."""
        missing: tuple[str, ...] = self._lend("lacking", project)
        return missing

    def pull(self, project: Project) -> None:
        self._lend("pull", project)

    def up(self, project: Project, within: float | None = None) -> None:
        self._lend("up", project, within)

    def down(self, project: str) -> None:
        self._lend("down", project)

    def _lend(self, name: str, *words: object) -> Any:
        """Let a child make a call.

        Raises:
            RuntimeFailedError, RuntimeDownError: as the call itself would.
        """
        child = self._take()
        try:
            answer = child.ask(name, words)
        except (OSError, EOFError) as error:
            child.end()
            raise RuntimeFailedError(f"Docker's client ended in the middle of {name}") from error
        self._give_back(child)
        if isinstance(answer, RuntimeFailedError | RuntimeDownError):
            raise answer
        return answer

    def _take(self) -> _Child:
        with self._guard:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._idle:
                return self._idle.pop()
        return _Child(self._lent)

    def _give_back(self, child: _Child) -> None:
        """Keep one child, and not for ever."""
        with self._guard:
            surplus = bool(self._idle)
            if not surplus:
                self._idle.append(child)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._stay, self.close)
            self._timer.daemon = True
            self._timer.start()
        if surplus:
            child.end()


class _Child:
    """A process that makes calls for us, one after the other.

    It has a session of its own: a Ctrl-C in a terminal must not tear a call in two.
    """

    def __init__(self, settings: DockerSettings) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.hands"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise RuntimeFailedError(f"Docker's client cannot be started: {error}") from error
        with contextlib.suppress(OSError):  # it died at once: the first call says so
            self._send(settings)

    def ask(self, name: str, words: tuple[object, ...]) -> Any:
        """Make a call, and give its answer; an error that it ended with is an answer too.

        Raises:
            OSError, EOFError: the child is gone.
        """
        assert self._process.stdout is not None  # noqa: S101  # opened as a pipe above
        self._send((name, words))
        return _read(self._process.stdout)

    def end(self) -> None:
        """Let it go: it ends when it can hear us no longer."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None  # noqa: S101  # opened as a pipe above
        _write(self._process.stdin, value)


def serve(heard: IO[bytes], said: IO[bytes]) -> None:
    """Make calls until nobody is there to ask for one."""
    runtime = ComposeRuntime(_read(heard))
    with contextlib.suppress(RuntimeFailedError):  # the first call says so
        runtime.warm()
    while True:
        try:
            name, words = _read(heard)
        except EOFError:
            return
        try:
            answer = getattr(runtime, name)(*words)
        except (RuntimeFailedError, RuntimeDownError) as error:
            answer = error
        _write(said, answer)


def _read(stream: IO[bytes]) -> Any:
    """Read a value that our own other half wrote.

    Raises:
        EOFError: it is gone.
    """
    head = stream.read(SIZE.size)
    if len(head) < SIZE.size:
        raise EOFError
    (size,) = SIZE.unpack(head)
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return pickle.loads(body)  # noqa: S301  # from our own child, or from who started us


def _write(stream: IO[bytes], value: object) -> None:
    body = pickle.dumps(value)
    stream.write(SIZE.pack(len(body)) + body)
    stream.flush()


def main() -> None:
    """Serve on the two pipes that we were started with."""
    heard, said = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _close_input()  # a program that asks something must neither wait for us nor read our calls
    os.dup2(2, 1)  # whatever a library prints must not get between our answers
    with contextlib.suppress(BrokenPipeError):
        serve(heard, said)


def _close_input() -> None:
    """Have nobody behind the standard input, for us and for all that we start."""
    nobody = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nobody, 0)
    os.close(nobody)


if __name__ == "__main__":
    main()
