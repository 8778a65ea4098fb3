"""The Compose plugin of Docker's client: where it stands, and which version it is."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Final

from agent.runtime.complaints import condensed
from agent.runtime.port import RuntimeFailedError

# Where Docker's client looks, after the folder of its own configuration.
PLUGIN_FOLDERS: Final = (
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/local/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
)
NOTE: Final = "compose-version.json"
# The command carries its own bound; this one is for a `timeout` that does not work.
LATEST_SECONDS: Final = 60


def compose_plugin(config: Path) -> Path | None:
    """Find the plugin that Docker's client would run; None: there is none where it looks."""
    folders = (config / "cli-plugins", *PLUGIN_FOLDERS)
    plugins = (folder / "docker-compose" for folder in folders)
    return next((plugin for plugin in plugins if plugin.exists()), None)


def compose_version(command: list[str], *, plugin: Path | None, notes: Path) -> str:
    """The version of Compose, such as `5.6.1`.

    To ask costs a program start, and an agent that a timer starts would pay for it each time. So
    the answer is noted down with what the plugin looked like, and asked for again when it changes.

    Args:
        command: what prints the version.
        plugin: the file that answers.
        notes: a folder to note it down in.

    Raises:
        RuntimeFailedError: there is no Compose.
    """
    stamp = _stamp(plugin)
    known = _noted(notes / NOTE)
    if stamp and known.get("stamp") == stamp:
        return str(known["version"])
    version = _asked(command)
    with contextlib.suppress(OSError):  # a folder that cannot be written only costs time
        (notes / NOTE).write_text(json.dumps({"stamp": stamp, "version": version}))
    return version


def _asked(command: list[str]) -> str:
    import subprocess  # noqa: PLC0415 - mostly the note answers

    try:
        answer = subprocess.run(  # noqa: S603 - a fixed list, no shell
            command, capture_output=True, text=True, timeout=LATEST_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeFailedError(f"Compose cannot be started: {error}") from error
    if answer.returncode != 0:
        raise RuntimeFailedError(condensed(answer.stderr))
    return answer.stdout.strip().removeprefix("v")


def _stamp(plugin: Path | None) -> str:
    if plugin is None:
        return ""
    found = plugin.stat()
    return f"{plugin.resolve()} {found.st_mtime_ns} {found.st_size}"


def _noted(file: Path) -> dict[str, object]:
    try:
        note = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and "version" in note else {}
