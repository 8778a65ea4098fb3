"""`miaas history`: what was decided and when, from the assignments branch alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from fleet.port import Commit
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.events import Entry, entry_of
from reconciler.cli.past import decisions
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.cli.where import where
from reconciler.cli.writing import DIGITS
from reconciler.web.plain import dumps
from reconciler.web.words import utc


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """List decisions, newest first: all of them, or those that concern one name."""
    commits = decisions(where(arguments, environ, Path.cwd()), environ)
    found = tuple(islice(_entries(commits, arguments.name or ""), arguments.limit))
    if arguments.name and not found:
        raise UsageError(f"no decision says anything of {arguments.name!r}")
    if arguments.output == "json":
        terminal.write(dumps([_plain(entry) for entry in found]))
    else:
        text = _full if arguments.name else _short
        terminal.write("".join(text(entry, terminal) for entry in found))
    return Code.FINE


def _entries(commits: Sequence[Commit], name: str) -> Iterator[Entry]:
    for commit in commits:
        entry = entry_of(commit, name)
        if entry.events or not name:
            yield entry


def _head(entry: Entry, terminal: Terminal) -> str:
    source = f"  from {entry.source[:DIGITS]}" if entry.source else ""
    return terminal.paint(f"{entry.commit.id[:DIGITS]}  {utc(entry.commit.at)}{source}", Paint.SOFT)


def _short(entry: Entry, terminal: Terminal) -> str:
    return f"{_head(entry, terminal)}\n  {safe(entry.subject)}\n"


def _full(entry: Entry, terminal: Terminal) -> str:
    lines = [f"  {event.what}: {event.text}" for event in entry.events]
    lines += [f"  because {reason}" for reason in entry.reasons]
    return "".join(f"{line}\n" for line in (_head(entry, terminal), *map(safe, lines)))


def _plain(entry: Entry) -> dict[str, object]:
    return {
        "commit": entry.commit.id,
        "at": entry.commit.at,
        "source": entry.source,
        "subject": entry.subject,
        "events": [{"what": event.what, "text": event.text} for event in entry.events],
        "reasons": list(entry.reasons),
    }
