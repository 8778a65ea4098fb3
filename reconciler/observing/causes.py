"""What holds a deployment that stays as it last was, told by its problems alone. Pure.

By the problems and nothing else, because a past decision tells no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from reconciler.observing.trailers import ALLOW_REMOVALS, REMOVALS_ALLOWED
from schemas.layout import NODE_REFS, NODES
from schemas.problem import REPOSITORY, Problem

# The whole command, as the line counts neither in the subject nor without an empty line before it;
# and a commit of its own, as to push an amended one rewinds the branch.
REMOVALS_FIX: Final = (
    "if that is meant, push a commit that says so: "
    f"git commit --allow-empty -m 'This is meant' -m '{REMOVALS_ALLOWED}' (do not amend one that "
    "was pushed). Or raise guards.maxRemovals"
)


class Cause(StrEnum):
    """What holds it, in the one word that conditions use; what is its own comes first."""

    DOCUMENTS = "DocumentsUnusable"
    NODE = "NodeNotUnderstood"
    REMOVALS = "RemovalsHeld"


def cause_of(problems: Sequence[Problem]) -> Cause:
    """Say what holds a deployment with these problems."""
    found = {_cause(one) for one in problems}
    return next((one for one in Cause if one in found), Cause.DOCUMENTS)


def leading(problems: Sequence[Problem]) -> Problem:
    """The problem to name first. There has to be one."""
    cause = cause_of(problems)
    return min(one for one in problems if _cause(one) is cause)


def said(problems: Sequence[Problem]) -> str:
    """Say in one clause what holds a deployment with these problems, and where."""
    first = leading(problems)
    where = "" if first.place == REPOSITORY else f"{first.place}: "
    match cause_of(problems):
        case Cause.DOCUMENTS:
            return f"{where}{first.what}"
        case Cause.NODE:
            return f"held by {where}{first.what}"
        case Cause.REMOVALS:
            return first.what


def is_of_a_node(path: str) -> bool:
    """Whether a problem stands in what is said of a node, or in what a node says."""
    return path.startswith((f"{NODES}/", NODE_REFS))


def is_of_removals(problem: Problem) -> bool:
    """Whether it is the guard against removals that holds, also as an earlier version said it."""
    return ALLOW_REMOVALS in problem.fix


def _cause(problem: Problem) -> Cause:
    if is_of_removals(problem):
        return Cause.REMOVALS
    return Cause.NODE if is_of_a_node(problem.place.path) else Cause.DOCUMENTS
