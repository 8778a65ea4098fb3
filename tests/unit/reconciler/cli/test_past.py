"""Which decision a revision names."""

from __future__ import annotations

import pytest

from reconciler.cli.codes import UsageError
from reconciler.cli.past import named
from tests.unit.reconciler.cli.pasts import a_commit

LOG = (
    a_commit("newest", id="aaaa1", source="5001"),
    a_commit("middle", id="aaaa2", source="5000"),
    a_commit("oldest", id="bbbb", source="5000"),
)


@pytest.mark.parametrize(
    ("revision", "subject"),
    [
        pytest.param("HEAD~0", "newest", id="the newest"),
        pytest.param("HEAD~2", "oldest", id="the first"),
        pytest.param("~1", "middle", id="short for HEAD"),
        pytest.param("aaaa2", "middle", id="first digits"),
        pytest.param("bbbb".ljust(40, "0"), "oldest", id="a whole id"),
        pytest.param("5001", "newest", id="what it was made from"),
        pytest.param("5000", "middle", id="the last that was made from it"),
    ],
)
def test_a_revision_names_one_decision(revision: str, subject: str) -> None:
    assert named(LOG, revision).message.startswith(f"{subject}\n")


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("HEAD~3", "there are 3 decisions, so none is HEAD~3"),
        ("aaaa", "2 decisions begin with aaaa. Give more digits"),
        ("cccc", "cccc is no decision, and none was made from it"),
        ("abc", "'abc' is no revision. Give the first digits of a commit"),
        ("main", "'main' is no revision."),
        ("", "'' is no revision."),
    ],
)
def test_what_names_none_is_told(revision: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        named(LOG, revision)

    assert str(error.value).startswith(said)
