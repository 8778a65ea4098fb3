"""`miaas validate`: every problem in the documents of a work tree, with its place and its fix."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from reconciler.cli.codes import Code, UsageError
from reconciler.cli.rehearsal import rehearse
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.cli.where import enclosing_tree
from reconciler.observing.builtin import builtin_templates
from reconciler.observing.documents import paths_of
from reconciler.observing.folder import read_folder
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rendering.port import Renderer
from reconciler.web.words import count
from schemas.layout import DEPLOYMENTS, FLEET_FILE, NODES, TEMPLATE_FILE, TEMPLATES
from schemas.problem import Problem


def run(arguments: argparse.Namespace, terminal: Terminal, _environ: Mapping[str, str]) -> Code:
    """Check a work tree. Exit code 1 if anything has to be mended."""
    tree = work_tree(Path(arguments.path))
    asked = replace(read_folder(tree), builtin=builtin_templates())
    with closing(BoundedRenderer()) as renderer:
        problems = check(asked, renderer)
    documents = sum(map(_is_document, paths_of(asked)))
    if arguments.output == "json":
        terminal.write(_json(documents, problems))
    else:
        _print(documents, problems, terminal)
    return Code.PROBLEMS if problems else Code.FINE


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


def check(asked: Snapshot, renderer: Renderer) -> tuple[Problem, ...]:
    """Every problem of a fleet's files, sorted by place."""
    observed = observe(asked)
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


def _print(documents: int, problems: tuple[Problem, ...], terminal: Terminal) -> None:
    for problem in problems:
        place = terminal.paint(str(problem.place), Paint.BOLD)
        terminal.say(f"{place}: {safe(problem.what)}. Fix: {safe(problem.fix)}")
    if problems:
        verdict = terminal.paint(count(len(problems), "problem"), Paint.BAD)
    else:
        verdict = terminal.paint("no problems", Paint.GOOD)
    terminal.say(f"{count(documents, 'document')}, {verdict}")


def _json(documents: int, problems: tuple[Problem, ...]) -> str:
    listed = [problem_json(problem) for problem in problems]
    return json.dumps({"documents": documents, "problems": listed}, indent=2) + "\n"


def problem_json(problem: Problem) -> dict[str, object]:
    """A problem as JSON."""
    return {
        "path": problem.place.path,
        "line": problem.place.line,
        "column": problem.place.column,
        "what": problem.what,
        "fix": problem.fix,
    }
