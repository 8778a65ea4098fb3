"""List, look up and rewrite trees: pure, given a way to load one tree."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from fleet.errors import RepositoryError
from fleet.objects import FILE, FOLDER, PROGRAM, Entry, Object, object_id, tree_content
from fleet.port import File, Tree
from schemas.names import BlobId, TreeId

Load: TypeAlias = Callable[[str], tuple[Entry, ...]]
# In bytes. Of what is no blob, though an entry says so, there is none.
Sizes: TypeAlias = Callable[[Iterable[str]], Mapping[str, int]]

MAX_ENTRIES: Final = (
    100_000  # some hundred files for each of 500 nodes; a tree of trees can hold 10^10
)
MAX_DEPTH: Final = 32  # nobody nests deeper by hand
MAX_ROOT_BYTES: Final = 1024 * 1024  # a root of which one file is wanted: some 20,000 entries
MAX_NAME_BYTES: Final = 255  # what file systems take


def list_tree(root: TreeId, load: Load, sizes: Sizes) -> Tree:
    """List a tree, flat.

    Raises:
        RepositoryError: it is too large or too deep.
    """
    files: dict[str, str] = {}
    folders: dict[str, TreeId] = {}
    ignored: list[str] = []
    waiting = [("", str(root))]
    while waiting:
        prefix, tree = waiting.pop()
        for entry in load(tree):
            path = _safe_path(prefix, entry)
            if path is None or path in files or path in folders:
                ignored.append(prefix + _shown(entry.name))
            elif entry.mode == FOLDER:
                folders[path] = TreeId(entry.id)
                waiting.append((f"{path}/", entry.id))
            else:
                files[path] = entry.id
        _check_bounds(root, prefix, len(files) + len(folders) + len(ignored))
    known = sizes(files.values())
    ignored += [path for path, blob in files.items() if blob not in known]
    return Tree(
        id=root,
        files={
            path: File(BlobId(blob), known[blob])
            for path, blob in sorted(files.items())
            if blob in known
        },
        folders=dict(sorted(folders.items())),
        ignored=tuple(sorted(ignored)),
    )


def _check_bounds(root: str, prefix: str, entries: int) -> None:
    if entries > MAX_ENTRIES:
        raise RepositoryError(f"tree {root} has more than {MAX_ENTRIES} entries")
    if prefix.count("/") > MAX_DEPTH:
        raise RepositoryError(f"tree {root} is more than {MAX_DEPTH} folders deep")


def _safe_path(prefix: str, entry: Entry) -> str | None:
    try:
        name = entry.name.decode()
    except UnicodeDecodeError:
        return None
    if entry.mode not in (FOLDER, FILE, PROGRAM) or not is_safe_name(name):
        return None
    return prefix + name


def _shown(name: bytes) -> str:
    """Show any name in a message: what does not print is escaped."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def is_safe_name(name: str) -> bool:
    """Whether a part of a path means the same on every file system, and nothing to Git."""
    plain = name.rstrip(". ").casefold()  # Windows drops both at the end
    return not (
        name in ("", ".", "..")
        or plain == ".git"
        or plain.startswith((".git:", "git~"))
        or "/" in name
        or "\\" in name
        or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES
        # Cc, Cf, Cs: control letters, invisible ones (macOS drops them from `.g\u200cit`), halves
        or (
            not (name.isascii() and name.isprintable())
            and any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in name)
        )
    )


def subtree(root: TreeId, folder: str, load: Load) -> TreeId | None:
    """Give the id of a folder in a tree. None: there is none. The root's name is empty."""
    tree = root
    for part in folder.split("/") if folder else ():
        found = {entry.name: entry for entry in load(tree)}.get(part.encode())
        if found is None or found.mode != FOLDER:
            return None
        tree = TreeId(found.id)
    return tree


def files_in(root: TreeId, folder: str, load: Load) -> Mapping[str, BlobId]:
    """Give the regular files that stand directly in a folder of a tree, by their names."""
    tree = subtree(root, folder, load)
    return files_among(load(tree) if tree is not None else ())


def files_among(entries: Iterable[Entry]) -> Mapping[str, BlobId]:
    """Give the regular files among the entries of one tree, by their names."""
    named = ((_safe_path("", entry), entry) for entry in entries if entry.mode != FOLDER)
    found: dict[str, BlobId] = {}
    for name, entry in named:
        if name is not None:
            found.setdefault(name, BlobId(entry.id))  # given twice, the first counts
    return found


def rewrite(
    base: TreeId | None, changes: Mapping[str, bytes | None], load: Load
) -> tuple[TreeId, dict[str, Object]]:
    """Apply changes to a tree. Gives its new id and the objects that it needs.

    Removals come first, so that a folder is replaced by removing it and putting files below it.

    Raises:
        RepositoryError: a path is unsafe, or is both a file and a folder.
    """
    for path in changes:
        if not all(is_safe_name(part) for part in path.split("/")):
            raise RepositoryError(f"{path!r} cannot be the path of a file")
        _check_no_file_above(path, changes)
    made: dict[str, Object] = {}
    root = _Folder(load(base) if base is not None else ())
    for path in sorted(path for path, content in changes.items() if content is None):
        root.remove(path.split("/"), load)
    for path, content in sorted(changes.items()):
        if content is not None:
            root.put(path.split("/"), _keep(made, "blob", content), load)
    return TreeId(root.keep(made)), made


def _check_no_file_above(path: str, changes: Mapping[str, bytes | None]) -> None:
    parts = path.split("/")
    for count in range(1, len(parts)):
        above = "/".join(parts[:count])
        if changes.get(above) is not None and changes[path] is not None:
            raise RepositoryError(f"{above!r} cannot be a file and a folder")


def _keep(made: dict[str, Object], kind: str, content: bytes) -> str:
    found = object_id(kind, content)
    made[found] = (kind, content)
    return found


class _Folder:
    """A folder being changed. Only the folders on the way to a change are ever opened."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self.opened: dict[bytes, _Folder] = {}

    def _open(self, name: bytes, load: Load) -> _Folder | None:
        if name not in self.opened:
            found = self.entries.get(name)
            if found is None or found.mode != FOLDER:
                return None
            self.opened[name] = _Folder(load(found.id))
        return self.opened[name]

    def remove(self, parts: list[str], load: Load) -> None:
        name = parts[0].encode()
        if len(parts) == 1:
            self.entries.pop(name, None)
            self.opened.pop(name, None)
        elif (inner := self._open(name, load)) is not None:
            inner.remove(parts[1:], load)

    def put(self, parts: list[str], blob: str, load: Load) -> None:
        name = parts[0].encode()
        if len(parts) == 1:
            self.opened.pop(name, None)
            self.entries[name] = Entry(FILE, name, blob)
            return
        inner = self._open(name, load)
        if inner is None:
            inner = self.opened[name] = _Folder(())
        inner.put(parts[1:], blob, load)

    def keep(self, made: dict[str, Object]) -> str:
        """Write this folder and those changed below it. An empty folder vanishes."""
        for name, inner in self.opened.items():
            found = inner.keep(made)
            if inner.entries:
                self.entries[name] = Entry(FOLDER, name, found)
            else:
                self.entries.pop(name, None)
        return _keep(made, "tree", tree_content(self.entries.values()))
