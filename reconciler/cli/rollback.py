"""`miaas rollback`: the commit that a person would make to have a deployment as it was before."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fleet.errors import RejectedError, StaleError
from fleet.port import Commit, Repository
from reconciler.cli.ancestry import first_parents, stood_at
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.earlier import Documents, Rollback, rollback_of
from reconciler.cli.objection import objection
from reconciler.cli.plan_texts import coloured, file_diff
from reconciler.cli.remotes import open_remotes
from reconciler.cli.terminal import Terminal, safe
from reconciler.cli.where import Where, where
from reconciler.cli.writing import DIGITS, author, line_of, push_commit
from reconciler.observing.read import read_snapshot
from schemas.layout import desired_ref
from schemas.names import BlobId, CommitId

# Commits that are looked through, merged ones too: 30 a day for nine years, read in three seconds.
_LIMIT: Final = 100_000
_STEPS: Final = re.compile(r"(?:HEAD)?~(?P<steps>[0-9]{1,6})\Z")
_COMMIT: Final = re.compile(r"[0-9a-f]{4,64}\Z")


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Show what would be taken back, and push it unless that is not wanted."""
    place = where(arguments, environ, Path.cwd())
    who = "nobody <nobody>" if arguments.dry_run else author(environ)
    with open_remotes(place, environ, who) as (desired, state):
        snapshot = read_snapshot(desired, state, place.branch)
        commits = _commits(desired, place)
        back = rollback_of(
            _History(desired, stood_at(commits, place.branch)),
            arguments.name,
            _asked(commits, arguments.to),
            arguments.template,
        )
        if why := objection(snapshot, back):
            terminal.complain(safe(why))
            return Code.PROBLEMS
        terminal.say(f"{back.name} as it was in {safe(line_of(back.to))}")
        for path, content in sorted(back.changes.items()):
            text = file_diff(path, snapshot.desired.get(path), content)
            terminal.write(coloured(text, terminal))
        if arguments.dry_run:
            return Code.FINE
        made, branch = _push(desired, commits[0], back, place, arguments.onto)
    terminal.say(f"pushed {made[:DIGITS]} to {branch}")
    return Code.FINE


class _History:
    """The commits that the branch stood at, newest first, and their documents."""

    def __init__(self, repository: Repository, commits: Sequence[Commit]) -> None:
        self.commits = commits
        self._repository = repository
        self._texts: dict[BlobId, bytes] = {}

    def documents(self, commit: Commit) -> Documents:
        return {path: file.blob for path, file in self._repository.tree(commit.id).files.items()}

    def contents(self, commit: Commit, paths: Sequence[str]) -> Mapping[str, bytes]:
        documents = self.documents(commit)
        # Most commits leave a file as it is: each text is read once.
        missing = {documents[path] for path in paths} - self._texts.keys()
        self._texts |= self._repository.read(missing) if missing else {}
        return {path: self._texts[documents[path]] for path in paths}


def _commits(desired: Repository, place: Where) -> tuple[Commit, ...]:
    tip = desired.fetch_history(desired_ref(place.branch))
    return desired.history(tip, _LIMIT) if tip is not None else ()


def _asked(commits: Sequence[Commit], revision: str | None) -> Commit | None:
    """The commit of the branch that a revision names; None: none was given.

    Raises:
        UsageError: it names none, or several.
    """
    if revision is None:
        return None
    if found := _STEPS.match(revision):
        steps, log = int(found["steps"]), first_parents(commits)
        if steps < len(log):
            return log[steps]
        raise UsageError(f"the branch has {len(log)} commits, so none is {revision}")
    matching = [one for one in commits if one.id.startswith(revision)]
    if not _COMMIT.match(revision) or not matching:
        raise UsageError(
            f"{revision!r} names no commit of the branch. Give the first digits of one, or HEAD~3"
        )
    if len(matching) > 1:
        raise UsageError(f"{len(matching)} commits begin with {revision}. Give more digits")
    return matching[0]


def _push(
    desired: Repository, head: Commit, back: Rollback, place: Where, onto: str | None
) -> tuple[CommitId, str]:
    branch = onto or place.branch
    try:
        made = push_commit(
            desired,
            head=head,
            tree=desired.write(head.tree, back.changes),
            message=back.message,
            ref=desired_ref(branch),
            expected=None if onto else head.id,
        )
    except StaleError as error:
        why = f"there is a branch {branch} already" if onto else f"{branch} has just moved on"
        raise StaleError(f"{why}: nothing was pushed") from error
    except RejectedError as error:
        fix = "Fix: push to another branch for a pull request, --onto BRANCH"
        raise RejectedError(f"{error}. {fix}") from error
    return made, branch
