"""What may be called a URL, a ref, an id; and reading refs from files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import RepositoryError
from fleet.git_command import Finished, last_word
from fleet.git_names import check_ref, check_url, redacted
from fleet.ref_files import UnclearRefsError, read_refs

ID = "1" * 40
OTHER = "2" * 40


@pytest.mark.parametrize(
    "url",
    [
        "https://forge.example/fleet.git",
        "https://robot@forge.example:8443/fleet.git",
        "ssh://git@forge.example:2222/fleet.git",
        "git@forge.example:team/fleet.git",
        "file:///srv/fleet.git",
        "http://127.0.0.1:8080/x.git",
        "http://localhost/x.git",
        "http://[::1]:80/x.git",
        "/srv/fleet.git",
    ],
)
def test_usual_urls_pass_unchanged(url: str) -> None:
    assert check_url(url) == url


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert check_url("../x.git") == str(tmp_path.parent / "x.git")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://robot:secret@host/x", "https://host/x"),
        ("https://robot:se@cret@host/x", "https://host/x"),
        ("ssh://git@host/x", "ssh://host/x"),
        ("git@host:x", "git@host:x"),
        ("/a@b/c", "/a@b/c"),
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(ref=st.text(alphabet="ab/.-@{~^:?*[\\ \x7f\tlock", max_size=12).map("refs/".__add__))
@settings(deadline=None, max_examples=60)  # each one starts git
def test_no_name_passes_that_git_would_refuse(ref: str) -> None:
    try:
        check_ref(ref)
    except RepositoryError:
        return
    done = subprocess.run(["git", "check-ref-format", ref], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/heads/feature/x#1", "refs/heads/größe"])
def test_usual_refs_pass(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    ("err", "word"),
    [
        ("", "git ended with 3"),
        ("warning: x\nfatal: the reason\n\nhint: try this\n", "fatal: the reason"),
        (
            "git@host: Permission denied (publickey).\n"
            "fatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n",
            "git@host: Permission denied (publickey).",
        ),
        ("fatal: Could not read from remote repository.\n",) * 2,
        ("fatal: " + "x" * 1000, "fatal: " + "x" * 293),
    ],
)
def test_the_last_word_is_the_line_that_says_why(err: str, word: str) -> None:
    assert last_word(Finished(3, b"", err)) == word.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("refs/heads", "refs/miaas/nodes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    return tmp_path


def test_loose_refs_win_over_packed_ones(folder: Path) -> None:
    (folder / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{ID} refs/heads/main\n{ID} refs/miaas/nodes/a\n^{OTHER}\n"
        f"{ID} refs/miaas/nodes/b\n{ID} refs/miaas/nodes-x/c\n"
    )
    (folder / "refs/miaas/nodes/a").write_text(f"{OTHER}\n")
    (folder / "refs/miaas/nodes/a.lock").write_text("")

    found = read_refs(str(folder), ["refs/heads/main", "refs/heads/none", "refs/miaas/nodes/"])

    assert found == {
        "refs/heads/main": ID,
        "refs/miaas/nodes/a": OTHER,
        "refs/miaas/nodes/b": ID,
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("HEAD", None, id="no HEAD"),
        pytest.param("HEAD", "ref: refs/hea", id="HEAD cut short"),
        pytest.param("HEAD", "ref: refs/heads/.invalid\n", id="reftable"),
        pytest.param("refs/heads/main", "", id="empty"),
        pytest.param("refs/heads/main", "1" * 39, id="short"),
        pytest.param("refs/heads/main", "0" * 40, id="null"),
        pytest.param("refs/heads/main", "1" * 64, id="sha256"),
        pytest.param("refs/heads/main", "ref: refs/heads/other\n", id="symbolic"),
        pytest.param("packed-refs", f"{ID} refs/heads/ma", id="packed cut short"),
        pytest.param("packed-refs", "nonsense\n", id="packed nonsense"),
    ],
)
def test_what_is_unclear_is_left_to_git(folder: Path, name: str, text: str | None) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)

    with pytest.raises(UnclearRefsError):
        read_refs(str(folder), ["refs/heads/main"])
