"""Commits that a command makes for a person, as the person would make them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from fleet.person import NotUtf8Error, identity_of
from fleet.port import Commit, RefUpdate, Repository
from reconciler.cli.codes import UsageError
from schemas.names import CommitId, TreeId

DIGITS = 12  # of a commit, where people read it


def author(environ: Mapping[str, str]) -> str:
    """Who is typing, for the commit.

    Raises:
        UsageError: git does not know, or nobody could read it in a commit.
    """
    try:
        found = identity_of(Path.cwd(), environ)
    except NotUtf8Error as error:
        raise UsageError(str(error)) from error
    if found is None:
        raise UsageError(
            "git does not know who you are. Fix: git config --global user.name 'Your Name' && "
            "git config --global user.email you@example.org"
        )
    return found


def push_commit(  # noqa: PLR0913 - one commit, and everything that it says; by name
    repository: Repository,
    *,
    head: Commit,
    tree: TreeId,
    message: str,
    ref: str,
    expected: CommitId | None,
) -> CommitId:
    """Commit on `head`, and move `ref` there from where it is expected; None: it is new.

    Raises:
        RepositoryError: the remote did not answer, did not want it, or has moved on.
    """
    made = repository.commit(tree, parent=head.id, message=message, at=datetime.now(UTC))
    repository.push((RefUpdate(ref, made, expected),))
    return made


def line_of(commit: Commit) -> str:
    """One line on a commit: its id, its day and its subject."""
    subject = commit.message.partition("\n")[0]
    return f"{commit.id[:DIGITS]}  {commit.at:%Y-%m-%d}  {subject}"
