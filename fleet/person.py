"""Who commits, where a person does: as git itself would find it out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# A setting is read from a file or two.
_SECONDS: Final = 10.0


class NotUtf8Error(Exception):
    """A name or an address cannot be written into a commit, which is UTF-8."""


def identity_of(folder: Path, environ: Mapping[str, str]) -> str | None:
    """The author that git would write in this folder, `name <address>`; None: it knows none.

    Raises:
        NotUtf8Error: git would write bytes that are no UTF-8.
    """
    name = _part("GIT_AUTHOR_NAME", "user.name", folder, environ)
    address = _part("GIT_AUTHOR_EMAIL", "user.email", folder, environ)
    if not name or not address or any(letter in name + address for letter in "<>\n\0"):
        return None
    return f"{name} <{address}>"


def _part(variable: str, key: str, folder: Path, environ: Mapping[str, str]) -> str:
    """What a variable says, or else a setting; empty: neither does."""
    given = environ.get(variable, "")
    found = given or _setting(key, folder, environ)
    # A byte that is no UTF-8 is a lone surrogate here, as Python has it for variables.
    written = found.encode(errors="surrogateescape").decode(errors="backslashreplace")
    if written != found:
        where = variable if given else f"git's {key}"
        raise NotUtf8Error(f"{where} is '{written}', which is not UTF-8. Fix: write it in UTF-8")
    return found


def _setting(key: str, folder: Path, environ: Mapping[str, str]) -> str:
    """A setting of the person's own git; empty: there is none."""
    words = ["git", "-C", str(folder), "config", "--get", "--", key]
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, a fixed key, no shell
            words, env=dict(environ), capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "surrogateescape").strip() if done.returncode == 0 else ""
