"""A `Repository` over a bare mirror: GitPython reads its objects, hardened git calls do the rest.

GitPython starts its long-lived `git cat-file` through `_HardenedGit`, with the same arguments and
environment as every other call. Nothing is ever checked out.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import git
from git.db import GitCmdObjectDB

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
from fleet.local import unmoved
from fleet.mirror import Mirror
from fleet.objects import (
    IDENTITY,
    Entry,
    Object,
    commit_content,
    object_id,
    pack,
    read_commit,
    tree_entries,
)
from fleet.port import Commit, RefUpdate, Tree
from fleet.push_report import Outcome, read_report
from fleet.spare import NoRoomError, is_full, spare
from fleet.updates import check_updates
from schemas.names import BlobId, CommitId, TreeId

T = TypeVar("T")

MAX_REMEMBERED: Final = 20_000  # trees, sizes and kinds, some 100 bytes each: a few MiB at most
MAX_PENDING_BYTES: Final = 32 * 1024 * 1024  # written and not yet pushed; more goes to disk
FEW_SIZES: Final = 16  # up to here asking the reader that runs is cheaper than a process
FEW_OBJECTS: Final = 100  # up to here loose objects, as git's own `fetch.unpackLimit`
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
    """One remote through its mirror. Threads and processes may share a mirror.

    What is written stays in memory until a push needs it, so that a decision that is thrown away
    leaves nothing behind.
    """

    def __init__(self, place: Mirror, identity: str = IDENTITY) -> None:
        self._mirror = place
        self._identity = identity
        self._lock = threading.RLock()
        self._absent: set[str] = set()
        self._asked: dict[str, None] = {}
        self._pending: dict[str, Object] = {}
        self._pending_bytes = 0
        self._watch: threading.Timer | None = None
        self._roots: dict[str, TreeId] = {}
        self._trees: dict[str, tuple[Entry, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._commits: set[str] = set()
        self._git = _HardenedGit(place)

    def __repr__(self) -> str:
        return f"GitRepository({redacted(self._mirror.url)!r})"

    def close(self) -> None:
        """End the helper processes. Using the repository again starts new ones."""
        with self._lock:
            self._git.clear_cache()

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
        with self._watched():
            return {
                ref: CommitId(found[ref]) for ref in sorted(found) if self._is_commit(found[ref])
            }

    def fetch_history(self, ref: str) -> CommitId | None:
        check_ref(ref)

        def bring() -> CommitId | None:
            with mirror.held(self._mirror):
                mirror.create(self._mirror)
                found = fetching.bring_history(self._mirror, ref)
            with self._watched():
                return CommitId(found) if found is not None and self._is_commit(found) else None

        with self._lock:
            self._asked[ref] = None
            return self._healing(bring)

    def fetch_lost(self, commit: CommitId) -> bool:
        check_object_id(commit)

        def bring() -> bool:
            with mirror.held(self._mirror):
                self._prepare()
                return fetching.bring_lost(self._mirror, commit)

        with self._lock:
            return self._healing(bring)

    def _bring(self, wanted: tuple[str, ...]) -> dict[str, str]:
        with mirror.held(self._mirror):
            self._prepare()
            return fetching.bring(self._mirror, wanted, self._absent)

    def _prepare(self) -> None:
        if fetching.prepare(self._mirror):
            self._git.clear_cache()

    # reading objects

    def tree(self, commit: CommitId) -> Tree:
        check_object_id(commit)

        def listed() -> Tree:
            root = self._roots.get(commit)
            if root is None:
                root = read_commit(commit, self._object(commit, "commit")).tree
                _bounded(self._roots)[commit] = root
            return trees.list_tree(root, self._load, self._sizes_of)

        return self._looking(listed)

    def read(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, bytes]:
        wanted = [BlobId(check_object_id(blob)) for blob in dict.fromkeys(blobs)]
        return self._looking(lambda: dict(self._contents(wanted)))

    def show(self, commit: CommitId) -> Commit:
        check_object_id(commit)
        return self._looking(lambda: read_commit(commit, self._object(commit, "commit")))

    def log(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        check_object_id(tip)
        return self._looking(lambda: self._log(tip, limit))

    def _log(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        return self._listed(tip, "--first-parent", f"--max-count={limit}", tip)

    def since(self, newer: CommitId, older: CommitId, limit: int) -> tuple[Commit, ...]:
        check_object_id(newer)
        check_object_id(older)
        return self._looking(lambda: self._since(newer, older, limit))

    def _since(self, newer: CommitId, older: CommitId, limit: int) -> tuple[Commit, ...]:
        without = (f"^{older}",) if self._is_commit(older) else ()
        return self._listed(newer, "--topo-order", f"--max-count={limit}", newer, *without)

    def _listed(self, tip: CommitId, *words: str) -> tuple[Commit, ...]:
        """Read the commits that `rev-list` names. `tip`: has to be here."""
        self._flush()
        self._object(tip, "commit")
        done = self._mirror.git("rev-list", *words, "--")
        if done.code != 0:
            raise self._read_failure(done)
        commits = [BlobId(line) for line in done.out.decode().split()]
        return tuple(
            read_commit(CommitId(commit), content)
            for commit, content in self._contents(commits, "commit")
        )

    def descends(self, newer: CommitId, older: CommitId) -> bool:
        check_object_id(newer)
        check_object_id(older)
        return self._looking(lambda: self._descends(newer, older))

    def _descends(self, newer: CommitId, older: CommitId) -> bool:
        self._flush()
        if not (self._is_commit(newer) and self._is_commit(older)):
            return False
        done = self._mirror.git("merge-base", "--is-ancestor", older, newer)
        if done.code not in (0, 1):
            raise self._read_failure(done)
        return done.code == 0

    # writing

    def write(self, base: TreeId | None, changes: Mapping[str, bytes | None]) -> TreeId:
        with self._lock:
            found, made = self._looking(lambda: trees.rewrite(base, changes, self._load))
            self._pending.update(made)
            self._pending_bytes += sum(len(content) for _, content in made.values())
            if self._pending_bytes > MAX_PENDING_BYTES:
                self._healing(self._flush)
            return found

    def subtree(self, tree: TreeId, folder: str) -> TreeId | None:
        check_object_id(tree)
        return self._looking(lambda: trees.subtree(tree, folder, self._load))

    def files_in(self, tree: TreeId, folder: str) -> Mapping[str, BlobId]:
        check_object_id(tree)
        return self._looking(lambda: trees.files_in(tree, folder, self._load))

    def commit(
        self, tree: TreeId, *, parent: CommitId | None, message: str, at: datetime
    ) -> CommitId:
        self._looking(lambda: self._check_parts(check_object_id(tree), parent))
        content = commit_content(tree, parent, message, at, self._identity)
        made = CommitId(object_id("commit", content))
        with self._lock:
            self._pending[made] = ("commit", content)
        return made

    def _check_parts(self, tree: str, parent: CommitId | None) -> None:
        self._load(tree)
        if parent is not None and not self._is_commit(check_object_id(parent)):
            raise RepositoryError(f"{parent} is no commit that was fetched or written here")

    def _flush(self) -> None:
        """Hand what was written to git, in one go."""
        if not self._pending:
            return
        with mirror.held(self._mirror):
            self._prepare()
            arguments = (
                ("unpack-objects", "-q")
                if len(self._pending) <= FEW_OBJECTS
                else ("index-pack", "--stdin")
            )
            done = self._mirror.git(*arguments, data=pack(self._pending))
            if done.code != 0 and is_full(done.err):
                raise NoRoomError(f"{self._mirror.folder}: {git_command.last_word(done)}")
            if done.code != 0:
                raise self._read_failure(done)
            mirror.count_change(self._mirror)
        self._pending.clear()
        self._pending_bytes = 0

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
            done = view.git("unpack-objects", "-q", data=pack(self._pending))
            if done.code != 0:
                raise NoRoomError(f"{self._mirror.folder}: {git_command.last_word(done)}")
            words = ("push", "--porcelain", "--no-verify", "--force", "--", self._mirror.url)
            done = view.git(*words, f"{new}:{ref}")
        outcome, why = read_report(done.code, done.out.decode("utf-8", "replace"), done.err)
        if outcome is Outcome.MOVED:
            self._pending.clear()
            self._pending_bytes = 0
        return outcome, why

    def _push(
        self, options: tuple[str, ...], moves: Mapping[str, CommitId | None]
    ) -> tuple[Outcome, str]:
        self._healing(self._flush)
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
            if commit is not None and not self._is_commit(commit):
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
            with self._watched():
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
        self._git.clear_cache()
        for memory in (self._trees, self._sizes, self._roots):
            memory.clear()
        self._commits.clear()
        self._absent.clear()
        with mirror.held(self._mirror):
            if os.path.isdir(self._mirror.folder):  # noqa: PTH112
                mirror.put_aside(self._mirror)
        self._bring(tuple(self._asked))

    def _read_failure(self, done: git_command.Finished) -> RepositoryError:
        """Say why reading or writing here failed: damage, or something else."""
        try:
            mirror.examine(self._mirror)
        except DamagedError as error:
            return error
        return RepositoryError(f"cannot use {self._mirror.folder}: {git_command.last_word(done)}")

    # the object store

    def _object(self, wanted: str, kind: str) -> bytes:
        """Give an object's content, checked against its id."""
        pending = self._pending.get(wanted)
        found = pending if pending is not None else self._stored(wanted)
        if found[0] != kind:
            raise RepositoryError(f"{wanted} is a {found[0]}, not a {kind}")
        return found[1]

    def _stored(self, wanted: str) -> Object:
        with self._reading(wanted) as store:
            stream = store.stream(bytes.fromhex(wanted))
            found = (_text(stream.type), bytes(stream.read()))
        if object_id(*found) != wanted:
            raise DamagedError(f"object {wanted} in {self._mirror.folder} is damaged")
        return found

    def _load(self, tree: str) -> tuple[Entry, ...]:
        found = self._trees.get(tree)
        if found is None:
            found = tree_entries(self._object(tree, "tree"))
            _bounded(self._trees)[tree] = found
        return found

    def _sizes_of(self, blobs: Iterable[str]) -> dict[str, int]:
        wanted = set(blobs)
        found = {blob: self._sizes[blob] for blob in wanted & self._sizes.keys()}
        found |= {blob: len(self._pending[blob][1]) for blob in wanted & self._pending.keys()}
        missing = sorted(wanted - found.keys())
        look = self._each_size if len(missing) <= FEW_SIZES else self._all_sizes
        for blob, size in look(missing):
            found[blob] = _bounded(self._sizes)[blob] = size
        return found

    def _each_size(self, blobs: list[str]) -> Iterator[tuple[str, int]]:
        for blob in blobs:
            with self._reading(blob) as store:
                yield blob, store.info(bytes.fromhex(blob)).size

    def _all_sizes(self, blobs: list[str]) -> Iterator[tuple[str, int]]:
        done = self._mirror.git("cat-file", "--batch-check=%(objectsize)", data=_lines(blobs))
        sizes = done.out.decode("ascii", "replace").splitlines()
        for blob, size in zip(blobs, sizes, strict=False):
            if not size.isdigit():
                raise self._missing(blob)
            yield blob, int(size)
        if done.code != 0 or len(sizes) != len(blobs):
            raise self._read_failure(done)

    def _is_commit(self, wanted: str) -> bool:
        """Whether this is a commit that is here. A ref may point to anything."""
        if wanted in self._commits or self._pending.get(wanted, ("",))[0] == "commit":
            return True
        try:
            with self._reading(wanted) as store:
                kind = _text(store.info(bytes.fromhex(wanted)).type)
        except DamagedError:
            raise
        except RepositoryError:
            return False
        if kind == "commit":
            if len(self._commits) >= MAX_REMEMBERED:
                self._commits.clear()
            self._commits.add(wanted)
        return kind == "commit"

    def _contents(
        self, wanted: Sequence[str], kind: str = "blob"
    ) -> Iterator[tuple[BlobId, bytes]]:
        """Give many objects, in order, with one call of git, each checked against its id."""
        stored = [one for one in wanted if one not in self._pending]
        found = dict(self._batch(stored)) if stored else {}
        for one in wanted:
            kept = self._pending.get(one) or found[one]
            if kept[0] != kind:
                raise RepositoryError(f"{one} is a {kept[0]}, not a {kind}")
            yield BlobId(one), kept[1]

    def _batch(self, wanted: list[str]) -> Iterator[tuple[str, Object]]:
        done = self._mirror.git(
            "cat-file", "--batch", "--buffer", data="\n".join(wanted).encode() + b"\n"
        )
        at = 0
        for one in wanted:
            end = done.out.find(b"\n", at)
            head = done.out[at : max(end, at)].decode("ascii", "replace").split()
            if done.code != 0 or len(head) != 3:  # noqa: PLR2004  # id, kind, size
                raise self._missing(one)
            content = done.out[end + 1 : end + 1 + int(head[2])]
            at = end + 2 + len(content)
            if object_id(head[1], content) != one:
                raise DamagedError(f"object {one} in {self._mirror.folder} is damaged")
            yield one, (head[1], content)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Bound the time of what is read inside through GitPython, which has no bound."""
        try:
            yield
        finally:
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
            if self._git.was_killed:
                self._git.clear_cache()

    @contextlib.contextmanager
    def _reading(self, wanted: str) -> Iterator[GitCmdObjectDB]:
        """Read from GitPython's object database, inside `_watched`."""
        if not os.path.isdir(self._mirror.folder):  # noqa: PTH112
            raise RepositoryError(f"object {wanted} is not here: nothing was fetched yet")
        if self._watch is None:  # only now: a thread costs more than what is remembered
            self._watch = threading.Timer(self._mirror.timeout, self._git.kill_readers)
            self._watch.daemon = True
            self._watch.start()
        try:
            yield GitCmdObjectDB(f"{self._mirror.folder}/objects", self._git)
        except (ValueError, OSError, git.GitError) as error:
            was_killed = self._git.was_killed
            self._git.clear_cache()
            if was_killed:
                late = f"reading {wanted} took more than {self._mirror.timeout:g} s"
                raise RepositoryError(late) from error
            raise self._missing(wanted) from error

    def _missing(self, wanted: str) -> RepositoryError:
        try:
            mirror.examine(self._mirror)
        except DamagedError as error:
            return error
        return RepositoryError(f"object {wanted} is not here")


def _bounded(memory: dict[str, Any]) -> dict[str, Any]:
    """Keep what is remembered small: all of it can be read again."""
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()
    return memory


def _lines(ids: list[str]) -> bytes:
    return "".join(f"{one}\n" for one in ids).encode()


def _text(kind: bytes | str) -> str:
    return kind.decode() if isinstance(kind, bytes) else kind


class _Content(git.Git.CatFileContentStream):
    """What a reader gives. It goes quietly if its reader has been ended meanwhile."""

    def __del__(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            super().__del__()


class _HardenedGit(git.Git):
    """GitPython's runner, bound to our command line and environment.

    GitPython adds to the environment of this process and cannot take away, so `env -i` does.
    """

    CatFileContentStream = _Content

    def __init__(self, place: Mirror) -> None:
        super().__init__("/")
        self._place = place
        self.was_killed = False

    def clear_cache(self) -> git.Git:
        self.was_killed = False
        return super().clear_cache()

    def execute(self, command: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        pairs = (f"{name}={value}" for name, value in self._place.environment.items())
        whole = git_command.command(self._place.folder, command[1:])
        return super().execute(["env", "-i", *pairs, *whole], *args, **kwargs)

    def kill_readers(self) -> None:
        """End the readers that hang: whoever waits for them gets an error."""
        self.was_killed = True
        for reader in (self.cat_file_all, self.cat_file_header):
            if reader is not None and reader.proc is not None:
                reader.proc.kill()
