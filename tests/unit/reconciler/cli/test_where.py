from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from reconciler.cli.codes import UsageError
from reconciler.cli.where import Where, enclosing_tree, remote_of, where

ORIGIN = '[core]\n\tbare = false\n[remote "other"]\n\turl = no\n[remote "origin"]\n\turl = {}\n'


def asked(
    desired: str | None = None, state: str | None = None, branch: str | None = None
) -> argparse.Namespace:
    return argparse.Namespace(desired=desired, state=state, branch=branch)


def a_tree(folder: Path, origin: str = "") -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text(ORIGIN.format(origin) if origin else "[core]\n")
    (folder / "fleet.yaml").write_text("kind: Fleet\n")
    return folder


@pytest.mark.parametrize(
    ("arguments", "environ", "desired", "state", "branch"),
    [
        pytest.param(asked("/d"), {}, "/d", "/d", "main", id="desired alone"),
        pytest.param(asked(None, "/s"), {}, "/s", "/s", "main", id="state alone"),
        pytest.param(asked("/d", "/s", "b"), {}, "/d", "/s", "b", id="all"),
        pytest.param(
            asked(),
            {"MIAAS_DESIRED": "/d", "MIAAS_STATE": "/s", "MIAAS_BRANCH": "b"},
            *("/d", "/s", "b"),
            id="environment",
        ),
        pytest.param(asked("/x"), {"MIAAS_DESIRED": "/d"}, "/x", "/x", "main", id="options win"),
    ],
)
def test_options_win_over_the_environment(  # noqa: PLR0913, PLR0917 - a table
    tmp_path: Path,
    arguments: argparse.Namespace,
    environ: dict[str, str],
    desired: str,
    state: str,
    branch: str,
) -> None:
    found = where(arguments, environ, tmp_path)

    assert found == Where(desired=desired, state=state, branch=branch)


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("https://git.example.org/fleet.git", "https://git.example.org/fleet.git"),
        ("git@git.example.org:team/fleet.git", "git@git.example.org:team/fleet.git"),
        ("/srv/fleet.git", "/srv/fleet.git"),
        ('"/srv/a b.git"', "/srv/a b.git"),
    ],
)
def test_inside_a_work_tree_its_origin_is_taken(tmp_path: Path, origin: str, url: str) -> None:
    tree = a_tree(tmp_path / "fleet", origin)
    (tree / "deployments").mkdir()

    assert where(asked(), {}, tree / "deployments").desired == url


def test_a_relative_origin_is_relative_to_the_tree(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "fleet", "../bare.git")

    assert remote_of(tree) == str(tmp_path / "bare.git")


def test_a_tree_without_an_origin_is_itself_the_repository(tmp_path: Path) -> None:
    assert remote_of(a_tree(tmp_path / "fleet")) == str(tmp_path / "fleet")


def test_a_linked_work_tree_is_followed_to_its_repository(tmp_path: Path) -> None:
    a_tree(tmp_path / "main", "/srv/fleet.git")
    pointed = tmp_path / "main" / ".git" / "worktrees" / "linked"
    pointed.mkdir(parents=True)
    (pointed / "commondir").write_text("../..\n")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ".git").write_text(f"gitdir: {pointed}\n")

    assert remote_of(linked) == "/srv/fleet.git"


def test_nowhere_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--desired URL.*miaas init"):
        where(asked(), {}, tmp_path)


def test_the_nearest_tree_around_is_found(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "fleet")
    (tree / "a" / "b").mkdir(parents=True)

    assert enclosing_tree(tree / "a" / "b") == tree
    assert enclosing_tree(tmp_path) is None


def test_a_fleet_in_no_repository_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("kind: Fleet\n")

    with pytest.raises(UsageError, match=r"is in no Git repository yet.* Fix: git init"):
        where(asked(), {}, tmp_path)
