"""Trees as values: against Git's own rules, and against hostile bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import RepositoryError
from fleet.memory import MemoryRepository, MemoryServer
from fleet.objects import Entry, pack, read_commit, tree_content, tree_entries
from fleet.trees import is_safe_name, rewrite
from schemas.names import CommitId

PARTS = st.sampled_from(["a", "b", "a-", "a.", "a0", "ä", "c"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=3), max_size=8).filter(
    lambda files: (
        not any(f"{above}/" == path[: len(above) + 1] for above in files for path in files)
    )
)


def nothing(_tree: str) -> tuple[Entry, ...]:
    raise AssertionError("nothing is there to load")


@given(before=FILES, after=FILES)
@settings(deadline=None)
def test_any_change_gives_the_tree_of_the_result(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    client = MemoryRepository(MemoryServer())
    base = client.write(None, before)

    changed = client.write(base, dict.fromkeys(before.keys() - after.keys()) | after)

    assert changed == client.write(None, after)


@given(files=FILES)
@settings(deadline=None, max_examples=10)
def test_git_agrees_on_ids_and_order(files: dict[str, bytes], tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("git") / "x.git"  # type: ignore[attr-defined]
    tree, made = rewrite(None, files, nothing)
    git(folder, "init", "-q", "--bare", str(folder))

    git(folder, "unpack-objects", "-q", "--strict", data=pack(made))

    assert git(folder, "cat-file", "-t", tree) == "tree"
    listed = git(folder, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", tree)
    assert sorted(listed.splitlines()) == sorted(files)


def git(folder: Path, *arguments: str, data: bytes = b"") -> str:
    done = subprocess.run(
        ["git", f"--git-dir={folder}", *arguments], input=data, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@given(data=st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_read_as_a_tree_or_are_refused(data: bytes) -> None:
    try:
        entries = tree_entries(data)
    except RepositoryError:
        return
    assert sum(len(entry.name) for entry in entries) <= len(data)


@given(data=st.binary(max_size=200) | st.text().map(str.encode))
@settings(deadline=None)
def test_any_bytes_read_as_a_commit_or_are_refused(data: bytes) -> None:
    content = b"tree " + b"1" * 40 + b"\n" + data

    try:
        commit = read_commit(CommitId("2" * 40), content)
    except RepositoryError:
        return
    assert commit.at.tzinfo is not None


@pytest.mark.parametrize("when", ["", "x", "99999999999999999999 +0000", "-1 +0000", "1_0 +0000"])
def test_a_commit_with_an_odd_time_still_reads(when: str) -> None:
    content = f"tree {'1' * 40}\nauthor a <a@b> {when}\n\nx\n".encode()

    assert read_commit(CommitId("2" * 40), content).author == "a <a@b>"


@given(
    names=st.lists(
        st.binary(min_size=1, max_size=5).filter(lambda name: b"\0" not in name), unique=True
    )
)
@settings(deadline=None)
def test_what_is_written_as_a_tree_reads_back(names: list[bytes]) -> None:
    entries = [Entry("100644", name, "1" * 40) for name in names]

    assert tree_entries(tree_content(entries)) == tuple(sorted(entries, key=lambda one: one.name))


@given(name=st.text(max_size=8))
@settings(deadline=None)
def test_a_safe_name_is_one_plain_part_of_a_path(name: str) -> None:
    if is_safe_name(name):
        assert Path("/x", name).parent == Path("/x")
        assert name.isprintable() or " " in name or not name.isascii()


@pytest.mark.parametrize("name", ["a", "größe", ".github", ".gitignore", "a b", "-x", "~", "gitx"])
def test_plain_names_are_safe(name: str) -> None:
    assert is_safe_name(name)
