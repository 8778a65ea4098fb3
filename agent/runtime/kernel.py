"""What runs in containers as the kernel knows it, while their engine does not answer.

A container's processes are in a cgroup that is named after its id: `/docker/<id>`,
`docker-<id>.scope`. Imports next to nothing, for a program that starts every few seconds.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    Sender = Callable[[int, int], None]

# As everywhere in Linux; `signal` would be one import more.
SIGKILL: Final = 9
SIGTERM: Final = 15
ID_LENGTH: Final = 64
# Shorter than what a container gets from its engine: waiting for an answer took time already.
GRACE_SECONDS: Final = 15.0
# The kernel ends everything at once that does not wait for a device.
KILL_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.05


def cgroups(root: str = "/") -> Iterator[tuple[int, str]]:
    """Go through all processes, each with the text of its cgroups. root: where proc stands."""
    for name in os.listdir(f"{root}/proc"):  # noqa: PTH208 (pathlib counts too)
        if name.isdigit():
            text = _read(f"{root}/proc/{name}/cgroup")
            if text:
                yield int(name), text


def is_id(container: str) -> bool:
    """Whether a text is the whole id of a container, and so can be told from all else."""
    return len(container) == ID_LENGTH and all(char in "0123456789abcdef" for char in container)


def running(containers: list[str], root: str = "/") -> list[str]:
    """Those of which a process runs. What is no whole id is none of them."""
    members = set(_members([one for one in containers if is_id(one)], root).values())
    return [one for one in containers if one in members]


def end_all(
    containers: list[str],
    *,
    grace: float = GRACE_SECONDS,
    root: str = "/",
    send: Sender = os.kill,
) -> dict[str, str]:
    """End all processes of containers, and say of each one that may still run why.

    grace: seconds that a container gets to end by itself, once its first process was asked to.

    What is no whole id is told as left: a part of one could mean others too.
    """
    wanted = [one for one in containers if is_id(one)]
    wrong = {one: f"{one[:80]!r} is no id of a container" for one in containers if not is_id(one)}
    members = _members(wanted, root)
    if members and grace:
        firsts = [pid for pid in members if _is_first(pid, root)]
        refused = _signal(firsts or list(members), SIGTERM, send)
        _wait(wanted, root, grace if not refused else 0.0)
    end = time.monotonic() + KILL_SECONDS
    said: dict[int, str] = {}
    while (members := _members(wanted, root)) and time.monotonic() < end:
        said = _signal(list(members), SIGKILL, send)
        time.sleep(PAUSE_SECONDS)  # noqa: TID251 - for a condition, with a bound
    left = {container: said.get(pid, "it does not end") for pid, container in members.items()}
    return {**wrong, **left}


def _members(containers: list[str], root: str) -> dict[int, str]:
    """The processes of containers that have not ended, each with its container."""
    return {
        pid: container
        for pid, text in cgroups(root)
        for container in containers
        if container in text and not _has_ended(pid, root)
    }


def _signal(pids: list[int], signal: int, send: Sender) -> dict[int, str]:
    """Signal processes; what went wrong with each that is still there."""
    wrong: dict[int, str] = {}
    for pid in pids:
        try:
            send(pid, signal)
        except ProcessLookupError:
            continue
        except OSError as error:
            wrong[pid] = str(error)
    return wrong


def _wait(containers: list[str], root: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and _members(containers, root):
        time.sleep(PAUSE_SECONDS)  # noqa: TID251 - for a condition, with a bound


def _is_first(pid: int, root: str) -> bool:
    """Whether it is the first process of its container, which is told when to stop."""
    for line in _read(f"{root}/proc/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            return len(line.split()) > 2 and line.split()[-1] == "1"  # noqa: PLR2004 (in and outside)
    return False


def _has_ended(pid: int, root: str) -> bool:
    """Whether only its exit code is left, for a parent that does not ask."""
    return _read(f"{root}/proc/{pid}/stat").rpartition(")")[2].strip()[:1] in {"", "Z", "X"}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            return stream.read()
    except OSError:
        return ""  # it ended meanwhile
