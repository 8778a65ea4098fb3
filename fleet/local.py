"""Remotes on this machine: where their refs live, and whether a mirror agrees with them."""

from __future__ import annotations

import os

from fleet.ref_files import UnclearRefsError, read_refs

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def local_folder(url: str) -> Path | None:
    """Give the folder that holds HEAD and `refs/` of a local repository.

    None: the URL is remote, or no repository is there now. Linked work trees count as remote.
    """
    found = local_git_folder(url)
    if found is None:
        return None
    from pathlib import Path  # noqa: PLC0415  # 5 ms that a quick look need not pay

    return Path(found)


def local_git_folder(url: str) -> str | None:
    """Do as `local_folder` does, for those who cannot afford to import pathlib."""
    path = _path(url)
    if path is None:
        return None
    # The order in which git itself looks.
    for ending in ("/.git", "", ".git/.git", ".git"):
        folder = f"{path}{ending}"
        if os.path.isfile(f"{folder}/HEAD") and os.path.isdir(f"{folder}/refs"):  # noqa: PTH112, PTH113
            return folder
    return None


def unmoved(url: str, mirror: str, wanted: Iterable[str]) -> dict[str, str] | None:
    """Say where refs stand if the remote is on this machine and the mirror agrees with it.

    Costs a few file reads and no process. None: not so, or not to be known without git.
    """
    wanted = tuple(wanted)
    remote = local_git_folder(url)
    if remote is None:
        return None
    try:
        there = read_refs(remote, wanted)
        return there if there == read_refs(mirror, wanted) else None
    except UnclearRefsError:
        return None


def _path(url: str) -> str | None:
    if url.startswith("file://"):
        host, slash, rest = url.removeprefix("file://").partition("/")
        return _without_end(_decoded(f"/{rest}")) if slash and host in ("", "localhost") else None
    if not url or ":" in url.partition("/")[0]:
        return None
    return _without_end(os.path.abspath(url))  # noqa: PTH100


def _without_end(path: str) -> str:
    return path.rstrip("/") or "/"


def _decoded(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote  # noqa: PLC0415  # slow to import, and such URLs are rare

    return unquote(path)
