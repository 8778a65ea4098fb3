"""The objects of a mirror, and those that were written and did not have to go there yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fleet import fetching, git_command, mirror
from fleet.errors import DamagedError, RepositoryError
from fleet.mirror import Mirror
from fleet.objects import Entry, Object, object_id, pack, read_commit, tree_entries
from fleet.port import File
from fleet.readers import Database, NotHereError, Readers
from fleet.spare import NoRoomError, is_full
from fleet.trees import MAX_ROOT_BYTES, files_among
from schemas.names import BlobId, CommitId, TreeId

MAX_REMEMBERED: Final = 20_000  # trees, sizes and kinds, some 100 bytes each: a few MiB at most
MAX_PENDING_BYTES: Final = 32 * 1024 * 1024  # written and not yet pushed; more goes to disk
# Larger than any honest one, and small enough to be read: some MB that were pushed unpack to GBs.
MOST_BYTES: Final[Mapping[str, int]] = {"commit": 4 * 1024 * 1024, "tree": 32 * 1024 * 1024}
NO_BLOB: Final = -1  # instead of a size
FEW_SIZES: Final = 16  # up to here asking the reader that runs is cheaper than a process
FEW_OBJECTS: Final = 100  # up to here loose objects, as git's own `fetch.unpackLimit`


class Store:
    """Objects by their ids, each checked against its id. Reading belongs inside `readers.watched`.

    What is added stays in memory until somebody needs it in the mirror, so that a decision that is
    thrown away leaves nothing behind.
    """

    def __init__(self, place: Mirror) -> None:
        self.readers = Readers(place)
        self._mirror = place
        self._pending: dict[str, Object] = {}
        self._pending_bytes = 0
        self._roots: dict[str, TreeId] = {}
        self._trees: dict[str, tuple[Entry, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._commits: set[str] = set()

    def forget(self) -> None:
        """Forget what was read: the mirror is another one from now on."""
        self.readers.end()
        for memory in (self._trees, self._sizes, self._roots):
            memory.clear()
        self._commits.clear()

    def prepare(self) -> None:
        """Make the mirror fit for use. Call it while holding the mirror."""
        if fetching.prepare(self._mirror):
            self.readers.end()

    # writing

    @property
    def is_heavy(self) -> bool:
        """Whether so much was added that it should not stay in memory."""
        return self._pending_bytes > MAX_PENDING_BYTES

    def add(self, made: Mapping[str, Object]) -> None:
        """Keep new objects, by their ids."""
        fresh = {one: made[one] for one in made if one not in self._pending}
        self._pending.update(fresh)
        self._pending_bytes += sum(len(content) for _, content in fresh.values())

    def flush(self) -> None:
        """Hand what was added to git, in one go.

        Raises:
            NoRoomError: the disk is full.
        """
        if not self._pending:
            return
        with mirror.held(self._mirror):
            self.prepare()
            arguments = (
                ("unpack-objects", "-q")
                if len(self._pending) <= FEW_OBJECTS
                else ("index-pack", "--stdin")
            )
            done = self._mirror.git(*arguments, data=pack(self._pending))
            if done.code != 0:
                mirror.drop_leftovers(self._mirror)
            if done.code != 0 and is_full(done.err):
                raise NoRoomError(f"{self._mirror.folder}: {git_command.last_word(done)}")
            if done.code != 0:
                raise self.failure(done)
            mirror.count_change(self._mirror)
        self.drop_added()

    def pack_added(self) -> bytes:
        """Give what was added and is not in the mirror, as a pack."""
        return pack(self._pending)

    def drop_added(self) -> None:
        """Forget what was added: it is in safety."""
        self._pending.clear()
        self._pending_bytes = 0

    # reading

    def root(self, commit: CommitId) -> TreeId:
        """Give the tree of a commit."""
        found = self._roots.get(commit)
        if found is None:
            found = read_commit(commit, self.object(commit, "commit")).tree
            _bounded(self._roots)[commit] = found
        return found

    def object(self, wanted: str, kind: str, most: int | None = None) -> bytes:
        """Give a commit or tree, checked against its id. most: bytes; None: what its kind may have.

        Raises:
            RepositoryError: it is not here, of another kind, or larger.
        """
        pending = self._pending.get(wanted)
        found = pending if pending is not None else self._stored(wanted, most or MOST_BYTES[kind])
        if found[0] != kind:
            raise RepositoryError(f"{wanted} is a {found[0]}, not a {kind}")
        return found[1]

    def _stored(self, wanted: str, most: int) -> Object:
        def whole(store: Database) -> Object:
            stream = store.stream(bytes.fromhex(wanted))
            kind = _text(stream.type)
            if stream.size > most:
                self.readers.end()  # or its whole content would be read all the same, to skip it
                raise RepositoryError(f"the {kind} {wanted} has {stream.size} bytes, over {most}")
            content = bytes(stream.read())
            if len(content) < stream.size:
                raise BrokenPipeError("its reader ended")
            return kind, content

        found = self.readers.read(wanted, whole)
        if object_id(*found) != wanted:
            raise DamagedError(f"object {wanted} in {self._mirror.folder} is damaged")
        return found

    def load(self, tree: str) -> tuple[Entry, ...]:
        """Give the entries of a tree."""
        found = self._trees.get(tree)
        if found is None:
            found = tree_entries(self.object(tree, "tree"))
            _bounded(self._trees)[tree] = found
        return found

    def root_file(self, commit: CommitId, name: str) -> File | None:
        """Find a regular file at the root of a commit, see `Repository.root_file`."""
        root = self.root(commit)
        # Not kept, as other trees are: whoever pushes a new large one each time would fill memory.
        entries = tree_entries(self.object(root, "tree", MAX_ROOT_BYTES))
        blob = files_among(entries).get(name)
        if blob is None:
            return None
        kind, size = self._kind_and_size(blob)
        if kind != "blob":
            raise RepositoryError(f"{name} is a {kind}, not a file")
        return File(blob, size)

    def _kind_and_size(self, wanted: str) -> tuple[str, int]:
        pending = self._pending.get(wanted)
        if pending is not None:
            return pending[0], len(pending[1])
        found = self.readers.read(wanted, lambda store: store.info(bytes.fromhex(wanted)))
        return _text(found.type), found.size

    def sizes(self, blobs: Iterable[str]) -> dict[str, int]:
        """Give the sizes of blobs, in bytes. Objects of other kinds are left out."""
        wanted = set(blobs)
        found = {blob: self._sizes[blob] for blob in wanted & self._sizes.keys()}
        for blob in wanted & self._pending.keys():
            kind, content = self._pending[blob]
            found[blob] = len(content) if kind == "blob" else NO_BLOB
        missing = sorted(wanted - found.keys())
        look = self._each_size if len(missing) <= FEW_SIZES else self._all_sizes
        for blob, kind, size in look(missing):
            found[blob] = _bounded(self._sizes)[blob] = size if kind == "blob" else NO_BLOB
        return {blob: size for blob, size in found.items() if size != NO_BLOB}

    def _each_size(self, blobs: list[str]) -> Iterator[tuple[str, str, int]]:
        for blob in blobs:
            yield blob, *self._kind_and_size(blob)

    def _all_sizes(self, blobs: list[str]) -> Iterator[tuple[str, str, int]]:
        words = ("cat-file", "--batch-check=%(objecttype) %(objectsize)")
        done = self._mirror.git(*words, data=_lines(blobs))
        rows = done.out.decode("ascii", "replace").splitlines()
        for blob, row in zip(blobs, rows, strict=False):
            kind, _, size = row.partition(" ")
            if not size.isdigit():
                raise self._missing(blob)
            yield blob, kind, int(size)
        if done.code != 0 or len(rows) != len(blobs):
            raise self.failure(done)

    def is_commit(self, wanted: str) -> bool:
        """Whether this is a commit that is here. A ref may point to anything.

        Raises:
            RepositoryError: reading failed. That is no sign that the commit is not here.
        """
        if wanted in self._commits or self._pending.get(wanted, ("",))[0] == "commit":
            return True
        try:
            kind, _ = self._kind_and_size(wanted)
        except NotHereError:
            return False
        if kind == "commit":
            if len(self._commits) >= MAX_REMEMBERED:
                self._commits.clear()
            self._commits.add(wanted)
        return kind == "commit"

    def contents(self, wanted: Sequence[str], kind: str = "blob") -> Iterator[tuple[BlobId, bytes]]:
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

    def _missing(self, wanted: str) -> RepositoryError:
        return mirror.fault(self._mirror, f"object {wanted} is not here")

    def failure(self, done: git_command.Finished) -> RepositoryError:
        """Say why a call of git on the mirror failed: damage, or something else."""
        return mirror.fault(
            self._mirror, f"cannot use {self._mirror.folder}: {git_command.last_word(done)}"
        )


def _bounded(memory: dict[str, Any]) -> dict[str, Any]:
    """Keep what is remembered small: all of it can be read again."""
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()
    return memory


def _lines(ids: list[str]) -> bytes:
    return "".join(f"{one}\n" for one in ids).encode()


def _text(kind: bytes | str) -> str:
    return kind.decode() if isinstance(kind, bytes) else kind
