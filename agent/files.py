"""A replica's files on the host.

replicas/<replica>/<tree id>/   the files as Git has them; never changed once they are there
replicas/<replica>/<tree id>.overlay.yaml   our labels and the stored paths
replicas/<replica>/store/<digest>/<name>    what containers mount
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from agent.content import stored_path
from schemas.names import ReplicaName, TreeId

FOLDER_MODE = 0o755
FILE_MODE = 0o644


class ReplicaFiles:
    """The files of all replicas below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, replica: ReplicaName, tree: str) -> Path:
        """Where the files of a tree stand."""
        return self.root / replica / tree

    def overlay(self, replica: ReplicaName, tree: str) -> Path:
        """Where the second compose file of a tree stands."""
        return self.root / replica / f"{tree}.overlay.yaml"

    def store(self, replica: ReplicaName) -> Path:
        """Where files stand under the names of their digests."""
        return self.root / replica / "store"

    def is_here(self, replica: ReplicaName, tree: str) -> bool:
        """Whether all files of a tree are here: a folder gets its name only when it is whole."""
        return os.path.isdir(f"{self.root}/{replica}/{tree}")  # noqa: PTH112 - see `_marks`

    def put(self, replica: ReplicaName, tree: str, files: Mapping[str, bytes]) -> None:
        """Write the files of a tree.

        Raises:
            OSError: disk full or not writable; nothing of it counts as here.
        """
        _put_folder(self.folder(replica, tree), files)

    def read(self, replica: ReplicaName, tree: str) -> Mapping[str, bytes]:
        """Read the files of a tree by their path inside it.

        Raises:
            OSError: they cannot be read.
        """
        folder = self.folder(replica, tree)
        return {
            str(PurePosixPath(path.relative_to(folder))): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def put_stored(
        self, replica: ReplicaName, stored: Mapping[str, str], files: Mapping[str, bytes]
    ) -> None:
        """Put files and folders into the store, each under its digest.

        What is there already and was edited by hand is mended in place: containers have it mounted.

        Raises:
            OSError: as for `put`.
        """
        for digest, path in stored.items():
            place = self.store(replica) / stored_path(digest, path)
            below = {"": files[path]} if path in files else _below(files, path)
            wanted = {f"{place.name}/{name}".rstrip("/"): data for name, data in below.items()}
            if place.exists():
                _mend_folder(place.parent, wanted)
            else:
                _put_folder(place.parent, wanted)

    def seal(self, replica: ReplicaName, tree: str, digests: Iterable[str]) -> str:
        """Something that changes when anyone edits, adds or removes one of these files."""
        places = [self.folder(replica, tree), self.overlay(replica, tree)]
        places += [self.store(replica) / digest for digest in digests]
        lines = [line for place in places for line in _marks(str(place))]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def forget(self, replica: ReplicaName, tree: str) -> None:
        """Remove the files of a tree that cannot be trusted. What containers mount stays."""
        _remove(self.folder(replica, tree))

    def put_overlay(self, replica: ReplicaName, tree: str, text: str) -> None:
        """Write the second compose file of a tree. One that says so already is left as it is.

        Raises:
            OSError: as for `put`.
        """
        path, data = self.overlay(replica, tree), text.encode()
        if not path.is_file() or path.is_symlink() or path.read_bytes() != data:
            _put_file(path, data)

    def keep_only(
        self,
        kept: Mapping[ReplicaName, Mapping[TreeId, Iterable[str]]],
        *,
        untouched: frozenset[ReplicaName],
    ) -> None:
        """Remove what no replica needs any longer.

        Args:
            kept: for each replica its trees, and for each tree what it uses of the store.
            untouched: replicas that keep everything. One that is in neither loses all its files.
        """
        if not self.root.is_dir():
            return
        for place in sorted(self.root.iterdir()):
            trees = kept.get(ReplicaName(place.name))
            if place.name in untouched:
                continue
            if trees is None:
                shutil.rmtree(place, ignore_errors=True)
            else:
                _keep_only(place, trees)


def _keep_only(place: Path, trees: Mapping[TreeId, Iterable[str]]) -> None:
    """Remove the trees and stored files of one replica that are not among `trees`."""
    names = {"store", *trees, *(f"{tree}.overlay.yaml" for tree in trees)}
    for path in sorted(place.iterdir()):
        if path.name not in names:
            _remove(path)
    digests = {digest for used in trees.values() for digest in used}
    store = place / "store"
    for path in sorted(store.iterdir()) if store.is_dir() else ():
        if path.name not in digests:
            _remove(path)


def _below(files: Mapping[str, bytes], folder: str) -> Mapping[str, bytes]:
    """The files below a folder, by their path inside it. `.` is the root."""
    prefix = "" if folder == "." else f"{folder}/"
    return {
        path.removeprefix(prefix): data for path, data in files.items() if path.startswith(prefix)
    }


def _put_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside its place, then give it its name: it is there whole, or not at all."""
    part = folder.parent / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    _make_folder(part)
    for path, data in sorted(files.items()):
        _put_file(part / path, data)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def _mend_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Give a folder that is in use its content again, without replacing a file that is mounted."""
    for path in sorted(folder.rglob("*"), reverse=True):
        name = str(path.relative_to(folder))
        is_parent = any(wanted.startswith(f"{name}/") for wanted in files)
        if name not in files and not is_parent:
            _remove(path)
    for name, data in sorted(files.items()):
        path = folder / name
        if not path.is_file() or path.is_symlink():
            _remove(path)
            _put_file(path, data)
        elif path.read_bytes() != data:
            path.write_bytes(data)
            path.chmod(FILE_MODE)


def _marks(path: str) -> Iterator[str]:
    """A line for each file below a place, with what its content cannot change without.

    Asked in every pass, and so without `Path`, which takes longer than the disk does.
    """
    try:
        found = os.lstat(path)
        is_folder = stat.S_ISDIR(found.st_mode)
        names = sorted(os.listdir(path)) if is_folder else None  # noqa: PTH208 - as above
    except FileNotFoundError:
        yield f"{path} is missing"
        return
    if names is None:
        yield f"{path} {found.st_mode} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
    for name in names or ():
        yield from _marks(f"{path}/{name}")


def _put_file(path: Path, data: bytes) -> None:
    """Write a regular file that any user in a container may read; it is on disk at the return."""
    _make_folder(path.parent)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.chmod(FILE_MODE)
    part.replace(path)


def _make_folder(folder: Path) -> None:
    """Make a folder that any user in a container may enter, whatever the umask of the agent is."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(FOLDER_MODE)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
