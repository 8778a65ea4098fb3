"""What is taken away from an engine, one thing at a time, without Compose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from agent.runtime.docker_audit import checked_id
from agent.runtime.docker_socket import (
    COMPOSE_PROJECT,
    NOT_FOUND,
    OK,
    QUOTES,
    DockerSocket,
    labels_of,
    message_of,
)
from agent.runtime.port import RuntimeDownError, RuntimeFailedError, UnfinishedError

NO_CONTENT: Final = 204
NOT_MODIFIED: Final = 304
# A container's own grace period counts; this bounds the wait for one that asks for an age, and for
# a volume on a slow disk.
SECONDS: Final = 120.0
_VOLUME: Final = re.compile(r"\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}\Z")


def remove(engine: DockerSocket, container: str) -> None:
    """As `Runtime.remove`."""
    path = f"/containers/{checked_id(container)}"
    fix = "give its service a shorter `stop_grace_period`"
    with _in_time(engine, f"container {container[:12]}", fix):
        _change(engine, "POST", f"{path}/stop", {NO_CONTENT, NOT_MODIFIED, NOT_FOUND})
        # By force, since it may be paused, dead or restarting. Its anonymous volumes stay.
        _change(engine, "DELETE", f"{path}?force=1", {NO_CONTENT, NOT_FOUND})


def remove_volumes(engine: DockerSocket, project: str) -> tuple[str, ...]:
    """As `Runtime.remove_volumes`."""
    filters = json.dumps({"label": [f"{COMPOSE_PROJECT}={project}"]}).translate(QUOTES)
    listed = engine.described(f"/volumes?filters={filters}").get("Volumes")
    # Where data goes for good, the engine's filter alone is not trusted: the labels are read again.
    names = sorted(
        str(volume.get("Name"))
        for volume in (listed if isinstance(listed, list) else [])
        if labels_of(volume).get(COMPOSE_PROJECT) == project
    )
    for name in names:
        if not _VOLUME.match(name):
            raise RuntimeFailedError(f"a volume is called {name[:80]!r}, which no volume can be")
        # Without force: the engine refuses while any container has it.
        with _in_time(engine, f"volume {name}", "see whether its disk is slow or ill"):
            _change(engine, "DELETE", f"/volumes/{name}", {NO_CONTENT, NOT_FOUND})
    return tuple(names)


def remove_image(engine: DockerSocket, image: str) -> None:
    """As `Runtime.remove_image`: without force, so that the engine refuses what is in use."""
    _change(engine, "DELETE", f"/images/{checked_id(image)}", {OK, NOT_FOUND})


@contextmanager
def _in_time(engine: DockerSocket, what: str, fix: str) -> Iterator[None]:
    """Tell one thing that takes its time from an engine that is gone: others have to go on.

    Raises:
        UnfinishedError: the engine answers, and `what` is not gone yet.
        RuntimeDownError: no answer to anything.
    """
    try:
        yield
    except RuntimeDownError as error:
        engine.ping()
        raise UnfinishedError(
            f"{what} is not gone within {SECONDS:g} s. It is tried again. Fix: {fix}"
        ) from error


def _change(engine: DockerSocket, method: str, path: str, fine: set[int]) -> None:
    """Have something changed.

    Raises:
        RuntimeFailedError: the engine refuses.
        RuntimeDownError: no answer.
    """
    status, body = engine.ask(path, method, SECONDS)
    if status not in fine:
        raise RuntimeFailedError(message_of(body))
