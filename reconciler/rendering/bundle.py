"""What of a template's folder is rendered, what is copied, and what stays behind. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.observing.snapshot import TemplateBundle
from schemas.layout import TEMPLATE_FILE
from schemas.problem import Place, Problem

SUFFIX: Final = ".j2"
# Written for people, and a change of it must not restart a container.
_FOR_PEOPLE: Final = ("README.md",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A template's folder, sorted by what becomes of each file."""

    folder: str
    sources: Mapping[str, str]
    copied: Mapping[str, bytes]
    problems: tuple[Problem, ...]


def parts_of(bundle: TemplateBundle) -> Parts:
    """Sort the files of a template. A file that is no text, or in another's way, is a problem."""
    folder = bundle.template.place.path.rpartition("/")[0]
    sources: dict[str, str] = {}
    copied: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path, content in sorted(bundle.files.items()):
        place = Place(f"{folder}/{path}")
        if path == TEMPLATE_FILE or path in _FOR_PEOPLE:
            continue
        if not path.endswith(SUFFIX):
            copied[path] = content
            continue
        if path.removesuffix(SUFFIX) in bundle.files:
            fix = "remove one of the two"
            problems.append(Problem(place, "it would overwrite the file without .j2", fix))
        try:
            sources[path] = content.decode()
        except UnicodeDecodeError as error:
            what = f"byte {error.start} is not UTF-8 text"
            problems.append(Problem(place, what, "save it as UTF-8"))
    return Parts(folder=folder, sources=sources, copied=copied, problems=tuple(problems))
