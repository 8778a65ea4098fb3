"""`miaas-agent fence`: stops what this host may run no longer, whatever its agent does.

A timer starts it every few seconds. It reads the lease that the agent leaves, asks Docker what runs
here with a limit, and stops what went beyond it. It starts nothing, and knows nothing of Git. So it
also works while the agent hangs, is dead, or was never started.
"""

from __future__ import annotations

import json
import math
import sys

from agent.runtime import light

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from agent.settings import Settings

LEASE_FILE: Final = "lease.json"
LABEL_NODE: Final = "io.miaas.node"
LABEL_REPLICA: Final = "io.miaas.replica"
LABEL_STOP_AFTER: Final = "io.miaas.stop-after"
USUAL_SOCKET: Final = "unix:///var/run/docker.sock"

FINE, REFUSED = 0, 3


def enforce(settings: Settings, *, boot: str, boottime: Callable[[], float]) -> int:
    """Stop what the lease does not cover any longer, and say what and why. Returns the exit code.

    boot: names the boot that `boottime` counts the seconds of.
    """
    if settings.runtime != "docker":
        return FINE
    path = (settings.docker_host or USUAL_SOCKET).removeprefix("unix://")
    labels = (f"{LABEL_NODE}={settings.node}", LABEL_STOP_AFTER)
    try:
        entries = light.listed(path, labels)
    except (OSError, ValueError) as error:
        return _say(f"error agent.fence docker does not answer error={json.dumps(str(error))}")
    if entries is None:
        return _say("error agent.fence docker refuses to list what runs")
    # After the listing: a lease that was renewed meanwhile counts.
    since = age_seconds(lease_text(settings.state_dir), boot=boot, now=boottime())
    over = [entry for entry in entries if stop_after(entry) <= since]
    left = light.stop_all(path, [str(entry["Id"]) for entry in over]) if over else {}
    for entry in over:
        _tell(entry, since, left.get(str(entry["Id"])))
    return REFUSED if left else FINE


def lease_text(state_dir: str) -> str:
    """What the agent wrote down; empty: nothing that can be read."""
    try:
        with open(f"{state_dir}/{LEASE_FILE}", encoding="utf-8") as stream:  # noqa: PTH123
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
