"""`miaas accept-rewind`: say that the branch people commit to was rewound on purpose."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet.port import Commit, Repository
from reconciler.cli.codes import Code
from reconciler.cli.remotes import open_remotes
from reconciler.cli.terminal import Terminal, safe
from reconciler.cli.where import where
from reconciler.cli.writing import DIGITS, author, line_of, push_commit
from reconciler.observing.heads import Heads
from reconciler.observing.read import NoBranchError
from reconciler.observing.trailers import ACCEPT_REWIND, REMOVALS_ALLOWED, allows_removals
from schemas.layout import ASSIGNMENTS_REF, desired_ref
from schemas.names import CommitId

# More lines nobody reads; Git has them all.
_LINES: Final = 50
_SUBJECT: Final = "Accept that the branch was rewound"


@dataclass(frozen=True, slots=True)
class _Rewound:
    """A branch that does not follow its last accepted commit.

    head: where it is. left: the last accepted commit. lost, gained: the newest commits that only
    `left` has, and that only `head` has; None: `left` is gone from the remote too.
    keeps: what the head says that the commit on top of it has to say as well.
    """

    head: Commit
    left: CommitId
    lost: tuple[Commit, ...] | None
    gained: tuple[Commit, ...] | None
    keeps: tuple[str, ...]


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Show what would be accepted, then push the commit that accepts it, or print how to."""
    place = where(arguments, environ, Path.cwd())
    who = "" if arguments.only_print else author(environ)
    with open_remotes(place, environ, who or "nobody <nobody>") as (desired, state):
        found = _look(desired, state, place.branch)
        if found is None:
            terminal.say(f"{place.branch} follows the last accepted commit: nothing to accept")
            return Code.FINE
        terminal.write(_shown(found, place.branch))
        if arguments.only_print:
            terminal.write(_commands(found, place.branch))
            return Code.FINE
        ref = desired_ref(place.branch)
        made = push_commit(
            desired,
            head=found.head,
            tree=found.head.tree,
            message=f"{_SUBJECT}\n\n{_trailers(found)}\n",
            ref=ref,
            expected=found.head.id,
        )
    terminal.say(f"accepted: {place.branch} is at {made[:DIGITS]}")
    return Code.FINE


def _look(desired: Repository, state: Repository, branch: str) -> _Rewound | None:
    """Find out what was rewound. None: nothing was."""
    ref = desired_ref(branch)
    if desired is state:
        refs = tips = desired.fetch(ref, ASSIGNMENTS_REF)
    else:
        refs, tips = desired.fetch(ref), state.fetch(ASSIGNMENTS_REF)
    if ref not in refs:
        raise NoBranchError(f"the repository has no branch {branch}")
    head = desired.show(refs[ref])
    left = Heads(desired, state, branch).left_by(head, tips.get(ASSIGNMENTS_REF))
    if left is None:
        return None
    if not (desired.descends(left, left) or desired.fetch_lost(left)):
        return _Rewound(head, left, lost=None, gained=None, keeps=())
    lost = desired.since(left, head.id, _LINES + 1)
    gained = desired.since(head.id, left, _LINES + 1)
    # What was said of a head before the branch went on from it was said of what ran then: to go
    # back to it would remove what came since, and nobody has said that of that.
    is_meant = bool(gained) and allows_removals(head.message)
    return _Rewound(head, left, lost, gained, keeps=(REMOVALS_ALLOWED,) if is_meant else ())


def _shown(found: _Rewound, branch: str) -> str:
    at, left = found.head.id[:DIGITS], found.left[:DIGITS]
    lines = [f"{branch} is at {at}, which does not follow {left}, the last accepted commit."]
    if found.lost is None:
        lines.append("What it held is not here: look at it in a clone that has it.")
    lines += _listed("Left behind:", found.lost or ())
    lines += _listed("In their place:", found.gained or ())
    if found.keeps:
        lines.append(f"`{REMOVALS_ALLOWED}` of {at} holds for the commit that accepts it, too.")
    elif allows_removals(found.head.message):
        lines.append(f"`{REMOVALS_ALLOWED}` of {at} does not count again: it may have been")
        lines[-1] += " said of an earlier fleet. If too much would be removed now, that is held."
    return "".join(f"{safe(line)}\n" for line in lines)


def _listed(title: str, commits: Sequence[Commit]) -> list[str]:
    if not commits:
        return []
    rest = ["  and more"] if len(commits) > _LINES else []
    return [title, *(f"  {line_of(one)}" for one in commits[:_LINES]), *rest]


def _trailers(found: _Rewound) -> str:
    return "\n".join((f"{ACCEPT_REWIND}: {found.left}", *found.keeps))


def _commands(found: _Rewound, branch: str) -> str:
    ref = shlex.quote(desired_ref(branch))
    return (
        "To accept it, in any clone:\n"
        f"  git fetch origin {ref}\n"
        f"  made=$(git commit-tree 'FETCH_HEAD^{{tree}}' -p FETCH_HEAD -m '{_SUBJECT}' "
        f"-m '{_trailers(found)}')\n"
        f'  git push origin "$made":{ref}\n'
    )
