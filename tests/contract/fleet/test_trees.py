"""What is in a commit: listing, reading and writing trees, with the ids that Git gives."""

from __future__ import annotations

import pytest

from fleet.git_repo import GitRepository
from fleet.memory import MemoryRepository
from fleet.objects import FILE, Entry, object_id, tree_content
from fleet.port import File, RefUpdate, Repository, RepositoryError
from schemas.names import BlobId, CommitId, TreeId
from tests.contract.fleet.conftest import AT, MAIN, World, committed, planted

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
MISSING = CommitId("1" * 40)


def test_ids_are_those_that_git_gives(world: World) -> None:
    client = world.client()

    tree = client.write(None, {"a/b.txt": b"hello\n", "a-b": b"", "z": b"\x00\xff"})
    commit = committed(client, {"a": b"1"}, says="One line\n\nReason: none")

    assert (tree, commit) == (
        "d04478152b3f70562320b37ed9cf67ed8c609c3e",
        "4c3b0f9c9842455853b3fc9d95d932838e184e48",
    )


def test_what_was_written_is_read_by_another(world: World) -> None:
    writer, reader = world.client(), world.client()
    files = {"fleet.yaml": b"a: 1\n", "deep/er/est/x": b"\x00\x01\xff" * 1000, "empty": b""}
    commit = committed(writer, files)
    writer.push((RefUpdate(MAIN, commit, None),))

    tree = reader.tree(reader.fetch(MAIN)[MAIN])

    contents = reader.read(file.blob for file in tree.files.values())
    assert {path: contents[file.blob] for path, file in tree.files.items()} == files
    assert {path: file.size for path, file in tree.files.items()} == {
        path: len(data) for path, data in files.items()
    }
    assert set(tree.folders) == {"deep", "deep/er", "deep/er/est"}
    assert tree.ignored == ()


def test_what_was_written_can_be_read_before_any_push(world: World) -> None:
    client = world.client()

    tree = client.tree(committed(client, {"a/b": b"hi"}))

    assert client.read([tree.files["a/b"].blob]) == {tree.files["a/b"].blob: b"hi"}
    assert tree.files["a/b"] == File(BlobId("32f95c0d1244a78b2be1bab8de17906fabb2c4a8"), 2)


def test_a_folder_has_the_id_of_the_same_files_written_alone(world: World) -> None:
    client = world.client()
    whole = client.write(None, {"nodes/one/a": b"1", "nodes/one/b/c": b"2", "nodes/two/a": b"3"})
    alone = client.write(None, {"a": b"1", "b/c": b"2"})

    assert client.subtree(whole, "nodes/one") == alone
    assert client.subtree(whole, "") == whole
    assert client.subtree(whole, "nodes/three") is None
    assert client.subtree(whole, "nodes/one/a") is None
    assert client.subtree(whole, "nodes/one/a/b") is None


def test_the_files_of_one_folder_are_listed_without_the_rest(world: World) -> None:
    client = world.client()
    whole = client.write(None, {"nodes/a": b"1", "nodes/b": b"2", "nodes/deep/c": b"3", "d": b"4"})
    one, two = (BlobId(object_id("blob", content)) for content in (b"1", b"2"))

    assert client.files_in(whole, "nodes") == {"a": one, "b": two}
    assert client.files_in(whole, "") == {"d": BlobId(object_id("blob", b"4"))}
    assert client.files_in(whole, "nodes/none") == {}
    assert client.files_in(whole, "nodes/a") == {}


def test_a_folder_is_listed_without_what_is_no_regular_file(world: World) -> None:
    planted(world, MAIN, [("120000", b"link", b"plain"), (FILE, b"plain", b"1")])
    client = world.client()
    tree = client.show(client.fetch(MAIN)[MAIN]).tree

    assert client.files_in(tree, "") == {"plain": BlobId(object_id("blob", b"1"))}


def test_changes_touch_only_what_they_name(world: World) -> None:
    client = world.client()
    base = client.write(None, {"a/1": b"1", "a/2": b"2", "b/1": b"1", "c": b"c"})

    changed = client.write(base, {"a/1": b"new", "a/3/4": b"4", "b": None, "missing/x": None})

    assert changed == client.write(
        None, {"a/1": b"new", "a/2": b"2", "a/3/4": b"4", "c": b"c"}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        pytest.param({}, {"a/b": b"1", "c": b"2"}, id="nothing"),
        pytest.param({"a/b": None}, {"c": b"2"}, id="a folder left empty is gone"),
        pytest.param({"a": b"3"}, {"a": b"3", "c": b"2"}, id="a file instead of a folder"),
        pytest.param({"c/d": b"3"}, {"a/b": b"1", "c/d": b"3"}, id="a folder instead of a file"),
        pytest.param({"a": None, "a/z": b"3"}, {"a/z": b"3", "c": b"2"}, id="removal goes first"),
        pytest.param({"a": None, "c": None}, {}, id="everything"),
        pytest.param({"a/b/c": None}, {"a/b": b"1", "c": b"2"}, id="below a file is nothing"),
    ],
)
def test_edges_of_writing(
    world: World, changes: dict[str, bytes | None], result: dict[str, bytes]
) -> None:
    client = world.client()
    base = client.write(None, {"a/b": b"1", "c": b"2"})

    assert client.write(base, changes) == client.write(None, result)


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", ".git/config", "a/.GIT/x", "git~1", ".git. ",
     "a\\b", "a\nb", "a\x00b", ".g\u200cit/config", "a" * 256, "\udc80"],
)  # fmt: skip
def test_an_unsafe_path_is_not_written(world: World, path: str) -> None:
    with pytest.raises(RepositoryError):
        world.client().write(None, {path: b"x"})


def test_a_path_cannot_be_a_file_and_a_folder(world: World) -> None:
    with pytest.raises(RepositoryError):
        world.client().write(None, {"a": b"1", "a/b": b"2"})


def test_the_empty_tree_is_a_tree(world: World) -> None:
    writer, reader = world.client(), world.client()
    tree = writer.write(None, {})
    writer.push((RefUpdate(MAIN, committed(writer, {}), None),))

    found = reader.tree(reader.fetch(MAIN)[MAIN])

    assert tree == EMPTY_TREE
    assert (found.id, found.files, found.folders) == (EMPTY_TREE, {}, {})


def test_a_thousand_files_come_and_go(world: World) -> None:
    files = {f"nodes/n{i % 50}/r{i}/compose.yaml": b"%d\n" % i for i in range(1000)}
    writer, reader = world.client(), world.client()
    writer.push((RefUpdate(MAIN, committed(writer, files), None),))

    tree = reader.tree(reader.fetch(MAIN)[MAIN])
    contents = reader.read(file.blob for file in tree.files.values())

    assert {path: contents[file.blob] for path, file in tree.files.items()} == files
    assert len(tree.folders) == 1 + 50 + 1000


def test_odd_entries_are_ignored_and_told(world: World) -> None:
    planted(
        world,
        MAIN,
        [
            ("100644", b"fine", b"1"),
            ("100755", b"program", b"2"),
            ("120000", b"link", b"/etc/passwd"),
            ("160000", b"module", b"3"),
            ("100644", b"..", b"4"),
            ("100644", b".", b"5"),
            ("100644", b".GIT", b"6"),
            ("100644", b"a/b", b"7"),
            ("100644", b"back\\slash", b"8"),
            ("100644", b"new\nline", b"9"),
            ("100644", b"\xff\xfe", b"10"),
            ("100664", b"group", b"11"),
            ("100644", "größe".encode(), b"12"),
        ],
    )
    client = world.client()

    tree = client.tree(client.fetch(MAIN)[MAIN])

    assert set(tree.files) == {"fine", "program", "größe"}
    assert tree.ignored == (
        ".", "..", ".GIT", "\\xff\\xfe", "a/b", "back\\slash", "group", "link", "module",
        "new\\nline",
    )  # fmt: skip


def test_a_path_given_twice_counts_once(world: World) -> None:
    planted(world, MAIN, [("100644", b"a", b"first"), ("100644", b"a", b"second")])
    client = world.client()

    tree = client.tree(client.fetch(MAIN)[MAIN])

    assert client.read([tree.files["a"].blob]) == {tree.files["a"].blob: b"first"}
    assert tree.ignored == ("a",)


def test_a_tree_of_trees_that_unfolds_without_end_is_refused(world: World) -> None:
    tree = world.store("blob", b"x")
    line = b"100644"
    for _ in range(12):
        content = b"".join(line + b" %d\0" % i + bytes.fromhex(tree) for i in range(10))
        tree = world.store("tree", content)
        line = b"40000"
    commit = planted(world, MAIN, [])
    del commit
    client = world.client()
    head = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nbomb\n"
    world.set_ref(MAIN, world.store("commit", head.encode()))

    with pytest.raises(RepositoryError, match="entries"):
        client.tree(client.fetch(MAIN)[MAIN])


def _put_here(client: Repository, kind: str, content: bytes) -> str:
    """Put an object beside what a client fetched: git would stop an odd one at the fetch."""
    if isinstance(client, MemoryRepository):
        client._here[object_id(kind, content)] = (kind, content)
    else:
        assert isinstance(client, GitRepository)
        words = ("hash-object", "-t", kind, "-w", "--stdin", "--literally")
        assert client._mirror.git(*words, data=content).code == 0
    return object_id(kind, content)


@pytest.mark.parametrize("others", [0, 20])
def test_an_entry_that_says_file_and_names_something_else_is_ignored(
    world: World, others: int
) -> None:
    client = world.client()
    files = {f"f{number:02d}": b"%d" % number for number in range(others)}
    tree = client.write(None, {**files, "a": b"1"})
    client.push_own(MAIN, client.commit(tree, parent=None, message="x", at=AT))
    entries = [Entry(FILE, name.encode(), blob) for name, blob in client.files_in(tree, "").items()]
    root = _put_here(client, "tree", tree_content([*entries, Entry(FILE, b"odd", tree)]))
    head = f"tree {root}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    commit = CommitId(_put_here(client, "commit", head.encode()))

    assert set(client.tree(commit).files) == {*files, "a"}
    assert client.tree(commit).ignored == ("odd",)
    with pytest.raises(RepositoryError, match="not a"):
        client.root_file(commit, "odd")


def _bomb(world: World, entries: bytes, *, deep: int, wide: int) -> CommitId:
    """A commit whose root has these entries, beside folders that unfold: so deep, so wide."""
    tree = world.store("tree", b"100644 x\0" + bytes.fromhex(world.store("blob", b"x")))
    for _ in range(deep):
        lines = (b"40000 %d\0" % i + bytes.fromhex(tree) for i in range(wide))
        tree = world.store("tree", b"".join(lines))
    root = world.store("tree", entries + b"40000 z\0" + bytes.fromhex(tree))
    head = f"tree {root}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    return CommitId(world.store("commit", head.encode()))


@pytest.mark.parametrize(("deep", "wide"), [(40, 1), (8, 10)])
def test_a_file_at_the_root_is_found_whatever_hangs_below(
    world: World, deep: int, wide: int
) -> None:
    blob = world.store("blob", b"hello")
    commit = _bomb(world, b"100644 a\0" + bytes.fromhex(blob), deep=deep, wide=wide)
    world.set_ref(MAIN, commit)
    client = world.client()
    client.fetch(MAIN)

    assert client.root_file(commit, "a") == File(BlobId(blob), 5)
    assert client.root_file(commit, "x") is None
    assert client.root_file(commit, "z") is None
    with pytest.raises(RepositoryError, match=r"deep|entries"):
        client.tree(commit)


def test_of_a_name_given_twice_at_the_root_the_first_counts(world: World) -> None:
    commit = planted(world, MAIN, [("100644", b"a", b"first"), ("100644", b"a", b"second")])
    client = world.client()
    client.fetch(MAIN)

    found = client.root_file(commit, "a")

    assert found == File(BlobId(object_id("blob", b"first")), 5)
    assert found == client.tree(commit).files["a"]


@pytest.mark.parametrize("odd", ["120000", "160000", "40000"])
def test_what_is_no_regular_file_at_the_root_is_not_found(world: World, odd: str) -> None:
    commit = _bomb(world, b"", deep=1, wide=1)
    if odd != "40000":
        commit = planted(world, MAIN, [(odd, b"z", b"a")])
    world.set_ref(MAIN, commit)
    client = world.client()
    client.fetch(MAIN)

    assert client.root_file(commit, "z") is None


@pytest.mark.parametrize(("entries", "is_read"), [(26_214, True), (26_215, False)])
def test_a_root_that_is_too_large_is_not_looked_through(
    world: World, entries: int, is_read: bool
) -> None:
    blob = bytes.fromhex(world.store("blob", b"x"))
    lines = [b"100644 %012d\0" % number + blob for number in range(entries)]
    tree = world.store("tree", b"".join(lines))
    head = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    commit = CommitId(world.store("commit", head.encode()))
    world.set_ref(MAIN, commit)
    client = world.client()
    client.fetch(MAIN)

    if is_read:
        assert client.root_file(commit, "0" * 12) == File(BlobId(blob.hex()), 1)
    else:
        with pytest.raises(RepositoryError, match=f"{tree} has 1048600 bytes"):
            client.root_file(commit, "0" * 12)
    assert client.show(commit).tree == tree


def test_objects_that_are_not_here_are_an_error(world: World) -> None:
    client = world.client()
    planted(world, MAIN, [("100644", b"a", b"1")])
    client.fetch(MAIN)

    for use in (
        lambda: client.tree(MISSING),
        lambda: client.root_file(MISSING, "a"),
        lambda: client.read([BlobId(MISSING)]),
        lambda: client.log(MISSING, 1),
        lambda: client.history(MISSING, 1),
        lambda: client.show(MISSING),
        lambda: client.since(MISSING, MISSING, 1),
        lambda: client.subtree(TreeId(MISSING), "a"),
        lambda: client.write(TreeId(MISSING), {"a/b": b""}),
        lambda: client.commit(TreeId(MISSING), parent=None, message="x", at=AT),
        lambda: client.push_own(MAIN, MISSING),
        lambda: client.push((RefUpdate(MAIN, MISSING, None),)),
    ):
        with pytest.raises(RepositoryError):
            use()


def test_a_blob_is_no_commit_and_a_commit_no_blob(world: World) -> None:
    client = world.client()
    commit = planted(world, MAIN, [("100644", b"a", b"1")])
    client.fetch(MAIN)
    blob = client.tree(commit).files["a"].blob

    with pytest.raises(RepositoryError):
        client.tree(CommitId(blob))
    with pytest.raises(RepositoryError):
        client.read([BlobId(commit)])


@pytest.mark.parametrize("text", ["", "HEAD", "main", "-1", "0" * 40, "1" * 39, "A" * 40])
def test_what_is_no_object_id_is_refused(world: World, text: str) -> None:
    client = world.client()

    with pytest.raises(RepositoryError):
        client.tree(CommitId(text))
    with pytest.raises(RepositoryError):
        client.read([BlobId(text)])


def test_trees_are_sorted_as_git_sorts_them(world: World) -> None:
    """`a-b` comes before the folder `a`, which sorts as `a/`."""
    client = world.client()

    tree = client.write(None, {"a/x": b"", "a-b": b"", "a0": b""})

    client.push((RefUpdate(MAIN, committed(client, {"a/x": b"", "a-b": b"", "a0": b""}), None),))
    assert client.tree(client.fetch(MAIN)[MAIN]).id == tree
    assert tree_content([]) == b""
