"""The words of every problem, beside the document that has it, so that they are read in review.

`make golden` writes them anew; read the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from schemas import policy
from schemas.deployment import parse_deployment
from schemas.fleet import parse_fleet
from schemas.node import parse_node
from schemas.problem import BadDocumentError, Problem
from schemas.template import parse_template

FOLDER: Final = Path(__file__).parents[2] / "golden" / "problems"
PARSERS: Final[dict[str, Callable[..., Any]]] = {
    "deployment": parse_deployment,
    "fleet": parse_fleet,
    "node": parse_node,
    "template": parse_template,
}


def problems_of(document: Path) -> tuple[Problem, ...]:
    """What is wrong with a document; its kind is the first word of its name."""
    text, kind = document.read_text("utf-8"), document.name.split("-")[0]
    if kind == "compose":
        return policy.check(text, path=document.name)
    try:
        PARSERS[kind](text, path=document.name)
    except BadDocumentError as error:
        return error.problems
    return ()


def said_of(document: Path) -> str:
    return "".join(f"{problem}\n" for problem in problems_of(document))


DOCUMENTS: Final = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_words_of_each_problem_are_as_reviewed(
    document: Path, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--update-golden"):
        document.with_suffix(".txt").write_text(said_of(document), "utf-8")

    assert said_of(document) == document.with_suffix(".txt").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_each_problem_is_one_short_line_with_a_place_and_a_fix(document: Path) -> None:
    problems = problems_of(document)

    assert problems
    for problem in problems:
        assert problem.place.line > 0
        assert problem.fix
        assert "\n" not in str(problem)
        assert not problem.what.endswith(".")
        assert len(str(problem)) < 420


def test_enough_documents_are_reviewed() -> None:
    assert len(DOCUMENTS) >= 25
