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
from reconciler.observing.trailers import ACCEPT_REWIND
from schemas.layout import ASSIGNMENTS_REF, desired_ref
from schemas.names import CommitId

# More lines nobody reads; Git has them all.
_LINES: Final = 50
_SUBJECT: Final = "Accept that the branch was rewound"


@dataclass(frozen=True, slots=True)
class _Rewound:
    """head: where the branch is. left: the last accepted commit. None: it follows that."""

    head: Commit
    left: CommitId | None


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Show what would be accepted, then push the commit that accepts it, or print how to."""
    place = where(arguments, environ, Path.cwd())
    who = "" if arguments.only_print else author(environ)
    with open_remotes(place, environ, who or "nobody <nobody>") as (desired, state):
        found = _look(desired, state, place.branch)
        if found.left is None:
            terminal.say(f"{place.branch} follows the last accepted commit: nothing to accept")
            return Code.FINE
        terminal.write(_shown(desired, found.head, found.left, place.branch))
        if arguments.only_print:
            terminal.write(_commands(place.branch, found.left))
            return Code.FINE
        ref = desired_ref(place.branch)
        made = push_commit(
            desired,
            head=found.head,
            tree=found.head.tree,
            message=f"{_SUBJECT}\n\n{_trailer(found.left)}\n",
            ref=ref,
            expected=found.head.id,
        )
    terminal.say(f"accepted: {place.branch} is at {made[:DIGITS]}")
    return Code.FINE


def _look(desired: Repository, state: Repository, branch: str) -> _Rewound:
    ref = desired_ref(branch)
    if desired is state:
        refs = tips = desired.fetch(ref, ASSIGNMENTS_REF)
    else:
        refs, tips = desired.fetch(ref), state.fetch(ASSIGNMENTS_REF)
    if ref not in refs:
        raise NoBranchError(f"the repository has no branch {branch}")
    head = desired.show(refs[ref])
    left = Heads(desired, state, branch).left_by(head, tips.get(ASSIGNMENTS_REF))
    return _Rewound(head, left)


def _shown(desired: Repository, head: Commit, left: CommitId, branch: str) -> str:
    is_here = desired.descends(left, left) or desired.fetch_lost(left)
    lost = desired.since(left, head.id, _LINES + 1) if is_here else ()
    gained = desired.since(head.id, left, _LINES + 1) if is_here else ()
    lines = [f"{branch} is at {head.id[:DIGITS]}, which does not follow {left[:DIGITS]}, the last"]
    lines[0] += " accepted commit."
    if not is_here:
        lines.append("What it held is not here: look at it in a clone that has it.")
    lines += _listed("Left behind:", lost)
    lines += _listed("In their place:", gained)
    return "".join(f"{safe(line)}\n" for line in lines)


def _listed(title: str, commits: Sequence[Commit]) -> list[str]:
    if not commits:
        return []
    rest = ["  and more"] if len(commits) > _LINES else []
    return [title, *(f"  {line_of(one)}" for one in commits[:_LINES]), *rest]


def _trailer(left: CommitId) -> str:
    return f"{ACCEPT_REWIND}: {left}"


def _commands(branch: str, left: CommitId) -> str:
    ref = shlex.quote(desired_ref(branch))
    return (
        "To accept it, in any clone:\n"
        f"  git fetch origin {ref}\n"
        f"  made=$(git commit-tree 'FETCH_HEAD^{{tree}}' -p FETCH_HEAD -m '{_SUBJECT}' "
        f"-m '{_trailer(left)}')\n"
        f'  git push origin "$made":{ref}\n'
    )
