"""One agent at a time: two on one state folder would fight over every container."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False  # not from `typing`: a pass without a change pays for each import
if TYPE_CHECKING:
    from typing import Final

FILE: Final = "lock"


class BusyError(Exception):
    """Another agent holds the lock. The message says which one, and what to do."""


class Lock:
    """Held from `acquire` until the process ends, however it ends: the kernel lets go of it."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def release(self) -> None:
        """Let go of it before the process ends."""
        os.close(self._number)


def acquire(state_dir: str) -> Lock:
    """Take the lock of a state folder.

    Raises:
        BusyError: another agent has it.
        OSError: the folder cannot be made or written.
    """
    os.makedirs(state_dir, mode=0o700, exist_ok=True)  # noqa: PTH103  # pathlib costs 5 ms
    path = f"{state_dir}/{FILE}"
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(number, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(number)
        raise BusyError(
            f"another agent (process {owner}) works on {state_dir}. "
            "Fix: let it finish, stop it, or give this one another state_dir"
        ) from error
    os.ftruncate(number, 0)
    os.pwrite(number, f"{os.getpid()}\n".encode("ascii"), 0)
    return Lock(number)
