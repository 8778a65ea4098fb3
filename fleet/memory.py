"""The same promises over dicts, with the same ids: what the simulator and quick tests run on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from fleet import trees
from fleet.errors import RejectedError, RepositoryError, StaleError, UnreachableError
from fleet.git_names import check_object_id, check_ref, check_wanted
from fleet.lessons import covers
from fleet.objects import (
    IDENTITY,
    Entry,
    Object,
    commit_content,
    object_id,
    read_commit,
    tree_entries,
)
from fleet.port import Commit, File, RefUpdate, Refused, Tree
from fleet.updates import check_updates
from schemas.names import BlobId, CommitId, TreeId

UNBOUNDED: Final = 2**31 - 1

# Gives the reason to refuse a move, or nothing, as a `pre-receive` hook does.
Rule: TypeAlias = Callable[[RefUpdate], str]


def allow_all(_update: RefUpdate) -> str:
    """Refuse nothing."""
    return ""


class Line(StrEnum):
    """How the line from one client to the server is."""

    UP = "up"
    DOWN = "down"  # nothing arrives
    MUTE = "mute"  # what is asked happens, and the answer is lost


class MemoryServer:
    """A remote that many clients share. Safe to use from many threads.

    refs: where each ref stands; a test may set them. rule: what a server's hook would refuse.
    bad: refs whose objects git would refuse, with why.
    """

    def __init__(self, rule: Rule = allow_all) -> None:
        self.refs: dict[str, str] = {}
        self.rule = rule
        self.bad: dict[str, str] = {}
        self.objects: dict[str, Object] = {}
        self._lock = threading.Lock()

    def store(self, kind: str, content: bytes) -> str:
        """Keep any object, odd ones too, and give its id."""
        found = object_id(kind, content)
        self.objects[found] = (kind, content)
        return found

    def standing(self, wanted: tuple[str, ...]) -> dict[str, str]:
        """Say where refs stand, as one moment saw them."""
        names = frozenset(wanted)
        prefixes = tuple(name for name in wanted if name[-1] == "/")
        with self._lock:
            found = names & self.refs.keys()
            if prefixes:
                found |= {ref for ref in self.refs if ref.startswith(prefixes)}
            return {ref: self.refs[ref] for ref in sorted(found)}

    def receive(self, updates: tuple[RefUpdate, ...], objects: Mapping[str, Object]) -> None:
        """Move refs, all or none.

        Raises:
            StaleError, RejectedError: nothing moved.
        """
        with self._lock:
            for update in updates:
                now = self.refs.get(update.ref)
                if now != update.expected and (update.new is None or now != update.new):
                    raise StaleError(f"the remote has moved on: {update.ref} is at {now}")
            for update in updates:
                if why := self.rule(update):
                    raise RejectedError(f"the remote refused: {why}")
            self._move(updates, objects)

    def receive_own(self, ref: str, new: CommitId, objects: Mapping[str, Object]) -> None:
        """Move one ref, wherever it is.

        Raises:
            RejectedError: it did not move.
        """
        with self._lock:
            now = self.refs.get(ref)
            update = RefUpdate(ref, new, None if now is None else CommitId(now))
            if why := self.rule(update):
                raise RejectedError(f"the remote refused: {why}")
            self._move((update,), objects)

    def _move(self, updates: tuple[RefUpdate, ...], objects: Mapping[str, Object]) -> None:
        self.objects.update(objects)
        for update in updates:
            if update.new is None:
                self.refs.pop(update.ref, None)
            else:
                self.refs[update.ref] = update.new


class MemoryRepository:
    """One client of a `MemoryServer`. It reads only what it fetched or wrote, as a mirror does.

    line: set it to cut the client off.
    """

    def __init__(self, server: MemoryServer, *, identity: str = IDENTITY) -> None:
        self.line = Line.UP
        self._server = server
        self._identity = identity
        self._here: dict[str, Object] = {}
        self._unsent: dict[str, Object] = {}
        self._asked: set[str] = set()
        self._refused: dict[str, Refused] = {}

    # reading refs

    def close(self) -> None:
        """Nothing is held."""

    def within(self, seconds: float | None) -> AbstractContextManager[None]:
        """No call takes any time."""
        del seconds
        return nullcontext()

    def fetch(self, *refs: str) -> Mapping[str, CommitId]:
        wanted = tuple(check_wanted(ref) for ref in refs)
        if not wanted:
            return {}
        found = self._standing(wanted)
        first = tuple(name for name in wanted if name not in self._asked)
        for ref, commit in found.items():
            is_new = ref in first or any(name[-1] == "/" and ref.startswith(name) for name in first)
            self._bring(commit, depth=1 if is_new else UNBOUNDED)
        self._asked.update(wanted)
        return found

    def refused(self) -> Mapping[str, Refused]:
        return dict(self._refused)

    def fetch_history(self, ref: str) -> CommitId | None:
        tip = self._standing((check_ref(ref),)).get(ref)
        seen: set[str] = set()
        waiting = [] if tip is None else [tip]
        while waiting:
            commit = waiting.pop()
            if commit not in seen:
                seen.add(commit)
                self._bring(commit, depth=1)
                waiting += self._parents(commit)
        return tip

    def fetch_lost(self, commit: CommitId) -> bool:
        self._ask()
        self._answer()
        is_there = self._server.objects.get(check_object_id(commit), ("",))[0] == "commit"
        if is_there:
            self._bring(commit, UNBOUNDED)
        return is_there

    def _standing(self, wanted: tuple[str, ...]) -> dict[str, CommitId]:
        self._ask()
        found = self._server.standing(wanted)
        self._answer()
        kept = {ref: one for ref, one in self._refused.items() if not covers(wanted, ref)}
        objections = {ref: why for ref, at in found.items() if (why := self._objection(ref, at))}
        fresh = {ref: Refused(CommitId(found[ref]), why) for ref, why in objections.items()}
        self._refused = {**kept, **fresh}
        return {ref: CommitId(at) for ref, at in found.items() if ref not in fresh}

    def _objection(self, ref: str, at: str) -> str:
        is_commit = self._server.objects[at][0] == "commit"
        return self._server.bad.get(ref, "") if is_commit else "it stands at no commit"

    def _ask(self) -> None:
        if self.line is Line.DOWN:
            raise UnreachableError("cannot reach the remote: the line is down")

    def _answer(self) -> None:
        if self.line is Line.MUTE:
            raise UnreachableError("no answer from the remote: the line is mute")

    def _bring(self, commit: CommitId, depth: int) -> None:
        """Copy commits with their trees, back to a depth and to those that are here."""
        waiting = [(commit, 1)]
        while waiting:
            one, level = waiting.pop()
            if one in self._here:
                continue
            self._bring_tree(read_commit(one, self._server.objects[one][1]).tree)
            self._here[one] = self._server.objects[one]
            if level < depth:
                waiting += [(parent, level + 1) for parent in self._parents(one)]

    def _bring_tree(self, root: TreeId) -> None:
        waiting = [str(root)]
        while waiting:
            one = waiting.pop()
            if one not in self._here and one in self._server.objects:
                found = self._here[one] = self._server.objects[one]
                if found[0] == "tree":
                    waiting += [entry.id for entry in tree_entries(found[1])]

    def _parents(self, commit: CommitId) -> tuple[CommitId, ...]:
        return read_commit(commit, self._object(commit, "commit")).parents

    # reading objects

    def tree(self, commit: CommitId) -> Tree:
        found = read_commit(commit, self._object(check_object_id(commit), "commit"))
        return trees.list_tree(found.tree, self._load, self._sizes)

    def root_file(self, commit: CommitId, name: str) -> File | None:
        root = read_commit(commit, self._object(check_object_id(commit), "commit")).tree
        content = self._object(root, "tree")
        if len(content) > trees.MAX_ROOT_BYTES:
            raise RepositoryError(f"the tree {root} has {len(content)} bytes")
        blob = trees.files_among(tree_entries(content)).get(name)
        return None if blob is None else File(blob, len(self._object(blob, "blob")))

    def read(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, bytes]:
        return {blob: self._object(check_object_id(blob), "blob") for blob in blobs}

    def show(self, commit: CommitId) -> Commit:
        return read_commit(commit, self._object(check_object_id(commit), "commit"))

    def log(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        found = [read_commit(tip, self._object(check_object_id(tip), "commit"))]
        while len(found) < limit and found[-1].parents and found[-1].parents[0] in self._here:
            parent = found[-1].parents[0]
            found.append(read_commit(parent, self._object(parent, "commit")))
        return tuple(found[:limit])

    def history(self, tip: CommitId, limit: int) -> tuple[Commit, ...]:
        self._object(check_object_id(tip), "commit")
        return self._sorted(tip, self._history(tip), limit)

    def since(self, newer: CommitId, older: CommitId, limit: int) -> tuple[Commit, ...]:
        self._object(check_object_id(newer), "commit")
        return self._sorted(newer, self._history(newer) - self._history(older), limit)

    def _sorted(self, tip: CommitId, left: set[CommitId], limit: int) -> tuple[Commit, ...]:
        found: list[CommitId] = []
        waiting = [tip] if tip in left else []
        # A commit is listed once all its children are: nothing comes before what built on it.
        children = Counter(one for commit in left for one in self._parents(commit))
        while waiting and len(found) < limit:
            commit = waiting.pop()
            found.append(commit)
            for parent in self._parents(commit):
                children[parent] -= 1
                if parent in left and not children[parent]:
                    waiting.append(parent)
        return tuple(self.show(commit) for commit in found)

    def descends(self, newer: CommitId, older: CommitId) -> bool:
        return older in self._history(newer)

    def _history(self, tip: CommitId) -> set[CommitId]:
        """A commit and its ancestors, as far as they are here."""
        seen: set[CommitId] = set()
        waiting = [CommitId(check_object_id(tip))]
        while waiting:
            commit = waiting.pop()
            if commit not in seen and commit in self._here:
                seen.add(commit)
                waiting += self._parents(commit)
        return seen

    # writing

    def write(self, base: TreeId | None, changes: Mapping[str, bytes | None]) -> TreeId:
        found, made = trees.rewrite(base, changes, self._load)
        self._keep(made)
        return found

    def subtree(self, tree: TreeId, folder: str) -> TreeId | None:
        return trees.subtree(TreeId(check_object_id(tree)), folder, self._load)

    def files_in(self, tree: TreeId, folder: str) -> Mapping[str, BlobId]:
        return trees.files_in(TreeId(check_object_id(tree)), folder, self._load)

    def commit(
        self, tree: TreeId, *, parent: CommitId | None, message: str, at: datetime
    ) -> CommitId:
        self._object(check_object_id(tree), "tree")
        if parent is not None:
            self._object(check_object_id(parent), "commit")
        content = commit_content(tree, parent, message, at, self._identity)
        made = object_id("commit", content)
        self._keep({made: ("commit", content)})
        return CommitId(made)

    def _keep(self, made: Mapping[str, Object]) -> None:
        self._here.update(made)
        self._unsent.update(made)

    # pushing

    def push(self, updates: tuple[RefUpdate, ...]) -> None:
        check_updates(updates)
        for update in updates:
            if update.new is not None:
                self._object(update.new, "commit")
        if updates:
            self._ask()
            self._server.receive(updates, self._unsent)
            self._unsent.clear()
            self._answer()

    def push_own(self, ref: str, new: CommitId) -> None:
        self._object(new, "commit")
        self._ask()
        self._server.receive_own(check_ref(ref), new, self._unsent)
        self._unsent.clear()
        self._answer()

    # objects

    def _object(self, wanted: str, kind: str) -> bytes:
        found = self._here.get(wanted)
        if found is None:
            raise RepositoryError(f"object {wanted} is not here")
        if found[0] != kind:
            raise RepositoryError(f"{wanted} is a {found[0]}, not a {kind}")
        return found[1]

    def _load(self, tree: str) -> tuple[Entry, ...]:
        return tree_entries(self._object(tree, "tree"))

    def _sizes(self, blobs: Iterable[str]) -> dict[str, int]:
        found = {blob: self._here.get(blob) for blob in blobs}
        for blob, one in found.items():
            if one is None:
                raise RepositoryError(f"object {blob} is not here")
        return {blob: len(one[1]) for blob, one in found.items() if one and one[0] == "blob"}
