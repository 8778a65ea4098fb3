"""What MIaaS asks of a Git remote, and not one thing more.

A `Repository` is one remote seen through a local bare mirror. Nothing is ever checked out: trees
and blobs are read from the object store, which leaves no place for symlinks, hooks or filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleet.errors import DamagedError, RejectedError, RepositoryError, StaleError, UnreachableError
from schemas.names import BlobId, CommitId, TreeId

__all__ = [
    "Commit",
    "DamagedError",
    "File",
    "RefUpdate",
    "Refused",
    "RejectedError",
    "Repository",
    "RepositoryError",
    "StaleError",
    "Tree",
    "UnreachableError",
]


@dataclass(frozen=True, slots=True)
class File:
    """A regular file in a tree. Size in bytes."""

    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole tree, flat. Symlinks, submodules and unsafe names are left out and told.

    files: by path, `/` between parts. folders: tree id by path, without the root.
    ignored: paths that were left out because they are no regular file or have an unsafe name.
    """

    id: TreeId
    files: Mapping[str, File]
    folders: Mapping[str, TreeId]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as history shows it. `message` is whole, trailers included.

    at: when it was made, as its committer says: later than it was written, where it was rebased.
    """

    id: CommitId
    tree: TreeId
    parents: tuple[CommitId, ...]
    author: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move `ref` from `expected` (None: it must not exist) to `new` (None: delete it)."""

    ref: str
    new: CommitId | None
    expected: CommitId | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A ref that the remote has and that cannot be had: where it stands, and why."""

    at: CommitId
    why: str


class Repository(Protocol):
    """One remote. Every method raises RepositoryError or a kind of it, and nothing else."""

    def fetch(self, *refs: str) -> Mapping[str, CommitId]:
        """Bring exact refs, or all below a prefix that ends in `/`, and say where each one is.

        A ref that the remote does not have is missing from the answer: that is no error. The
        answer holds only what this call asked for.

        Raises:
            UnreachableError: no answer. An unreachable remote never looks like an empty one.
        """

    def refused(self) -> Mapping[str, Refused]:
        """The refs that were asked for, and that `fetch` left out although the remote has them.

        They are no commits, git refuses their objects, or these take longer than a call may.
        """

    def fetch_history(self, ref: str) -> CommitId | None:
        """Bring a ref with all its ancestors. None: the remote does not have it."""

    def fetch_lost(self, commit: CommitId) -> bool:
        """Bring a commit that no ref leads to any more, with its history. False: it is gone."""

    def tree(self, commit: CommitId) -> Tree:
        """List the whole tree of a commit that was fetched or written here."""

    def root_file(self, commit: CommitId, name: str) -> File | None:
        """The regular file of that name at the root of a commit; None: there is none.

        Opens the root alone, however large or deep the rest is: for what others may push.

        Raises:
            RepositoryError: the commit or its root is odd or far too large, or the entry names
                something else than a file.
        """

    def read(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, bytes]:
        """Read blobs that were fetched or written here, all at once."""

    def show(self, commit: CommitId) -> Commit:
        """Read one commit that was fetched or written here. Costs next to nothing."""

    def log(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        """The commits from `tip` back along first parents, newest first, as far as is here."""

    def history(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        """The commits of `tip`'s whole history, merged ones too, at most so many.

        `tip` comes first, and children before their parents, as far as is here.
        """

    def since(self, newer: CommitId, older: CommitId, limit: int) -> tuple[Commit, ...]:
        """The commits of `newer`'s whole history that `older`'s has not, at most so many.

        Children come before their parents. An `older` that is not here has no history.
        """

    def descends(self, newer: CommitId, older: CommitId) -> bool:
        """Whether `older` is `newer` or one of its ancestors, as far as is here."""

    def write(self, base: TreeId | None, changes: Mapping[str, bytes | None]) -> TreeId:
        """Write a tree: `base` with files put (bytes) or removed (None). None base: from nothing.

        Removing a path that is a folder removes all below it.
        """

    def subtree(self, tree: TreeId, folder: str) -> TreeId | None:
        """The tree id of a folder in a tree; None: there is none."""

    def files_in(self, tree: TreeId, folder: str) -> Mapping[str, BlobId]:
        """The regular files directly in a folder of a tree, by name; none: there is no folder.

        Opens only the trees on the way to it, however large the rest is.
        """

    def commit(
        self, tree: TreeId, *, parent: CommitId | None, message: str, at: datetime
    ) -> CommitId:
        """Write a commit object. `at` is its author and committer time, so that tests repeat."""

    def push(self, updates: tuple[RefUpdate, ...]) -> None:
        """Move refs on the remote, all or none, each from where it is expected to be.

        Raises:
            StaleError: some ref was elsewhere; nothing moved.
            RejectedError: the remote did not want it; nothing moved.
            UnreachableError: no answer; it may or may not have happened. Fetch to know.
        """

    def push_own(self, ref: str, new: CommitId) -> None:
        """Move a ref of which we are the only writer, wherever it is.

        Raises:
            RejectedError, UnreachableError: as for `push`.
        """

    def within(self, seconds: float | None) -> AbstractContextManager[None]:
        """Let all calls in a block take no longer than that together; None: as long as ever.

        What the remote did not answer by then raises UnreachableError.
        """

    def close(self) -> None:
        """Let go of helper processes and their memory. Using the repository again is fine."""
