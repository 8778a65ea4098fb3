"""Since when main says of its nodes what it says, read from the history of main. Shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from fleet.port import Commit, Repository, RepositoryError
from reconciler.observing.bounds import BYTES_MAX, MAIN_LOG_MAX, WORDS_MAX
from reconciler.observing.duties import Duties, Words, duties
from reconciler.observing.nodes import admitted
from reconciler.observing.snapshot import Snapshot
from schemas.layout import NODES, desired_ref
from schemas.names import BlobId, CommitId, NodeName, TreeId
from schemas.node import NodeRecord

# A history that cannot be brought over, too large for example, must not slow down every look.
_TRIES: Final = 3

_Runs: TypeAlias = list[tuple[TreeId | None, Commit]]
_Records: TypeAlias = Mapping[TreeId | None, Mapping[NodeName, NodeRecord]]


@dataclass(slots=True)
class DutyLog:
    """Looks through main once for each of its heads, and reads of it only what is new.

    limit: commits that are looked through.
    """

    desired: Repository
    branch: str
    limit: int = MAIN_LOG_MAX
    _tries: int = 0
    _is_whole: bool = False
    _found: tuple[CommitId | None, Mapping[NodeName, Duties]] = (None, {})
    _records: _Records = field(default_factory=dict)

    def duties(self, head: CommitId) -> Mapping[NodeName, Duties]:
        """Since when it is so what `head` says of its nodes.

        Where the history before it cannot be brought over, that is unknown, and no error.

        Raises:
            RepositoryError: the mirror cannot be read.
        """
        may_try = not self._is_whole and self._tries < _TRIES
        if self._found[0] != head or may_try:
            if may_try:
                self._bring()
            self._found = (head, duties(self._history(head)))
        return self._found[1]

    def _bring(self) -> None:
        """Bring over what was before the commits that are here; what comes later follows them."""
        self._tries += 1
        try:
            self.desired.fetch_history(desired_ref(self.branch))
        except RepositoryError:
            return
        self._is_whole = True

    def _history(self, head: CommitId) -> tuple[Words, ...]:
        runs = self._runs(head)
        self._records = self._understood(runs)
        return tuple(
            Words(at=commit.at, is_first=not commit.parents, records=self._records[folder])
            for folder, commit in runs
        )

    def _runs(self, head: CommitId) -> _Runs:
        """The folder of the nodes as it was, newest first, with the commit that made it so."""
        runs: _Runs = []
        for commit in self.desired.log(head, self.limit):
            folder = self.desired.subtree(commit.tree, NODES)
            if runs and runs[-1][0] == folder:
                runs[-1] = (folder, commit)
            elif len(runs) == WORDS_MAX:
                break
            else:
                runs.append((folder, commit))
        return runs

    def _understood(self, runs: _Runs) -> _Records:
        """The documents of all these folders; what was read before is not read again."""
        fresh = {
            folder: self.desired.files_in(commit.tree, NODES)
            for folder, commit in runs
            if folder not in self._records
        }
        contents = self.desired.read({blob for files in fresh.values() for blob in files.values()})
        known = {folder: self._records[folder] for folder, _ in runs if folder in self._records}
        return {**known, **{folder: _nodes(files, contents) for folder, files in fresh.items()}}


def _nodes(
    files: Mapping[str, BlobId], contents: Mapping[BlobId, bytes]
) -> Mapping[NodeName, NodeRecord]:
    """Understand the documents of a folder as a pass does: a broken one cordons its node."""
    texts = {f"{NODES}/{name}": contents[blob] for name, blob in files.items()}
    sizes = {path: len(text) for path, text in texts.items() if len(text) > BYTES_MAX}
    rest = {path: text for path, text in texts.items() if path not in sizes}
    found = admitted(Snapshot(source=None, desired=rest, too_large=sizes))
    return {one.name: one for one in found.records}
