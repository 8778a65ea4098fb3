"""Which of its many commits a branch has stood at, where merges lead to several. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from fleet.port import Commit
from schemas.names import CommitId

_Choice: TypeAlias = Callable[[Commit], CommitId | None]

# As git words it, in every language, where it merges one branch. What a remote is called is free.
_MERGED: Final = re.compile(r"Merge (?:remote-tracking branch '[^'/]+/|branch ')(?P<branch>[^']+)'")


def stood_at(commits: Sequence[Commit], branch: str) -> tuple[Commit, ...]:
    """The commits that a branch stood at, newest first, as far as they are among `commits`.

    commits: the whole history, the head first. A pull request is merged into the branch: its first
    parent is where that stood. After `git pull` it is the second, for there the branch was merged
    into what one person had committed meanwhile. Only the subject tells them apart.
    """

    def before(commit: Commit) -> CommitId | None:
        if len(commit.parents) == 2 and _merged(commit) == branch:  # noqa: PLR2004 - of one branch
            return commit.parents[1]
        return _first(commit)

    return _back(commits, before)


def first_parents(commits: Sequence[Commit]) -> tuple[Commit, ...]:
    """The head of a whole history, and what git calls HEAD~1, HEAD~2 and so on."""
    return _back(commits, _first)


def _back(commits: Sequence[Commit], before: _Choice) -> tuple[Commit, ...]:
    known = {one.id: one for one in commits}
    found = list(commits[:1])
    # A commit never leads back to itself: its id is made from those of its parents.
    while found and (parent := before(found[-1])) in known and parent is not None:
        found.append(known[parent])
    return tuple(found)


def _first(commit: Commit) -> CommitId | None:
    return next(iter(commit.parents), None)


def _merged(commit: Commit) -> str:
    """The branch that a merge says it merged; empty: it says none."""
    found = _MERGED.match(commit.message)
    return found["branch"] if found else ""
