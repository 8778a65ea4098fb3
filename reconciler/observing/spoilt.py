"""What to say where our own last decision cannot be understood: whose commit to take back. Pure.

A person reads it who never saw such a file, and must not mend it by hand: what is written there is
what hosts run.
"""

from __future__ import annotations

from typing import Final

from reconciler.observing.documents import Problems
from schemas.codec import NEWER
from schemas.layout import ASSIGNMENTS_REF
from schemas.names import CommitId
from schemas.problem import BadDocumentError, Place, Problem

_BRANCH: Final = ASSIGNMENTS_REF.removeprefix("refs/heads/")
# Enough to see that it is nonsense. Nobody mends it piece by piece.
_FINDINGS: Final = 3
# Of a commit, where people read it.
_DIGITS: Final = 12


def spoilt(problems: Problems, decided: CommitId | None) -> BadDocumentError:
    """Make one problem of all that is wrong with a document of ours. There has to be one.

    decided: the tip of the decisions, where it stands; None: a tip that is not known.
    """
    first = problems[0]
    rest = len(problems) - _FINDINGS
    more = (f"and {rest} more",) if rest > 0 else ()
    what = "; ".join((*(one.what for one in problems[:_FINDINGS]), *more))
    commit = f" (commit {decided[:_DIGITS]})" if decided else ""
    fix = first.fix if first.fix == NEWER else _taken_back(decided)
    return BadDocumentError((Problem(Place(f"{_BRANCH}:{first.place}{commit}"), what, fix),))


def _taken_back(decided: CommitId | None) -> str:
    # In any clone, whatever is checked out there, and however old its own branch is.
    commit = decided[:_DIGITS] if decided else "FETCH_HEAD"
    return (
        "the reconciler alone writes it. Take back what somebody else wrote, in a clone of the "
        f"state repository: git fetch origin {_BRANCH} && git switch --detach FETCH_HEAD && "
        f"git revert --no-edit {commit} && git push origin HEAD:{_BRANCH}"
    )
