"""What was decided before: any decision since the first, from the assignments branch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fleet.port import Commit, Repository
from reconciler.cli.codes import UsageError
from reconciler.cli.remotes import open_remotes
from reconciler.cli.where import Where
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from reconciler.observing.trailers import source_of
from schemas.assignment import Assignment, Decision
from schemas.layout import ASSIGNMENTS_REF
from schemas.names import NodeName

# A decision a minute for two years; what is older can still be asked of Git itself.
LIMIT: Final = 1_000_000
_STEPS: Final = re.compile(r"(?:HEAD)?~(?P<steps>[0-9]{1,6})\Z|HEAD(?P<carets>\^*)\Z")
_COMMIT: Final = re.compile(r"[0-9a-f]{4,64}\Z")


@dataclass(frozen=True, slots=True)
class Past:
    """One decision, and the commit that published it."""

    commit: Commit
    assignments: Mapping[NodeName, Assignment]
    decision: Decision


def decided_at(where: Where, environ: Mapping[str, str], revision: str) -> Past:
    """Read the decision that a revision names.

    revision: a commit of the assignments branch, or of the fleet repository (then the last decision
    that was made from it), whole or its first digits; or `HEAD~3`: three before the newest, which
    is `HEAD`; `HEAD^` is the one before it.

    Raises:
        UsageError: it names none.
        RepositoryError: the remote does not answer.
        BadDocumentError: that decision cannot be understood.
    """
    with open_remotes(where, environ) as (_, state):
        tip = state.fetch_history(ASSIGNMENTS_REF)
        commits = state.log(tip, LIMIT) if tip is not None else ()
        commit = named(commits, revision)
        return _understood(state, commit)


def decisions(where: Where, environ: Mapping[str, str]) -> tuple[Commit, ...]:
    """Every decision since the first, newest first.

    Raises:
        RepositoryError: the remote does not answer.
    """
    with open_remotes(where, environ) as (_, state):
        tip = state.fetch_history(ASSIGNMENTS_REF)
        return state.log(tip, LIMIT) if tip is not None else ()


def named(commits: Sequence[Commit], revision: str) -> Commit:
    """Choose the commit that is meant from a log, newest first.

    Raises:
        UsageError: it names none, or several.
    """
    if found := _STEPS.match(revision):
        steps = int(found["steps"]) if found["steps"] else len(found["carets"])
        if steps < len(commits):
            return commits[steps]
        raise UsageError(f"there are {len(commits)} decisions, so none is {revision}")
    if not _COMMIT.match(revision):
        raise UsageError(
            f"{revision!r} is no revision. Give the first digits of a commit, or HEAD~3 for "
            "three decisions before the newest"
        )
    matching = [one for one in commits if one.id.startswith(revision)]
    if len(matching) > 1:
        raise UsageError(f"{len(matching)} decisions begin with {revision}. Give more digits")
    made_from = [one for one in commits if (source_of(one.message) or "").startswith(revision)]
    sources = {source_of(one.message) for one in made_from}
    if not matching and len(sources) > 1:
        raise UsageError(f"{len(sources)} commits begin with {revision}. Give more digits")
    chosen = next(iter((*matching, *made_from)), None)
    if chosen is None:
        raise UsageError(f"{revision} is no decision, and none was made from it")
    return chosen


def _understood(state: Repository, commit: Commit) -> Past:
    files = state.tree(commit.id).files
    texts = state.read({file.blob for file in files.values()})
    assignments = {path: texts[file.blob] for path, file in files.items()}
    observed = observe(
        Snapshot(source=None, desired={}, decided=commit.id, assignments=assignments)
    )
    return Past(commit, observed.assignments, observed.decision)
