"""Where a branch stood before a merge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.port import Commit
from reconciler.cli.ancestry import first_parents, stood_at
from schemas.names import CommitId
from tests.unit.reconciler.cli.pasts import a_commit


def commit(name: str, *parents: str, subject: str = "") -> Commit:
    made = a_commit(subject or name, id=name)
    return replace(made, parents=tuple(CommitId(f"{one:0<40}") for one in parents))


def history(subject: str, branch: str = "main") -> tuple[list[str], list[str]]:
    """What two ways back lead over, with a merge of that subject at the head."""
    commits = (
        commit("5", "3", "4", subject=subject),
        commit("4", "2"),
        commit("3", "2"),
        commit("2", "1"),
        commit("1"),
    )
    stood = [one.id.rstrip("0") for one in stood_at(commits, branch)]
    return stood, [one.id.rstrip("0") for one in first_parents(commits)]


@pytest.mark.parametrize(
    ("subject", "before"),
    [
        pytest.param("Merge branch 'main' of github.com:us/fleet", "4", id="git pull"),
        pytest.param("Merge branch 'main' into change", "4", id="then pushed to main"),
        pytest.param("Merge remote-tracking branch 'origin/main'", "4", id="git merge origin/main"),
        pytest.param("Merge branch 'change'", "3", id="git merge change"),
        pytest.param("Merge branch 'change' into 'main'", "3", id="GitLab"),
        pytest.param("Merge pull request #1 from us/main", "3", id="GitHub"),
        pytest.param("Merge branch 'more/main'", "3", id="another branch"),
        pytest.param(
            "Merge remote-tracking branch 'origin/more/main'", "3", id="another of origin"
        ),
        pytest.param("Larger models", "3", id="words of one's own"),
    ],
)
def test_a_merge_leads_back_to_where_the_branch_stood(subject: str, before: str) -> None:
    assert history(subject) == (["5", before, "2", "1"], ["5", "3", "2", "1"])


def test_a_branch_of_another_name_is_known_by_it() -> None:
    assert history("Merge branch 'live/eu' of here", "live/eu")[0] == ["5", "4", "2", "1"]
    assert history("Merge branch 'main' into live/eu", "live/eu")[0] == ["5", "3", "2", "1"]


def test_a_merge_of_several_branches_says_nothing_of_the_branch() -> None:
    head = commit("5", "3", "4", "2", subject="Merge branch 'main' of here")

    assert stood_at((head, commit("4"), commit("3"), commit("2")), "main")[1].id.startswith("3")


def test_what_is_not_here_ends_the_way_back() -> None:
    assert stood_at((), "main") == first_parents(()) == ()
    assert stood_at((commit("2", "1"),), "main") == (commit("2", "1"),)
