"""`miaas-state-gc`: keeps a state repository of your own small.

Each heartbeat replaces the last one and leaves three objects behind that no ref reaches, 12 KB on
disk. Git itself keeps such objects for two weeks: fifty nodes would leave 24 GB of them.

What no ref reaches is packed at once, where heartbeats shrink to some hundred bytes each, and goes
for good after an hour. Pushes and fetches may go on meanwhile:
- a push brings every object that the server's refs do not reach, and writing an object that is
  there already makes it young again, so nothing that a push relies on can be old;
- our own pushes and fetches end after a minute, and the hour is far longer;
- git reads on in a pack that was replaced, and looks again for what it does not find.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pwd
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet import git_command
from fleet.access import Access
from fleet.errors import RepositoryError
from schemas.quantity import duration

KEEP: Final = "1h"
LOCK: Final = "miaas-state-gc.lock"
# Packing a first time what months have left takes minutes; after that it takes seconds.
TIMEOUT_SECONDS: Final = 3600.0
MIB: Final = 2**20
BLOCK_BYTES: Final = 512
FINE, USAGE, REFUSED = 0, 2, 3


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Space that the repository took before and after, in bytes on disk."""

    before: int
    after: int


def clean(folder: Path, expire: str) -> Cleaned:
    """Pack everything, and drop what no ref reached since `expire`, a time in git's words.

    Raises:
        RepositoryError: it is no bare repository, not ours, being cleaned by another, or git fails.
    """
    _check(folder)
    with _alone(folder):
        before = disk_bytes(folder)
        # Unreachable objects into a pack of their own, with the time of each of them ...
        _git(folder, "repack", "-d", "-l", "-q", "--cruft", f"--cruft-expiration={expire}")
        # ... and away with those that were too old for it.
        _git(folder, "prune", f"--expire={expire}")
        return Cleaned(before, disk_bytes(folder))


def disk_bytes(folder: Path) -> int:
    """Space that a folder takes on disk. What goes away meanwhile counts as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{place}/{name}").st_blocks * BLOCK_BYTES
            except FileNotFoundError:
                continue
    return total


def _check(folder: Path) -> None:
    if not ((folder / "HEAD").is_file() and (folder / "objects").is_dir()):
        raise RepositoryError(f"{folder} is no bare repository. Fix: name the folder with HEAD")
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        # Packs of another user could not be replaced by whoever pushes.
        raise RepositoryError(
            f"{folder} belongs to {_name(owner)}. Fix: run as that user "
            f"(User={_name(owner)} in a drop-in of the unit)"
        )


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second one out, which would do the same work twice.

    Raises:
        RepositoryError: there is one already.
    """
    with (folder / LOCK).open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RepositoryError(f"{folder} is being cleaned already") from error
        yield


def _git(folder: Path, *arguments: str) -> None:
    environment = git_command.environment("", Access(environment={"PATH": _path()}))
    done = git_command.run(str(folder), arguments, environment, timeout=TIMEOUT_SECONDS)
    if done.code != 0:
        raise RepositoryError(
            f"git {arguments[0]} failed in {folder}: {git_command.last_word(done)}. "
            "Fix: git 2.37 or newer is needed; `git fsck` tells of damage"
        )


def _path() -> str:
    return os.environ.get("PATH", git_command.SAFE_PATH)  # noqa: TID251  # this is the entry point


def main(arguments: Sequence[str] | None = None) -> int:
    """Clean one repository, and say what it took."""
    told = _parser().parse_args(arguments)
    folder = Path(os.path.abspath(told.repository))  # noqa: PTH100  # links stay as they are named
    try:
        keep = duration(told.keep)
    except ValueError as error:
        return _say(f"--keep {told.keep!r}: {error}", USAGE)
    try:
        done = clean(folder, f"{keep.total_seconds():.0f}.seconds.ago")
    except (RepositoryError, OSError) as error:
        return _say(str(error), REFUSED)
    before, after = done.before / MIB, done.after / MIB
    sys.stdout.write(f"{folder}: {before:.1f} MiB, now {after:.1f} MiB\n")
    return FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="miaas-state-gc", description="Keeps a state repository of your own small."
    )
    parser.add_argument("repository", help="folder of the bare repository")
    parser.add_argument(
        "--keep", default=KEEP, help=f"how long to keep what no ref reaches (default {KEEP})"
    )
    return parser


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"miaas-state-gc: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
