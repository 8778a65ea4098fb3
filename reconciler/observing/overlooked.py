"""Files that look like documents and count for nothing: what their author hardly meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.observing.counting import FOLDERS, counts
from schemas.layout import DEPLOYMENTS, FLEET_FILE, NODES, TEMPLATE_FILE, TEMPLATES
from schemas.problem import Place, Problem
from schemas.words import nearest

ENDINGS: Final = (".yaml", ".yml", ".json")
# A document says what it is in its first lines.
HEAD_BYTES: Final = 4096

_VERSION: Final = re.compile(rb"""^\s*["']?apiVersion["']?\s*:\s*["']?miaas/""", re.MULTILINE)
_KIND: Final = re.compile(rb"""^\s*["']?kind["']?\s*:\s*["']?(\w+)""", re.MULTILINE)
_HOMES: Final[Mapping[bytes, str]] = {b"Deployment": DEPLOYMENTS, b"Node": NODES}


def may_hold_documents(name: str) -> bool:
    """Whether something at the top of a fleet repository is worth a look, by its name alone."""
    return name in FOLDERS or name.lower().endswith(ENDINGS) or nearest(name, FOLDERS) is not None


def overlooked(heads: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """Name the files that nobody reads, sorted by path.

    heads: the first bytes of files that `may_hold_documents`, by path. In a folder of ours any
    file with such an ending was meant as a document; elsewhere only what says that it is one.
    """
    found = (
        Problem(Place(path), *said)
        for path, head in sorted(heads.items())
        if path.lower().endswith(ENDINGS) and _KIND_OF_MACHINES not in _KIND.findall(head)
        for said in _said(path, head)
    )
    return tuple(found)


# Of what `miaas simulate --add` is told, and which may lie anywhere.
_KIND_OF_MACHINES: Final = b"Machine"


def _said(path: str, head: bytes) -> Iterator[tuple[str, str]]:
    top, _, rest = path.partition("/")
    file = path.rpartition("/")[2]
    stem = file.rpartition(".")[0]
    if top == TEMPLATES and "/" not in rest and rest:
        fix = f"move it to {TEMPLATES}/{stem}/{TEMPLATE_FILE}"
        yield "a template is a folder, so this file is not read", fix
    elif top in (DEPLOYMENTS, NODES) and not path.endswith(ENDINGS[:2]):
        fix = f"write it as {top}/{stem}.yaml, or take it out of {top}"
        yield f"only .yaml files are read in {top}, so this file says nothing", fix
    elif top == NODES and not counts(path):
        what = "nodes are not read from folders below nodes, so this file says nothing"
        yield what, f"move it to {NODES}/{file}"
    elif top not in FOLDERS and path != FLEET_FILE and _VERSION.search(head):
        yield from _beside(top, rest, head)


def _beside(top: str, rest: str, head: bytes) -> Iterator[tuple[str, str]]:
    """Of a document that stands in no folder of ours."""
    if rest:
        home = nearest(top, FOLDERS)
        yield f"nothing is read from the folder {top!r}", f"did you mean {home}/{rest}?"
    for kind in _KIND.findall(head)[:1]:
        if not rest and kind in _HOMES:
            what = f"a {kind.decode()} is not read from here"
            yield what, f"move it to {_HOMES[kind]}/{top}"
