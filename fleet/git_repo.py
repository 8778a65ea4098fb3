"""A `Repository` over a bare mirror: GitPython reads its objects, hardened git calls do the rest.

Nothing is ever checked out. What is read and written goes through `fleet.store`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from fleet import fetching, git_command, mirror, trees
from fleet.access import Access
from fleet.errors import (
    DamagedError,
    RejectedError,
    RepositoryError,
    StaleError,
    UnreachableError,
)
from fleet.git_names import check_object_id, check_ref, check_url, check_wanted, redacted
from fleet.lessons import Lessons, covers
from fleet.local import unmoved
from fleet.mirror import Mirror
from fleet.objects import IDENTITY, commit_content, object_id, read_commit
from fleet.port import Commit, File, RefUpdate, Refused, Tree
from fleet.push_report import Outcome, read_report
from fleet.spare import NoRoomError, spare
from fleet.store import Store
from fleet.updates import check_updates
from schemas.names import BlobId, CommitId, TreeId

T = TypeVar("T")

TRIES: Final = 3  # of moving our own ref, if the remote's files were locked by its own upkeep


def open_repository(  # noqa: PLR0913  # settings, all but two by name and optional
    url: str,
    folder: Path,
    *,
    access: Access | None = None,
    timeout: float = git_command.TIMEOUT_SECONDS,
    identity: str = IDENTITY,
    upkeep_every: int = mirror.UPKEEP_EVERY,
    keep: str = mirror.KEEP,
) -> GitRepository:
    """Open a remote through a mirror in `folder`, made at the first use. Nothing runs yet.

    timeout: seconds that any one call of git may take. identity: who commits, `name <address>`.

    Raises:
        RepositoryError: the URL is none that we may use.
    """
    checked = check_url(url)
    if any(letter in identity for letter in "\n\0") or not identity.endswith(">"):
        raise RepositoryError(f"{identity!r} is not an identity, such as {IDENTITY!r}")
    made = Mirror(
        checked,
        os.path.abspath(folder),  # noqa: PTH100  # `resolve` would follow links
        access=access or Access(),
        timeout=timeout,
        upkeep_every=upkeep_every,
        keep=keep,
    )
    return GitRepository(made, identity)


class GitRepository:
    """One remote through its mirror. Threads and processes may share a mirror."""

    def __init__(self, place: Mirror, identity: str = IDENTITY) -> None:
        self._mirror = place
        self._identity = identity
        self._lock = threading.RLock()
        self._lessons = Lessons()
        self._no_commits: dict[str, str] = {}
        self._asked: dict[str, None] = {}
        self._store = Store(place)

    def __repr__(self) -> str:
        return f"GitRepository({redacted(self._mirror.url)!r})"

    def close(self) -> None:
        """End the helper processes. Using the repository again starts new ones."""
        with self._lock:
            self._store.readers.end()

    @contextlib.contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        with self._lock:
            self._mirror.ends = None if seconds is None else time.monotonic() + seconds
            try:
                yield
            finally:
                self._mirror.ends = None

    # reading refs

    def fetch(self, *refs: str) -> Mapping[str, CommitId]:
        wanted = tuple(check_wanted(ref) for ref in refs)
        if not wanted:
            return {}
        with self._lock:
            self._asked.update(dict.fromkeys(wanted))
            return self._healing(lambda: self._commits_at(wanted))

    def _commits_at(self, wanted: tuple[str, ...]) -> dict[str, CommitId]:
        found = unmoved(self._mirror.url, self._mirror.folder, wanted)
        if found is None:
            found = self._bring(wanted)
        else:
            self._lessons.forget_gone(wanted, found)
            self._lessons.praise(found)
        commits = self._only_commits(found)
        kept = {ref: at for ref, at in self._no_commits.items() if not covers(wanted, ref)}
        self._no_commits = kept | {ref: at for ref, at in found.items() if ref not in commits}
        return commits

    def _only_commits(self, found: Mapping[str, str]) -> dict[str, CommitId]:
        """Leave out what points to something else, as a ref may."""
        is_commit = self._store.is_commit
        with self._store.readers.watched():
            return {ref: CommitId(found[ref]) for ref in sorted(found) if is_commit(found[ref])}

    def refused(self) -> Mapping[str, Refused]:
        with self._lock:
            odd = {
                ref: Refused(CommitId(at), "it stands at no commit")
                for ref, at in self._no_commits.items()
            }
            bad = self._lessons.refused.items()
            return {**odd, **{ref: Refused(CommitId(at), why) for ref, (at, why) in bad}}

    def fetch_history(self, ref: str) -> CommitId | None:
        check_ref(ref)

        def bring() -> CommitId | None:
            with mirror.held(self._mirror):
                mirror.create(self._mirror)
                found = fetching.bring_history(self._mirror, ref)
            return self._only_commits({ref: found} if found else {}).get(ref)

        with self._lock:
            self._asked[ref] = None
            return self._healing(bring)

    def fetch_lost(self, commit: CommitId) -> bool:
        check_object_id(commit)

        def bring() -> bool:
            with mirror.held(self._mirror):
                self._store.prepare()
                return fetching.bring_lost(self._mirror, commit)

        with self._lock:
            return self._healing(bring)

    def _bring(self, wanted: tuple[str, ...]) -> dict[str, str]:
        with mirror.held(self._mirror):
            self._store.prepare()
            return fetching.bring(self._mirror, wanted, self._lessons)

    # reading objects

    def tree(self, commit: CommitId) -> Tree:
        check_object_id(commit)

        def listed() -> Tree:
            return trees.list_tree(self._store.root(commit), self._store.load, self._store.sizes)

        return self._looking(listed)

    def root_file(self, commit: CommitId, name: str) -> File | None:
        check_object_id(commit)
        return self._looking(lambda: self._store.root_file(commit, name))

    def read(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, bytes]:
        wanted = [BlobId(check_object_id(blob)) for blob in dict.fromkeys(blobs)]
        return self._looking(lambda: dict(self._store.contents(wanted)))

    def show(self, commit: CommitId) -> Commit:
        check_object_id(commit)
        return self._looking(lambda: read_commit(commit, self._store.object(commit, "commit")))

    def log(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        check_object_id(tip)
        return self._looking(lambda: self._log(tip, limit))

    def _log(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        return self._listed(tip, "--first-parent", f"--max-count={limit}", tip)

    def history(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        check_object_id(tip)
        return self._looking(lambda: self._history(tip, limit))

    def _history(self, tip: CommitId, limit: int, *without: str) -> tuple[Commit, ...]:
        return self._listed(tip, "--topo-order", f"--max-count={limit}", tip, *without)

    def since(self, newer: CommitId, older: CommitId, limit: int) -> tuple[Commit, ...]:
        check_object_id(newer)
        check_object_id(older)
        return self._looking(lambda: self._since(newer, older, limit))

    def _since(self, newer: CommitId, older: CommitId, limit: int) -> tuple[Commit, ...]:
        without = (f"^{older}",) if self._store.is_commit(older) else ()
        return self._history(newer, limit, *without)

    def _listed(self, tip: CommitId, *words: str) -> tuple[Commit, ...]:
        """Read the commits that `rev-list` names. `tip`: has to be here."""
        self._store.flush()
        self._store.object(tip, "commit")
        done = self._mirror.git("rev-list", *words, "--")
        if done.code != 0:
            raise self._store.failure(done)
        commits = [BlobId(line) for line in done.out.decode().split()]
        return tuple(
            read_commit(CommitId(commit), content)
            for commit, content in self._store.contents(commits, "commit")
        )

    def descends(self, newer: CommitId, older: CommitId) -> bool:
        check_object_id(newer)
        check_object_id(older)
        return self._looking(lambda: self._descends(newer, older))

    def _descends(self, newer: CommitId, older: CommitId) -> bool:
        self._store.flush()
        if not (self._store.is_commit(newer) and self._store.is_commit(older)):
            return False
        done = self._mirror.git("merge-base", "--is-ancestor", older, newer)
        if done.code not in (0, 1):
            raise self._store.failure(done)
        return done.code == 0

    # writing

    def write(self, base: TreeId | None, changes: Mapping[str, bytes | None]) -> TreeId:
        with self._lock:
            found, made = self._looking(lambda: trees.rewrite(base, changes, self._store.load))
            self._store.add(made)
            if self._store.is_heavy:
                self._healing(self._store.flush)
            return found

    def subtree(self, tree: TreeId, folder: str) -> TreeId | None:
        check_object_id(tree)
        return self._looking(lambda: trees.subtree(tree, folder, self._store.load))

    def files_in(self, tree: TreeId, folder: str) -> Mapping[str, BlobId]:
        check_object_id(tree)
        return self._looking(lambda: trees.files_in(tree, folder, self._store.load))

    def commit(
        self, tree: TreeId, *, parent: CommitId | None, message: str, at: datetime
    ) -> CommitId:
        self._looking(lambda: self._check_parts(check_object_id(tree), parent))
        content = commit_content(tree, parent, message, at, self._identity)
        made = CommitId(object_id("commit", content))
        with self._lock:
            self._store.add({made: ("commit", content)})
        return made

    def _check_parts(self, tree: str, parent: CommitId | None) -> None:
        self._store.load(tree)
        if parent is not None and not self._store.is_commit(check_object_id(parent)):
            raise RepositoryError(f"{parent} is no commit that was fetched or written here")

    # pushing

    def push(self, updates: tuple[RefUpdate, ...]) -> None:
        check_updates(updates)
        if not updates:
            return
        leases = (f"--force-with-lease={one.ref}:{one.expected or ''}" for one in updates)
        with self._lock:
            outcome, why = self._push(("--atomic", *leases), {one.ref: one.new for one in updates})
        if outcome is Outcome.STALE:
            raise StaleError(f"{redacted(self._mirror.url)} has moved on: {why}")
        if outcome is Outcome.REJECTED:
            raise RejectedError(f"{redacted(self._mirror.url)} refused: {why}")

    def push_own(self, ref: str, new: CommitId) -> None:
        check_ref(ref)
        check_object_id(new)
        why = ""
        with self._lock:
            for _ in range(TRIES):
                try:
                    outcome, why = self._push(("--force",), {ref: new})
                except NoRoomError:
                    outcome, why = self._push_from_memory(ref, new)
                if outcome is Outcome.MOVED:
                    return
                if outcome is Outcome.REJECTED:
                    raise RejectedError(f"{redacted(self._mirror.url)} refused: {why}")
        raise UnreachableError(f"{redacted(self._mirror.url)} did not move {ref}: {why}")

    def _push_from_memory(self, ref: str, new: CommitId) -> tuple[Outcome, str]:
        """Push what the disk has no room for: a node whose disk is full has to say so."""
        with mirror.held(self._mirror), spare(self._mirror) as view:
            done = view.git("unpack-objects", "-q", data=self._store.pack_added())
            if done.code != 0:
                raise NoRoomError(f"{self._mirror.folder}: {git_command.last_word(done)}")
            words = ("push", "--porcelain", "--no-verify", "--force", "--", self._mirror.url)
            done = view.git(*words, f"{new}:{ref}")
        outcome, why = read_report(done.code, done.out.decode("utf-8", "replace"), done.err)
        if outcome is Outcome.MOVED:
            self._store.drop_added()
        return outcome, why

    def _push(
        self, options: tuple[str, ...], moves: Mapping[str, CommitId | None]
    ) -> tuple[Outcome, str]:
        self._healing(self._store.flush)
        self._looking(lambda: self._check_commits(moves.values()))
        with mirror.held(self._mirror):
            mirror.create(self._mirror)
            specs = [f"{new or ''}:{ref}" for ref, new in moves.items()]
            done = self._mirror.git(
                *("push", "--porcelain", "--no-verify", *options, "--", self._mirror.url, *specs)
            )
            outcome, why = read_report(done.code, done.out.decode("utf-8", "replace"), done.err)
            if outcome is Outcome.MOVED:
                self._remember(moves)
        if outcome is Outcome.UNCLEAR:
            self._healing(lambda: self._explain_push(done))
        return outcome, why

    def _check_commits(self, commits: Iterable[CommitId | None]) -> None:
        for commit in commits:
            if commit is not None and not self._store.is_commit(commit):
                raise RepositoryError(f"{commit} is no commit that was fetched or written here")

    def _remember(self, moves: Mapping[str, CommitId | None]) -> None:
        """Move the mirror's refs along. If that fails, the next fetch does it."""
        lines = [
            f"update {ref} {new}\n" if new else f"delete {ref}\n" for ref, new in moves.items()
        ]
        self._mirror.git("update-ref", "--stdin", data="".join(lines).encode())

    def _explain_push(self, done: git_command.Finished) -> None:
        if done.code != git_command.TIMED_OUT and "Could not read from remote" not in done.err:
            mirror.examine(self._mirror)
        raise UnreachableError(
            f"cannot push to {redacted(self._mirror.url)}: {git_command.last_word(done)}"
        )

    # healing

    def _looking(self, work: Callable[[], T]) -> T:
        """Do something that reads objects."""

        def watched() -> T:
            with self._store.readers.watched():
                return work()

        with self._lock:
            return self._healing(watched)

    def _healing(self, work: Callable[[], T]) -> T:
        """Do something; if the mirror is damaged, put it aside, fetch anew, and do it again."""
        try:
            return work()
        except DamagedError:
            self._begin_anew()
        return work()

    def _begin_anew(self) -> None:
        self._store.forget()
        self._lessons.clear()
        with mirror.held(self._mirror):
            if os.path.isdir(self._mirror.folder):  # noqa: PTH112
                mirror.put_aside(self._mirror)
        self._bring(tuple(self._asked))
