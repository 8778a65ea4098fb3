"""GitPython's long-lived `git cat-file`, hardened as every other call, and bounded in time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import git
from git.db import GitCmdObjectDB

from fleet import git_command, mirror
from fleet.errors import RepositoryError
from fleet.mirror import Mirror


class Readers:
    """The processes that read single objects of a mirror. They start when they are needed."""

    def __init__(self, place: Mirror) -> None:
        self._mirror = place
        self._git = _HardenedGit(place)
        self._watch: threading.Timer | None = None

    def end(self) -> None:
        """End the processes. Reading again starts new ones."""
        self._git.clear_cache()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Bound the time of what is read inside, all of it together: GitPython has no bound."""
        try:
            yield
        finally:
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
            if self._git.was_killed:
                self.end()

    @contextlib.contextmanager
    def reading(self, wanted: str) -> Iterator[GitCmdObjectDB]:
        """Read an object from GitPython's object database, inside `watched`.

        Raises:
            DamagedError: the mirror is broken.
            RepositoryError: the object is not here, or reading it took too long.
        """
        if not os.path.isdir(self._mirror.folder):  # noqa: PTH112
            raise RepositoryError(f"object {wanted} is not here: nothing was fetched yet")
        if self._watch is None:  # only now: a thread costs more than what is remembered
            self._watch = threading.Timer(self._mirror.timeout, self._git.kill_readers)
            self._watch.daemon = True
            self._watch.start()
        try:
            yield GitCmdObjectDB(f"{self._mirror.folder}/objects", self._git)
        except (ValueError, OSError, git.GitError) as error:
            was_killed = self._git.was_killed
            self.end()
            if was_killed:
                late = f"reading {wanted} took more than {self._mirror.timeout:g} s"
                raise RepositoryError(late) from error
            raise mirror.fault(self._mirror, f"object {wanted} is not here") from error


class _Content(git.Git.CatFileContentStream):
    """What a reader gives. It goes quietly if its reader has been ended meanwhile."""

    def __del__(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            super().__del__()


class _HardenedGit(git.Git):
    """GitPython's runner, bound to our command line and environment.

    GitPython adds to the environment of this process and cannot take away, so `env -i` does.
    """

    CatFileContentStream = _Content

    def __init__(self, place: Mirror) -> None:
        super().__init__("/")
        self._place = place
        self.was_killed = False

    def clear_cache(self) -> git.Git:
        self.was_killed = False
        return super().clear_cache()

    def execute(self, command: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        pairs = (f"{name}={value}" for name, value in self._place.environment.items())
        whole = git_command.command(self._place.folder, command[1:])
        return super().execute(["env", "-i", *pairs, *whole], *args, **kwargs)

    def kill_readers(self) -> None:
        """End the readers that hang: whoever waits for them gets an error."""
        self.was_killed = True
        for reader in (self.cat_file_all, self.cat_file_header):
            if reader is not None and reader.proc is not None:
                reader.proc.kill()
