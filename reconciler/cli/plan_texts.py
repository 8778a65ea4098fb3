"""A preview in words: for a terminal, for a pull request, for a program. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from reconciler.cli.proposal_texts import (
    Proposal,
    proposal_text,
)
from reconciler.cli.steps import Step
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.preview import Fate, FileChange, Preview, ReplicaChange
from reconciler.web.words import enumerate_names
from schemas.assignment import Refusal
from schemas.names import ReplicaName
from schemas.problem import Problem

SIGNS: Final = {Fate.ADD: "+", Fate.CHANGE: "~", Fate.MOVE: "-/+", Fate.REMOVE: "-"}
_PAINTS: Final = {
    Fate.ADD: Paint.GOOD,
    Fate.CHANGE: Paint.BUSY,
    Fate.MOVE: Paint.BUSY,
    Fate.REMOVE: Paint.BAD,
}
WAITING: Final = "If the removals were allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """What `miaas plan` shows.

    with_files: how each rendered file changes, too. remarks: sentences to be said first.
    rebalance: what is proposed for what runs; None: it was not asked for. steps: of deployments of
    which not all is done at once. waiting: what would change besides if removals were allowed.
    holds: the deployments that stay as they last were, by the problem that they do for.
    """

    preview: Preview
    refusals: tuple[Refusal, ...]
    with_files: bool = False
    remarks: tuple[str, ...] = ()
    rebalance: Proposal | None = None
    steps: tuple[Step, ...] = ()
    waiting: tuple[ReplicaChange, ...] = ()
    holds: Mapping[Problem, tuple[str, ...]] = field(default_factory=dict)


def summary(preview: Preview) -> str:
    """Count what would change. Moves are named only where there are some."""
    counts = [
        f"{preview.count(Fate.ADD)} to add",
        f"{preview.count(Fate.CHANGE)} to change",
        *([f"{preview.count(Fate.MOVE)} to move"] if preview.count(Fate.MOVE) else []),
        f"{preview.count(Fate.REMOVE)} to remove",
    ]
    return ", ".join(counts)


def as_text(shown: Previewed, terminal: Terminal) -> str:
    """Write for a terminal."""
    parts = (
        "".join(f"{safe(remark)}\n" for remark in shown.remarks),
        _changes(shown, terminal),
        _waiting(shown, terminal),
        _steps(shown, terminal),
        _unplaced(shown.refusals, terminal),
        _problems(shown, terminal),
        proposal_text(shown.rebalance, terminal) if shown.rebalance else "",
        f"{terminal.paint('Plan:', Paint.BOLD)} {summary(shown.preview)}.\n",
    )
    return "\n".join(filter(None, parts))


def _waiting(shown: Previewed, terminal: Terminal) -> str:
    if not shown.waiting:
        return ""
    head = terminal.paint(f"{WAITING}:", Paint.BOLD)
    return f"{head}\n{_listed(shown.waiting, shown, terminal)}"


def _changes(shown: Previewed, terminal: Terminal) -> str:
    if not shown.preview.replicas:
        return "Nothing would change.\n"
    return _listed(shown.preview.replicas, shown, terminal)


def _listed(changes: tuple[ReplicaChange, ...], shown: Previewed, terminal: Terminal) -> str:
    names = max(len(change.replica) for change in changes)
    places = max(len(where_of(change)) for change in changes)
    lines = []
    for change in changes:
        sign = terminal.paint(f"{SIGNS[change.fate]:>3}", _PAINTS[change.fate])
        words = terminal.paint(safe(why(change)), Paint.SOFT)
        line = f"{sign} {change.replica:<{names}}  {where_of(change):<{places}}  {words}"
        lines.append(f"{line.rstrip()}\n")
        lines += [f"      {terminal.paint(one, Paint.BAD)}\n" for one in deletions(change)]
        lines.append(coloured(diffs(change), terminal) if shown.with_files else "")
    return "".join(lines)


def why(change: ReplicaChange) -> str:
    """What changes, where it stays on its node; else why it goes where it goes."""
    if change.fate is Fate.CHANGE:
        return ", ".join(file.path for file in change.files) or "what it is promised"
    return change.why


def deletions(change: ReplicaChange) -> tuple[str, ...]:
    """What cannot be had back, in a line of its own each."""
    return tuple(f"volume {safe(name)} will be deleted" for name in change.volumes)


def diffs(change: ReplicaChange) -> str:
    """The differences of all files of a replica, one after the other."""
    return "".join(diff(change, file) for file in change.files)


def where_of(change: ReplicaChange) -> str:
    """Say where a replica goes, and where it was."""
    if change.fate is Fate.MOVE:
        return f"{change.was_on} -> {change.goes_to}"
    if change.fate is Fate.REMOVE:
        return f"from {change.was_on}"
    return f"on {change.goes_to}"


def diff(change: ReplicaChange, file: FileChange) -> str:
    """Write how a file of a replica changes, as `diff -u` does."""
    return file_diff(f"{change.replica}/{file.path}", file.before, file.after)


def file_diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """Write how a file changes, as `diff -u` does. None: it is not there."""
    old = f"a/{safe(path)}" if before is not None else "/dev/null"
    new = f"b/{safe(path)}" if after is not None else "/dev/null"
    lines = difflib.unified_diff(_lines(before), _lines(after), old, new, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _lines(content: bytes | None) -> list[str]:
    return [] if content is None else safe(content.decode(errors="replace")).splitlines()


def coloured(text: str, terminal: Terminal) -> str:
    """Indent a diff, and paint it where there are colours."""
    paints = {"+": Paint.GOOD, "-": Paint.BAD, "@": Paint.SOFT}
    return "".join(
        f"      {terminal.paint(line, paints.get(line[:1]))}\n" for line in text.splitlines()
    )


def _steps(shown: Previewed, terminal: Terminal) -> str:
    if not shown.steps:
        return ""
    head = terminal.paint("How it comes in:", Paint.BOLD)
    return f"{head}\n" + "".join(f"  {safe(line)}\n" for line in step_lines(shown))


def step_lines(shown: Previewed) -> Iterator[str]:
    """Say of each deployment how it comes in, and for whom no room is kept."""
    yield from (step.text for step in shown.steps)
    if names := enumerate_names(unsettled(shown)):
        yield (
            f"No room is kept for {names}: by then it may be another node, or another replica "
            "that moves"
        )


def unsettled(shown: Previewed) -> tuple[ReplicaName, ...]:
    """Who waits to come to a node, while other deployments change: they may take the room.

    And who comes to another node at once.
    """
    waits = {one.replica for step in shown.steps for one in step.meanwhile}
    if len({change.deployment for change in shown.preview.replicas}) > 1:
        waits |= {one for step in shown.steps for hold in step.holds for one in hold.replicas}
    return tuple(
        change.replica
        for change in shown.preview.replicas
        if change.replica in waits and change.fate in {Fate.ADD, Fate.MOVE}
    )


def _unplaced(refusals: tuple[Refusal, ...], terminal: Terminal) -> str:
    if not refusals:
        return ""
    head = terminal.paint("Not placed as asked:", Paint.BAD)
    return f"{head}\n" + "".join(f"  {line}\n" for line in refusal_lines(refusals))


def refusal_lines(refusals: tuple[Refusal, ...]) -> Iterator[str]:
    """Say of each replica without a node why no node takes it."""
    for refusal in refusals:
        yield str(refusal.replica)
        yield from (f"  {line}" for line in reason_lines(refusal))


def reason_lines(refusal: Refusal) -> Iterator[str]:
    """Say for groups of nodes why they were refused, and what would help."""
    for reason in refusal.reasons:
        nodes = f"{enumerate_names(tuple(reason.nodes))}: " if reason.nodes else ""
        yield safe(f"{nodes}{reason.text}")
    if refusal.hint:
        yield safe(f"what would help: {refusal.hint}")


def problem_lines(shown: Previewed) -> Iterator[str]:
    """Say what is wrong, and what else than the deployment of that very file stays for it."""
    for problem in shown.preview.problems:
        own = PurePosixPath(problem.place.path).stem
        others = tuple(one for one in shown.holds.get(problem, ()) if one != own)
        yield f"{problem}{f' (holds {enumerate_names(others)})' if others else ''}"


def _problems(shown: Previewed, terminal: Terminal) -> str:
    if not shown.preview.problems:
        return ""
    head = terminal.paint("What these documents say stays as it last was:", Paint.BAD)
    return f"{head}\n" + "".join(f"  {safe(line)}\n" for line in problem_lines(shown))
