"""`miaas validate`: every problem in the documents of a work tree, with its place and its fix."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli.codes import Code, UsageError
from reconciler.cli.rehearsal import rehearse
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.cli.where import enclosing_tree
from reconciler.observing.builtin import builtin_templates
from reconciler.observing.documents import paths_of
from reconciler.observing.folder import read_folder, read_heads
from reconciler.observing.ineffective import ineffective
from reconciler.observing.observe import observe
from reconciler.observing.overlooked import overlooked
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rendering.port import Renderer
from reconciler.web.words import count
from schemas.layout import DEPLOYMENTS, FLEET_FILE, NODES, TEMPLATE_FILE, TEMPLATES
from schemas.problem import Problem


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check.

    documents: how many there are. problems: what has to be mended. warnings: what says nothing,
    and was hardly meant so; nobody is held for it.
    """

    documents: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def run(arguments: argparse.Namespace, terminal: Terminal, _environ: Mapping[str, str]) -> Code:
    """Check a work tree. Exit code 1 if anything has to be mended."""
    tree = work_tree(Path(arguments.path))
    asked = replace(read_folder(tree), builtin=builtin_templates())
    observed = observe(asked)
    with closing(BoundedRenderer()) as renderer:
        problems = check(asked, observed, renderer)
    warnings = tuple(sorted((*overlooked(read_heads(tree)), *_ineffective(observed))))
    checked = Checked(sum(map(_is_document, paths_of(asked))), problems, warnings)
    if arguments.output == "json":
        terminal.write(_json(checked))
    else:
        _print(checked, terminal)
    return Code.PROBLEMS if problems else Code.FINE


def _ineffective(observed: Observed) -> tuple[Problem, ...]:
    known = (*(one.name for one in observed.deployments), *observed.held)
    return ineffective(observed.deployments, known, (one.name for one in observed.records))


def work_tree(path: Path) -> Path:
    """The work tree that a path names: itself, or for `.` the one around.

    Raises:
        UsageError: there is no fleet there.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is no folder")
    found = path if (path / FLEET_FILE).is_file() else None
    if found is None and str(path) == ".":
        found = enclosing_tree(path.resolve())
    if found is None:
        raise UsageError(
            f"{path} holds no fleet: there is no {FLEET_FILE}. To make one: miaas init {path}"
        )
    return found


def check(asked: Snapshot, observed: Observed, renderer: Renderer) -> tuple[Problem, ...]:
    """Every problem of a fleet's files, sorted by place. `observed`: the same, understood."""
    own = {path.split("/")[1] for path in asked.desired if path.startswith(f"{TEMPLATES}/")}
    of_deployments = (problem for held in observed.held.values() for problem in held)
    found = {*observed.problems, *of_deployments, *rehearse(observed, own, renderer)}
    return tuple(sorted(found))


def _is_document(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    top = folder.split("/")[0]
    if top == TEMPLATES:
        return name == TEMPLATE_FILE
    return path == FLEET_FILE or (top in (DEPLOYMENTS, NODES) and name.endswith((".yaml", ".yml")))


def _print(checked: Checked, terminal: Terminal) -> None:
    for problem in checked.problems:
        terminal.say(_line(problem, "", terminal))
    for warning in checked.warnings:
        terminal.say(_line(warning, "warning: ", terminal))
    found = [terminal.paint("no problems", Paint.GOOD)]
    if checked.problems:
        found = [terminal.paint(count(len(checked.problems), "problem"), Paint.BAD)]
    if checked.warnings:
        found.append(terminal.paint(count(len(checked.warnings), "warning"), Paint.BUSY))
    terminal.say(", ".join((count(checked.documents, "document"), *found)))


def _line(problem: Problem, before: str, terminal: Terminal) -> str:
    place = terminal.paint(str(problem.place), Paint.BOLD)
    return f"{place}: {before}{safe(problem.what)}. Fix: {safe(problem.fix)}"


def _json(checked: Checked) -> str:
    said = {
        "documents": checked.documents,
        "problems": [problem_json(problem) for problem in checked.problems],
        "warnings": [problem_json(warning) for warning in checked.warnings],
    }
    return json.dumps(said, indent=2) + "\n"


def problem_json(problem: Problem) -> dict[str, object]:
    """A problem as JSON."""
    return {
        "path": problem.place.path,
        "line": problem.place.line,
        "column": problem.place.column,
        "what": problem.what,
        "fix": problem.fix,
    }
