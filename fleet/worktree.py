"""What a person's work tree was checked out from: its HEAD, as their own git reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet.objects import object_id
from schemas.names import BlobId

_LOG: Final = ("log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%B", "HEAD")
# Two commands that read a repository of at most some thousand files.
_SECONDS: Final = 10.0
_LEADING_AWAY: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
_REGULAR: Final = "100"  # how the modes of regular files begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The commit that a work tree stands at. message: whole. files: its regular files, by path."""

    message: str
    files: Mapping[str, BlobId]


def head_of(tree: Path, environ: Mapping[str, str]) -> Head | None:
    """Read the commit of a work tree. None: there is none yet, or git cannot tell."""
    message = _git(tree, environ, *_LOG)
    listed = _git(tree, environ, "ls-tree", "-r", "-z", "HEAD")
    if message is None or listed is None:
        return None
    return Head(message=message.decode(errors="replace"), files=dict(_files(listed)))


def blob_of(content: bytes) -> BlobId:
    """The id that git gives to the content of a file."""
    return BlobId(object_id("blob", content))


def _files(listed: bytes) -> Iterator[tuple[str, BlobId]]:
    for line in listed.decode(errors="replace").split("\0"):
        entry, tab, path = line.partition("\t")
        mode, _, blob = entry.partition(" blob ")
        if tab and mode.startswith(_REGULAR):
            yield path, BlobId(blob)


def _git(tree: Path, environ: Mapping[str, str], *words: str) -> bytes | None:
    """What git prints; None: it fails."""
    # What stands in the environment of a hook must not lead to another repository.
    ours = {name: value for name, value in environ.items() if name not in _LEADING_AWAY}
    command = ["git", "-C", str(tree), "--no-pager", *words]
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            command, env=ours, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
