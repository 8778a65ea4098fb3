"""`miaas-agent fence`: stops what this host may run no longer, whatever its agent does.

A timer starts it every few seconds. It reads the lease that the agent leaves, asks Docker what runs
here with a limit, and stops what went beyond it. It starts nothing, and knows nothing of Git. So it
also works while the agent hangs, is dead, or was never started.

While Docker does not answer its containers run on. So the fence writes down what it last saw, and
then ends the processes of what went beyond its limit by itself.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time

from agent.fenced import (
    FENCED_FILE,
    LABEL_REPLICA,
    LABEL_STOP_AFTER,
    SEEN_FILE,
    record,
    recorded,
)
from agent.runtime import kernel, light

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from agent.settings import Settings

    Limits = dict[str, tuple[float, dict[str, Any]]]

LEASE_FILE: Final = "lease.json"
LABEL_NODE: Final = "io.miaas.node"
USUAL_SOCKET: Final = "unix:///var/run/docker.sock"

# As long as a run may take, see `schemas.fencing.STOP_TIME`.
RUN_SECONDS: Final = 30.0

FINE, REFUSED = 0, 3


def enforce(settings: Settings, *, boot: str, boottime: Callable[[], float]) -> int:
    """Stop what the lease does not cover any longer, and say what and why. Returns the exit code.

    boot: names the boot that `boottime` counts the seconds of.
    """
    if settings.runtime != "docker":
        return FINE
    folder, begun = settings.state_dir, time.monotonic()
    path = (settings.docker_host or USUAL_SOCKET).removeprefix("unix://")
    entries = _listed(path, settings.node)
    if entries is not None:
        _keep(folder, entries)
    known = _limits(folder, entries)
    # After the listing: a lease that was renewed meanwhile counts.
    since = age_seconds(text_of(folder, LEASE_FILE), boot=boot, now=boottime())
    over = due(known, since)
    if entries is None:
        left = kernel.end_all(list(over))
    else:
        left = _stopped(path, list(over), time.monotonic() - begun)
    for name, entry in over.items():
        _tell(entry, since, left.get(name))
    return REFUSED if left or entries is None else FINE


def _listed(path: str, node: str) -> list[dict[str, Any]] | None:
    """What runs here and is fenced, by its labels. None: Docker does not say, which is told."""
    try:
        entries = light.listed(path, (f"{LABEL_NODE}={node}", LABEL_STOP_AFTER))
    except (OSError, ValueError) as error:
        _say(f"error agent.fence docker does not answer error={json.dumps(str(error))}")
        return None
    if entries is None:
        _say("error agent.fence docker refuses to list what runs")
    return entries


def _limits(folder: str, entries: list[dict[str, Any]] | None) -> Limits:
    """What runs here and is fenced.

    What Docker lists runs. Of all else the kernel is asked: Docker may have no label for it, or not
    answer.
    """
    told = recorded(text_of(folder, FENCED_FILE))
    if entries is None:
        told += recorded(text_of(folder, SEEN_FILE))
    listed = {str(entry["Id"]) for entry in entries or ()}
    others = {str(entry["Id"]) for entry in told} - listed
    running = {*kernel.running(list(others)), *listed} if others else listed
    found = limits([*(entries or ()), *told])
    return {name: one for name, one in found.items() if name in running}


def limits(entries: list[dict[str, Any]]) -> Limits:
    """After how many seconds each container has to stop: whoever knows the shorter limit is right.

    With each, what is known of it.
    """
    found: Limits = {}
    for entry in entries:
        name, limit = str(entry["Id"]), stop_after(entry)
        if name not in found or limit < found[name][0]:
            found[name] = (limit, entry)
    return found


def due(known: Limits, since: float) -> dict[str, dict[str, Any]]:
    """What has to stop at an age of the lease; and with it what would have to soon.

    That would have to wait until this run is over, which may take as long as a stop.
    """
    if all(limit > since for limit, _ in known.values()):
        return {}
    return {name: entry for name, (limit, entry) in known.items() if limit <= since + RUN_SECONDS}


def _stopped(path: str, containers: list[str], spent: float) -> dict[str, str]:
    """Let Docker stop containers, and end what it does not stop; what may still run, and why.

    spent: seconds that this run took so far.
    """
    left = light.stop_all(path, containers, spent) if containers else {}
    unended = kernel.end_all(list(left), grace=0.0) if left else {}
    return {name: f"{left[name]}; {why}" for name, why in unended.items()}


def _keep(folder: str, entries: list[dict[str, Any]]) -> None:
    """Write down what runs, for a time when Docker does not answer."""
    text, path = record(entries), f"{folder}/{SEEN_FILE}"
    known = text_of(folder, SEEN_FILE)
    if text == known or (not entries and not known):
        return
    try:
        # Not brought to disk: where the power fails, nothing runs on.
        with open(f"{path}.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
            stream.write(text)
        os.replace(f"{path}.part", path)  # noqa: PTH105
    except OSError as error:
        _say(f"error agent.fence cannot write down what runs error={json.dumps(str(error))}")


def text_of(folder: str, name: str) -> str:
    """What a file says; empty: nothing that can be read."""
    try:
        with open(f"{folder}/{name}", encoding="utf-8") as stream:  # noqa: PTH123
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return ""


def age_seconds(text: str, *, boot: str, now: float) -> float:
    """Seconds since the lease was renewed; for ever, if it is damaged or of another boot."""
    try:
        lease = json.loads(text)
        renewed = lease["renewed"] if lease["boot"] == boot else None
    except (ValueError, KeyError, TypeError):
        return math.inf
    if isinstance(renewed, bool) or not isinstance(renewed, int | float):
        return math.inf
    return now - renewed if renewed <= now else math.inf  # none was renewed in the future


def stop_after(entry: dict[str, Any]) -> float:
    """After how many seconds without contact a container has to stop; damaged: at once."""
    written = str(entry["Labels"].get(LABEL_STOP_AFTER, ""))
    return float(written) if written.isascii() and written.isdigit() else -math.inf


def _tell(entry: dict[str, Any], since: float, problem: str | None) -> None:
    fields = {
        "replica": entry["Labels"].get(LABEL_REPLICA, ""),
        "container": str(entry["Id"])[:12],
        "stop_after_seconds": entry["Labels"].get(LABEL_STOP_AFTER, ""),
        "lease_age_seconds": "none" if math.isinf(since) else round(since),
    }
    if problem is not None:
        fields["error"] = json.dumps(problem)
    event = "warning agent.fence stopped" if problem is None else "error agent.fence not stopped"
    _say(f"{event} {' '.join(f'{name}={value}' for name, value in fields.items())}")


def _say(line: str) -> int:
    sys.stderr.write(line + "\n")
    return REFUSED
