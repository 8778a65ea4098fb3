"""A work tree with the message of its commit, where nothing in it waits to be committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fleet.worktree import Head, blob_of, head_of
from reconciler.observing.counting import counts
from reconciler.observing.folder import read_folder
from reconciler.observing.snapshot import Snapshot


def read_tree(tree: Path, environ: Mapping[str, str]) -> Snapshot:
    """Read a work tree as it would be read once it is pushed.

    Its commit's message counts with it. What is not committed yet has none: whoever commits it
    will say what it allows.

    Raises:
        OSError: the folder cannot be read.
    """
    asked = read_folder(tree)
    head = head_of(tree, environ)
    if head is None or not _is_committed(asked, head):
        return asked
    return replace(asked, message=head.message)


def _is_committed(asked: Snapshot, head: Head) -> bool:
    """Whether all that counts is as it was committed, byte by byte."""
    unread = {*asked.too_large, *asked.ignored}
    there = {path: blob_of(content) for path, content in asked.desired.items()}
    wanted = {p: blob for p, blob in head.files.items() if counts(p) and p not in unread}
    return there == wanted
