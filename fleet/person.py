"""Who commits, where a person does: as git itself would find it out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# A setting is read from a file or two.
_SECONDS: Final = 10.0


def identity_of(folder: Path, environ: Mapping[str, str]) -> str | None:
    """The author that git would write in this folder, `name <address>`; None: it knows none."""
    name = environ.get("GIT_AUTHOR_NAME") or _setting("user.name", folder, environ)
    address = environ.get("GIT_AUTHOR_EMAIL") or _setting("user.email", folder, environ)
    if not name or not address or any(letter in name + address for letter in "<>\n\0"):
        return None
    return f"{name} <{address}>"


def _setting(key: str, folder: Path, environ: Mapping[str, str]) -> str:
    """A setting of the person's own git; empty: there is none."""
    words = ["git", "-C", str(folder), "config", "--get", "--", key]
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, a fixed key, no shell
            words, env=dict(environ), capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
