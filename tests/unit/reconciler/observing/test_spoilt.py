"""What somebody wrote over our last decision is one problem, with the commit to take back."""

from __future__ import annotations

import pytest

from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from schemas.names import CommitId
from schemas.problem import BadDocumentError

TIP = CommitId("0123456789abcdef0123456789abcdef01234567")
HEAD = '"apiVersion": "miaas/v1", "kind": "Decision"'


def told(content: bytes, decided: CommitId | None = TIP) -> str:
    files = {"decision.json": content}
    with pytest.raises(BadDocumentError) as caught:
        observe(Snapshot(source=None, desired={}, assignments=files, decided=decided))
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(
            b'{"a": 1, "b": 1, "c": 1}',
            ": a is not known; apiVersion is missing; b is not known; and 2 more. Fix: the rec",
            id="many findings",
        ),
        pytest.param(b"\xff", ": there is a byte that is not UTF-8 text. Fix: the rec", id="bytes"),
    ],
)
def test_all_that_is_wrong_is_one_problem(content: bytes, what: str) -> None:
    text = told(content)

    assert what in text
    assert "(commit 0123456789ab)" in text
    assert "git revert --no-edit 0123456789ab && " in text
    assert "\n" not in text


def test_what_a_newer_reconciler_wrote_is_never_to_be_taken_back() -> None:
    assert told(f'{{{HEAD}, "x": 1}}'.encode()) == (
        "assignments:decision.json (commit 0123456789ab): x is not known. "
        "Fix: written by a newer miaas? Upgrade this one"
    )


def test_where_the_tip_is_not_known_the_newest_is_taken_back() -> None:
    text = told(b"{}", decided=None)

    assert text.startswith("assignments:decision.json: apiVersion is missing")
    assert "git revert --no-edit FETCH_HEAD && " in text
