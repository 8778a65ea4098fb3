"""GitPython's long-lived `git cat-file`, hardened as every other call, and bounded in time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import git
from git.db import GitCmdObjectDB

from fleet import git_command, mirror
from fleet.errors import RepositoryError
from fleet.mirror import Mirror

T = TypeVar("T")
Database: TypeAlias = GitCmdObjectDB

# A signal to all our processes ends the readers too, and one that is dead says nothing of objects.
TRIES: Final = 2


class NotHereError(RepositoryError):
    """A reader answered that there is no such object here."""


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

    def read(self, wanted: str, how: Callable[[Database], T]) -> T:
        """Read an object from GitPython's object database, inside `watched`.

        how: is called again if its reader was dead.

        Raises:
            DamagedError: the mirror is broken.
            NotHereError: the object is not here.
            RepositoryError: reading it took too long, or git gave no answer twice.
        """
        if not os.path.isdir(self._mirror.folder):  # noqa: PTH112
            raise NotHereError(f"object {wanted} is not here: nothing was fetched yet")
        if self._watch is None:  # only now: a thread costs more than what is remembered
            self._watch = threading.Timer(self._mirror.timeout, self._git.kill_readers)
            self._watch.daemon = True
            self._watch.start()
        why = ""
        for _ in range(TRIES):
            try:
                return how(Database(f"{self._mirror.folder}/objects", self._git))
            except ValueError as error:
                self._end_after(wanted, error)
                mirror.examine(self._mirror)
                raise NotHereError(f"object {wanted} is not here") from error
            except (OSError, git.GitError) as error:
                self._end_after(wanted, error)
                why = str(error).partition("\n")[0]
        raise mirror.fault(self._mirror, f"object {wanted} cannot be read: {why}")

    def _end_after(self, wanted: str, error: Exception) -> None:
        """End the processes after a failure. It is told here if they were too slow."""
        was_killed = self._git.was_killed
        self.end()
        if was_killed:
            late = f"reading {wanted} took more than {self._mirror.timeout:g} s"
            raise RepositoryError(late) from error


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

    def _parse_object_header(self, header_line: str) -> tuple[str, str, int]:
        if not header_line:  # GitPython takes it for an answer, and looks for who owns the folder
            raise BrokenPipeError("its reader ended")
        return super()._parse_object_header(header_line)

    def kill_readers(self) -> None:
        """End the readers that hang: whoever waits for them gets an error."""
        self.was_killed = True
        for reader in (self.cat_file_all, self.cat_file_header):
            if reader is not None and reader.proc is not None:
                reader.proc.kill()
