"""The least of Docker's API, for programs that start every few seconds and usually find nothing.

HTTP/1.0, so that an answer ends with the connection. Imports neither `socket` nor dataclasses.
"""

from __future__ import annotations

import _socket
import json
import time

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

ANSWER_SECONDS: Final = 5.0
CHUNK_BYTES: Final = 1 << 16
# With what `kernel` takes, no more than `schemas.fencing.STOP_TIME`; a test holds them to it. First
# a container may end by itself, then the engine kills it, and what it did not is killed by name.
GRACE_SECONDS: Final = 20
STOP_SECONDS: Final = 25.0
KILL_SECONDS: Final = 3.0
# Done, not running, and gone; a kill of what does not run is a conflict.
STOPPED: Final = (204, 304, 404)
KILLED: Final = (204, 404, 409)


def listed(path: str, labels: Iterable[str], *, query: str = "") -> list[dict[str, Any]] | None:
    """The containers with all of these labels. None: the engine refuses.

    query: what else to ask for, such as `all=1&`; without it only what runs is listed.

    Raises:
        OSError: no answer. ValueError: it makes no sense.
    """
    filters = json.dumps({"label": list(labels)})
    for char in '{}[]":,= ':
        filters = filters.replace(char, f"%{ord(char):02X}")
    link = _asked(path, "GET", f"/containers/json?{query}filters={filters}")
    status, body = _answer(link, time.monotonic() + ANSWER_SECONDS)
    if status != 200:  # noqa: PLR2004  # OK
        return None
    entries: list[dict[str, Any]] = json.loads(body)
    return entries


def stop_all(path: str, containers: Iterable[str], spent: float = 0.0) -> dict[str, str]:
    """Stop containers side by side, and say of each one that may still run why.

    All are asked before the first is waited for: many take no longer than the slowest. spent:
    seconds that are gone already; they are not waited for.
    """
    seconds = max(1.0, STOP_SECONDS - spent)
    left = _tell_all(path, containers, f"stop?t={GRACE_SECONDS}", STOPPED, seconds)
    return _tell_all(path, left, "kill", KILLED, KILL_SECONDS) if left else {}


def _tell_all(
    path: str, containers: Iterable[str], what: str, fine: tuple[int, ...], seconds: float
) -> dict[str, str]:
    """Tell many containers at once; what went wrong with each that it went wrong with."""
    end = time.monotonic() + seconds
    links: dict[str, _socket.socket] = {}
    wrong: dict[str, str] = {}
    for container in containers:
        try:
            links[container] = _asked(path, "POST", f"/containers/{_checked(container)}/{what}")
        except (OSError, ValueError) as error:
            wrong[container] = str(error) or type(error).__name__
    for container, link in links.items():
        try:
            status, body = _answer(link, end)
        except (OSError, ValueError) as error:
            wrong[container] = str(error) or "no answer in time"
        else:
            if status not in fine:
                wrong[container] = f"Docker answers {status}: {body[:200].decode(errors='replace')}"
    return wrong


def _asked(path: str, method: str, target: str) -> _socket.socket:
    """A connection on which the engine was asked."""
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        link.settimeout(ANSWER_SECONDS)
        link.connect(path)
        length = "" if method == "GET" else "Content-Length: 0\r\n"
        link.sendall(f"{method} {target} HTTP/1.0\r\nHost: docker\r\n{length}\r\n".encode("ascii"))
    except BaseException:
        link.close()
        raise
    return link


def _answer(link: _socket.socket, end: float) -> tuple[int, bytes]:
    """Status and body of an answer that is whole by `end`, on the monotonic clock."""
    answer = b""
    try:
        while True:
            link.settimeout(max(0.01, end - time.monotonic()))
            piece = link.recv(CHUNK_BYTES)
            if not piece:
                break
            answer += piece
    finally:
        link.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2:  # noqa: PLR2004  # the protocol and the status
        raise ValueError("Docker closed the connection without an answer")
    return int(words[1]), body


def _checked(container: str) -> str:
    """An id, and nothing that could be more than that in a path."""
    if not container or not all(char in "0123456789abcdef" for char in container):
        raise ValueError(f"{container[:80]!r} is no id of a container")
    return container
