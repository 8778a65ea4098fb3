"""Scores in words: how many points a node got for what, and what each term means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.web.views import ScoreView

# What the planner's terms mean, in the words of docs/vocabulary.md.
_MEANINGS: Final = {
    "packing": "leaves the most room for what else is asked for",
    "level": "is left the emptiest",
    "order": "comes early in the order in which nodes are filled",
    "preferred labels": "has labels that are preferred",
    "image is there": "has the image already",
    "its data is there": "has the data of this replica",
    "its model files are there": "has what this replica fetched before, such as a model",
    "spares GPUs": "leaves nodes with GPUs to those that need them",
}
# Terms below this only decide between equals.
_TELLING: Final = 0.01


@dataclass(frozen=True, slots=True)
class Points:
    """One term of a score as people read it: `9.51` of `10` for `packing`, and what that means."""

    got: str
    most: str
    name: str
    meaning: str


def points(terms: Iterable[ScoreView]) -> Iterator[Points]:
    """Say what each term brought. Those that only break ties are left out."""
    for term in terms:
        if abs(term.weight) >= _TELLING:
            got = two_digits(term.value * term.weight)
            yield Points(got, f"{term.weight:g}", term.name, _MEANINGS.get(term.name, ""))


def two_digits(score: float) -> str:
    """Write a score: `9.66`."""
    return f"{score:.2f}"
