"""The files of a folder on this machine, by path: a work tree instead of a commit. Shell."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from reconciler.observing.bounds import BYTES_MAX, FILES_MAX
from schemas.problem import BadDocumentError, Place, Problem

# Left by tools, and never part of what is meant.
_SKIPPED: Final = ("__pycache__",)


def read_folder(path: Path) -> Mapping[str, bytes]:
    """Read every regular file below a folder, by its path with `/`. Links are not followed.

    Hidden files and folders are left out, as `.git` is.

    Raises:
        BadDocumentError: a file is too large, or there are too many.
        OSError: the folder cannot be read.
    """
    files: dict[str, bytes] = {}
    for file in _regular(path):
        name = file.relative_to(path).as_posix()
        size = file.stat().st_size
        if size > BYTES_MAX:
            raise _too_much(name, f"the file has {size} bytes, more than {BYTES_MAX}")
        if len(files) >= FILES_MAX:
            raise _too_much(str(path), f"there are more than {FILES_MAX} files")
        files[name] = file.read_bytes()
    return files


def _regular(path: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(path, onerror=_raise):
        names[:] = sorted(name for name in names if not _hidden(name))
        for name in sorted(files):
            file = Path(folder, name)
            if not _hidden(name) and file.is_file() and not file.is_symlink():
                yield file


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED


def _raise(error: OSError) -> None:
    raise error


def _too_much(path: str, what: str) -> BadDocumentError:
    return BadDocumentError((Problem(Place(path), what, "remove it, or split it"),))
