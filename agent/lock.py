"""One agent at a time: two on one state folder would fight over every container.

And always the same: under another name it would take what it finds for its own, grants as well, and
see nothing of what still runs under the old one.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False  # not from `typing`: a pass without a change pays for each import
if TYPE_CHECKING:
    from typing import Final

FILE: Final = "lock"
OWNER_FILE: Final = "owner"


class BusyError(Exception):
    """Another agent holds the lock. The message says which one, and what to do."""


class ForeignError(Exception):
    """The state folder is that of another node or engine. The message says whose, and the fix."""


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


def claim(state_dir: str, node: str, engine: str) -> None:
    """Make sure that a locked state folder is this node's, with this engine, and nobody else's.

    Raises:
        ForeignError: it is not.
        OSError: it cannot be written.
    """
    if not check_owner(state_dir, node, engine):
        with open(f"{state_dir}/{OWNER_FILE}", "w", encoding="utf-8") as stream:  # noqa: PTH123
            stream.write(_owner(node, engine))


def check_owner(state_dir: str, node: str, engine: str) -> bool:
    """Whether a state folder is this node's already. False: it is nobody's yet.

    Raises:
        ForeignError: it is another's.
        OSError: it cannot be read.
    """
    path, ours = f"{state_dir}/{OWNER_FILE}", _owner(node, engine)
    try:
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123
            known = stream.read()
    except FileNotFoundError:
        return False
    if known.strip() and known != ours:
        raise ForeignError(
            f"{state_dir} is that of node {known.strip()}, and this is node {ours.strip()}: what "
            "runs under the old name would be forgotten. Fix: give this one another state_dir; or "
            f"drain the old node, see that none of its containers is left, and remove {path}"
        )
    return bool(known.strip())


def _owner(node: str, engine: str) -> str:
    return f"{node} {engine}\n"
