"""Where the fleet's two repositories are: options, then the environment, then the work tree."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.cli.codes import UsageError
from schemas.layout import FLEET_FILE

_SECTION: Final = re.compile(r'\s*\[\s*remote\s+"origin"\s*\]')
_ANY_SECTION: Final = re.compile(r"\s*\[")
_URL: Final = re.compile(r"\s*url\s*=\s*(?P<url>\S.*?)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Both remotes and the branch that people commit to."""

    desired: str
    state: str
    branch: str


def where(arguments: argparse.Namespace, environ: Mapping[str, str], folder: Path) -> Where:
    """Find out where the fleet is.

    Raises:
        UsageError: nothing says it.
    """
    state = arguments.state or environ.get("MIAAS_STATE") or ""
    desired = arguments.desired or environ.get("MIAAS_DESIRED") or _around(folder) or state
    tree = "" if desired else enclosing_tree(folder)
    if tree:
        raise UsageError(
            f"{tree} is in no Git repository yet, so nothing says what runs. "
            "Fix: git init -b main && git add -A && git commit, or give --desired URL"
        )
    if not desired:
        raise UsageError(
            "where is the fleet? Give --desired URL, set MIAAS_DESIRED, or go into the work tree "
            "of a fleet repository. To make one: miaas init"
        )
    branch = arguments.branch or environ.get("MIAAS_BRANCH") or "main"
    return Where(desired=desired, state=state or desired, branch=branch)


def enclosing_tree(folder: Path) -> Path | None:
    """The work tree of a fleet repository that this folder is in: the nearest with fleet.yaml."""
    parents = (folder, *folder.parents)
    return next((parent for parent in parents if (parent / FLEET_FILE).is_file()), None)


def _around(folder: Path) -> str:
    tree = enclosing_tree(folder)
    return remote_of(tree) if tree is not None else ""


def remote_of(tree: Path) -> str:
    """The origin of a work tree; the tree itself where it has none; empty where it is no tree.

    Reads Git's file as Git writes it. Settings that include others or rewrite URLs are not
    followed: then --desired says what is meant.
    """
    config = _git_folder(tree) / "config"
    if not config.is_file():
        return ""
    inside = False
    for line in config.read_text(encoding="utf-8", errors="replace").splitlines():
        if _ANY_SECTION.match(line):
            inside = _SECTION.match(line) is not None
        elif inside and (found := _URL.match(line)):
            return _absolute(found["url"].strip('"'), tree)
    return str(tree)


def _git_folder(tree: Path) -> Path:
    """The folder of a work tree's repository, also where `.git` is a file that points to it."""
    found = tree / ".git"
    if found.is_file():
        _, _, named = found.read_text(encoding="utf-8").partition("gitdir:")
        pointed = tree / named.strip()
        common = pointed / "commondir"
        return pointed / common.read_text().strip() if common.is_file() else pointed
    return found


def _absolute(url: str, tree: Path) -> str:
    # Git takes a relative path as relative to the work tree, not to where we are.
    is_path = "://" not in url and ":" not in url.partition("/")[0]
    return str((tree / url).resolve()) if is_path else url
