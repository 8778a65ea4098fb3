"""Commits of a history that nobody made."""

from __future__ import annotations

from fleet.port import Commit
from schemas.names import CommitId, TreeId
from tests.builders import A_MOMENT

TREE = TreeId("4b825dc642cb6eb9a060e54bf8d69288fbee4904")


def a_commit(subject: str = "a decision", *, id: str = "c0ffee", source: str = "") -> Commit:  # noqa: A002 - the field's name
    """Make a decision's commit whose id begins so."""
    trailers = f"\nSource: {source:0<40}\nReason: because\n" if source else ""
    return Commit(
        id=CommitId(f"{id:0<40}"),
        tree=TREE,
        parents=(),
        author="miaas-reconciler",
        at=A_MOMENT,
        message=f"{subject}\n{trailers}",
    )
