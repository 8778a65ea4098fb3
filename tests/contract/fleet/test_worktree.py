"""What a work tree was checked out from, asked of the real git."""

from __future__ import annotations

import os
from pathlib import Path

from fleet.worktree import Head, blob_of, head_of
from tests.unit.reconciler.cli.fleets import git

ENVIRON = {"PATH": os.defpath, "GIT_CONFIG_GLOBAL": os.devnull}


def a_tree(folder: Path) -> Path:
    tree = folder / "tree"
    (tree / "nodes").mkdir(parents=True)
    git("init", "-q", "-b", "main", folder=tree)
    return tree


def test_a_tree_without_a_commit_and_a_folder_without_git_have_no_head(tmp_path: Path) -> None:
    assert head_of(a_tree(tmp_path), ENVIRON) is None
    assert head_of(tmp_path, ENVIRON) is None


def test_a_head_tells_its_whole_message_and_its_regular_files(tmp_path: Path) -> None:
    tree = a_tree(tmp_path)
    (tree / "nodes" / "ä b.yaml").write_bytes(b"a\r\nb")
    (tree / "link").symlink_to("nodes")
    git("add", "-A", folder=tree)
    git("commit", "-qm", "a subject\n\nMiaas-Allow-Removals: yes", folder=tree)
    expected = Head(
        message="a subject\n\nMiaas-Allow-Removals: yes\n\n",
        files={"nodes/ä b.yaml": blob_of(b"a\r\nb")},
    )

    assert head_of(tree, ENVIRON) == expected
    # As a job of continuous integration has it; and what a hook's environment says is not meant.
    git("checkout", "-q", "--detach", folder=tree)
    (tree / "nodes" / "new.yaml").write_bytes(b"")
    assert head_of(tree, {**ENVIRON, "GIT_DIR": "/nowhere"}) == expected
    git("worktree", "add", "-q", str(tmp_path / "linked"), folder=tree)
    assert head_of(tmp_path / "linked", ENVIRON) == expected
