"""A closer look at one container: how often it fell, how it ended, and what it printed last."""

from __future__ import annotations

import json
from typing import Any, Final

from agent.runtime.docker_audit import checked_id
from agent.runtime.docker_socket import OK, DockerSocket, message_of
from agent.runtime.port import (
    LOG_BYTES,
    LOG_LINES,
    Details,
    RuntimeDownError,
    RuntimeFailedError,
)

# Each frame of a log begins with which stream it is of, three zeros, and how many bytes follow.
FRAME_HEAD_BYTES: Final = 8
STREAMS: Final = (0, 1, 2)


def details(engine: DockerSocket, container: str) -> Details:
    """As `Runtime.details`."""
    body = _asked(engine, container, "json")
    try:
        return details_of(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RuntimeDownError(f"Docker tells of a container without {error}") from error


def logs(engine: DockerSocket, container: str) -> str:
    """As `Runtime.logs`."""
    body = _asked(engine, container, f"logs?stdout=1&stderr=1&tail={LOG_LINES}")
    return unframed(body)[-LOG_BYTES:].decode(errors="replace")


def details_of(told: Any) -> Details:
    """What Docker tells of a container, in our words."""
    state = told["State"]
    pairs = (str(line).partition("=") for line in told["Config"].get("Env") or ())
    return Details(
        restarts=int(told.get("RestartCount", 0)),
        started=str(state["StartedAt"]),
        exit_code=None if state["Status"] == "running" else int(state["ExitCode"]),
        out_of_memory=bool(state.get("OOMKilled")),
        environment={name: value for name, _, value in pairs},
    )


def unframed(stream: bytes) -> bytes:
    """A log without the heads of its frames; that of a container with a terminal has none."""
    parts: list[bytes] = []
    rest = stream
    while rest:
        if rest[0] not in STREAMS or rest[1:4] != b"\0\0\0":
            return b"".join([*parts, rest])
        size = int.from_bytes(rest[4:FRAME_HEAD_BYTES], "big")
        parts.append(rest[FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + size])
        rest = rest[FRAME_HEAD_BYTES + size :]
    return b"".join(parts)


def _asked(engine: DockerSocket, container: str, what: str) -> bytes:
    status, body = engine.ask(f"/containers/{checked_id(container)}/{what}")
    if status != OK:
        raise RuntimeFailedError(f"Docker answers {status}: {message_of(body)}")
    return body
