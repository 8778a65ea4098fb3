"""The files of a folder on this machine: a work tree instead of a commit. Shell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from reconciler.observing.bounds import BYTES_MAX, FILES_MAX
from reconciler.observing.counting import FOLDERS, counts, too_much
from reconciler.observing.overlooked import ENDINGS, HEAD_BYTES, may_hold_documents
from reconciler.observing.snapshot import Snapshot
from schemas.layout import FLEET_FILE
from schemas.problem import BadDocumentError, Place, Problem

# Left by tools, and never committed.
_LEFT: Final = ("__pycache__", ".DS_Store")
_LEFT_ENDINGS: Final = ("~", ".swp")


def read_folder(path: Path) -> Snapshot:
    """Read a work tree as a commit of it would be read. What machines say is not in it.

    Only what counts is looked at: whatever else lies in the repository may be large, or a link.

    Raises:
        OSError: the folder cannot be read.
    """
    found = [entry for entry in _entries(path, _top) if counts(entry[0])]
    sizes = {name: file.stat().st_size for name, file in found if file is not None}
    large = {name: size for name, size in sizes.items() if size > BYTES_MAX}
    unread = too_much({name: size for name, size in sizes.items() if name not in large})
    wanted = () if unread else ((name, file) for name, file in found if name not in large)
    odd = {name for name, file in found if file is None} | (sizes.keys() & {*FOLDERS})
    return Snapshot(
        source=None,
        desired={n: f.read_bytes() for n, f in wanted if f is not None and n not in odd},
        too_large=large,
        ignored=tuple(sorted(odd)),
        unread=unread,
    )


def read_heads(path: Path) -> Mapping[str, bytes]:
    """Read the beginnings of files in a work tree that may have been meant as documents, by path.

    At most as many as a fleet may have; links are not followed.

    Raises:
        OSError: the folder cannot be read.
    """
    found = islice(_entries(path, may_hold_documents), FILES_MAX)
    return {
        name: _head(file)
        for name, file in found
        if file is not None and name.lower().endswith(ENDINGS)
    }


def read_files(path: Path) -> Mapping[str, bytes]:
    """Read every regular file below a folder of our own, by its path with `/`.

    Raises:
        BadDocumentError: there are too many.
        OSError: the folder cannot be read.
    """
    files = {name: file for name, file in _entries(path, _any) if file is not None}
    if len(files) > FILES_MAX:
        what = f"there are more than {FILES_MAX} files"
        raise BadDocumentError((Problem(Place(str(path)), what, "remove some"),))
    return {name: file.read_bytes() for name, file in files.items()}


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(HEAD_BYTES)


def _top(name: str) -> bool:
    return name == FLEET_FILE or name in FOLDERS


def _any(_: str) -> bool:
    return True


def _entries(folder: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Path | None]]:
    """Every file below a folder, sorted by folder. None: links, submodules, and odd names."""
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        if wanted(entry.name) and not _left(entry.name):
            yield from _entry(entry)


def _entry(entry: os.DirEntry[str]) -> Iterator[tuple[str, Path | None]]:
    # A name that is no UTF-8 text can be told, but not used.
    name = os.fsencode(entry.name).decode(errors="replace")
    submodule = entry.is_dir(follow_symlinks=False) and Path(entry.path, ".git").exists()
    if name != entry.name or submodule:
        yield name, None
    elif entry.is_dir(follow_symlinks=False):
        for inner, file in _entries(Path(entry.path), _any):
            yield f"{name}/{inner}", file
    else:
        yield name, Path(entry.path) if entry.is_file(follow_symlinks=False) else None


def _left(name: str) -> bool:
    return name in _LEFT or name.endswith(_LEFT_ENDINGS)
