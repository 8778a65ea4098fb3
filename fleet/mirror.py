"""The bare mirror as a folder: making it, one user at a time, upkeep, and putting it aside.

Light, like git_command.py: an agent's quick look uses it.
"""

from __future__ import annotations

import fcntl
import os
import time

from fleet import git_command
from fleet.errors import DamagedError, RepositoryError
from fleet.ref_files import UnclearRefsError, read_refs

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from fleet.access import Access
    from fleet.git_command import Finished

CHANGES_FILE: Final = "miaas-changes"  # grows by a byte for each change since the last upkeep
UPKEEP_EVERY: Final = 100  # changes: each is a small pack, or some 3 loose objects, about 12 KB
KEEP: Final = "10.minutes.ago"  # what somebody may still read after the ref has moved on
LEAST_SECONDS: Final = 0.1  # a call on this machine alone is over by then
DAMAGED_KEPT: Final = 2  # enough to find out why, too few to fill a disk


class Mirror:
    """One remote's bare mirror.

    timeout: seconds for one call of git. upkeep_every: changes between two rounds of upkeep. keep:
    age at which what no ref reaches may go, in git's words. ends: when every call ends at the
    latest, on the steady clock; None: no sooner than by its timeout.
    """

    __slots__ = (
        "access", "ends", "environment", "folder", "keep", "timeout", "upkeep_every", "url",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  # settings, all by name; a dataclass costs 8 ms to import
        self,
        url: str,
        folder: str,
        *,
        access: Access,
        timeout: float = git_command.TIMEOUT_SECONDS,
        upkeep_every: int = UPKEEP_EVERY,
        keep: str = KEEP,
    ) -> None:
        self.url = url
        self.folder = folder
        self.access = access
        self.timeout = timeout
        self.upkeep_every = upkeep_every
        self.keep = keep
        self.ends: float | None = None
        self.environment = git_command.environment(url, access)

    def git(self, *arguments: str, data: bytes = b"", seconds: float | None = None) -> Finished:
        """Run one git command on the mirror. seconds: it may take; None: the timeout."""
        timeout = self.timeout if seconds is None else seconds
        if self.ends is not None:
            timeout = max(LEAST_SECONDS, min(timeout, self.ends - time.monotonic()))
        return git_command.run(self.folder, arguments, self.environment, data=data, timeout=timeout)

    def refs(self, wanted: Iterable[str]) -> dict[str, str]:
        """Say where refs stand in the mirror.

        Raises:
            DamagedError: its files do not say.
        """
        try:
            return read_refs(self.folder, wanted)
        except UnclearRefsError as error:
            raise DamagedError(str(error)) from error


class held:  # noqa: N801  # used as `with held(mirror):`
    """Keep other threads and processes from changing the mirror meanwhile.

    Nobody holds it longer than a few calls of git take, and each of those has its bound.
    """

    __slots__ = ("_mirror", "_number")

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._number = -1

    def __enter__(self) -> None:
        os.makedirs(os.path.dirname(self._mirror.folder), exist_ok=True)  # noqa: PTH103, PTH120
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._number = os.open(_lock_path(self._mirror), flags, 0o600)
        fcntl.flock(self._number, fcntl.LOCK_EX)
        os.utime(self._number)  # the file's time is now the clock for `drop_stale_locks`

    def __exit__(self, *_: object) -> None:
        os.close(self._number)


def _lock_path(mirror: Mirror) -> str:
    return f"{mirror.folder}.lock"


def create(mirror: Mirror) -> None:
    """Make an empty mirror where none is."""
    if os.path.isdir(mirror.folder):  # noqa: PTH112
        return
    done = mirror.git("init", "--quiet", "--bare", "--template=", "--", mirror.folder)
    if done.code != 0:
        raise RepositoryError(f"cannot make {mirror.folder}: {git_command.last_word(done)}")
    os.chmod(mirror.folder, 0o700)  # noqa: PTH101


def put_aside(mirror: Mirror) -> None:
    """Rename a damaged mirror for somebody to look at, and drop the oldest such ones."""
    import shutil  # noqa: PLC0415  # rarely needed

    numbers = _damaged(mirror)
    os.rename(mirror.folder, f"{mirror.folder}.damaged-{max(numbers, default=0) + 1}")  # noqa: PTH104
    for number in sorted(_damaged(mirror))[:-DAMAGED_KEPT]:
        shutil.rmtree(f"{mirror.folder}.damaged-{number}", ignore_errors=True)


def _damaged(mirror: Mirror) -> list[int]:
    parent, name = os.path.split(mirror.folder)
    endings = (
        entry.removeprefix(f"{name}.damaged-")
        for entry in os.listdir(parent)  # noqa: PTH208
        if entry.startswith(f"{name}.damaged-")
    )
    return [int(ending) for ending in endings if ending.isdigit()]


def examine(mirror: Mirror) -> None:
    """Look at every object and ref.

    Raises:
        DamagedError: something is broken.
    """
    done = mirror.git("fsck", "--full", "--no-dangling", "--no-progress")
    if done.code not in (0, git_command.TIMED_OUT):
        raise DamagedError(f"{mirror.folder} is damaged: {git_command.last_word(done)}")
    mirror.refs(("refs/",))


def fault(mirror: Mirror, otherwise: str) -> RepositoryError:
    """Say why something could not be read here: damage, or else what the caller saw."""
    try:
        examine(mirror)
    except DamagedError as error:
        return error
    return RepositoryError(otherwise)


def drop_stale_locks(mirror: Mirror) -> bool:
    """Remove lock files that a git left behind when it died. Call it while holding the mirror.

    A git of ours lives no longer than the timeout, so an older lock has no owner.
    """
    now = os.stat(_lock_path(mirror)).st_mtime  # noqa: PTH116
    dropped = False
    for folder, _, names in os.walk(mirror.folder):
        for name in names:
            path = f"{folder}/{name}"
            is_lock = name.endswith(".lock") or name == "gc.pid"
            if is_lock and now - os.stat(path).st_mtime > mirror.timeout:  # noqa: PTH116
                os.unlink(path)  # noqa: PTH108
                dropped = True
    return dropped


def drop_leftovers(mirror: Mirror) -> None:
    """Remove what calls of git that were ended have left half written, some 100 MB each.

    Call it while holding the mirror, after a call that failed. What was written since we hold it is
    ours. What is older than the timeout has no owner that lives.
    """
    for folder, _, names in os.walk(f"{mirror.folder}/objects"):
        _drop_unfinished(mirror, folder, names)


def drop_old_leftovers(mirror: Mirror) -> None:
    """Remove what is large of that, before a fetch: nobody may have come to it after a failure."""
    folder = f"{mirror.folder}/objects/pack"
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return  # no mirror any more, as the fetch will find out
    _drop_unfinished(mirror, folder, names)


def _drop_unfinished(mirror: Mirror, folder: str, names: Iterable[str]) -> None:
    unfinished = [name for name in names if name.startswith(("tmp_", ".tmp-"))]
    now = os.stat(_lock_path(mirror)).st_mtime if unfinished else 0.0  # noqa: PTH116
    for name in unfinished:
        path = f"{folder}/{name}"
        try:
            age = now - os.stat(path).st_mtime  # noqa: PTH116
            if age <= 0 or age > mirror.timeout:
                os.unlink(path)  # noqa: PTH108
        except FileNotFoundError:
            continue


def count_change(mirror: Mirror) -> None:
    """Note that objects were added. On a full disk the count stays behind, and does no harm."""
    try:
        with open(f"{mirror.folder}/{CHANGES_FILE}", "ab") as file:  # noqa: PTH123
            file.write(b".")
    except OSError:
        return


def is_upkeep_due(mirror: Mirror) -> bool:
    """Whether enough was added since the last upkeep."""
    try:
        return os.stat(f"{mirror.folder}/{CHANGES_FILE}").st_size >= mirror.upkeep_every  # noqa: PTH116
    except OSError:
        return False


def do_upkeep(mirror: Mirror) -> None:
    """Pack what is reachable and drop the rest, so that moved refs do not fill the disk.

    Raises:
        DamagedError: git found the mirror broken.
    """
    done = mirror.git("gc", "--quiet", f"--prune={mirror.keep}")
    if done.code != 0:
        drop_leftovers(mirror)
    if done.code not in (0, git_command.TIMED_OUT):
        drop_stale_locks(mirror)
        examine(mirror)
    with open(f"{mirror.folder}/{CHANGES_FILE}", "wb"):  # noqa: PTH123
        pass
