"""The operator's word on every node, and what to make of a word that cannot be understood. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from reconciler.observing.documents import Problems, document, paths_of, read_node
from reconciler.observing.snapshot import Snapshot
from schemas.layout import NODES
from schemas.names import NAME_RULE, NodeName, is_name
from schemas.node import Duty, NodeRecord
from schemas.problem import Place, Problem

_ENDINGS: Final = (".yaml", ".yml")


@dataclass(slots=True)
class Admitted:
    """A record for every node document, and the problems of those that are stand-ins."""

    records: list[NodeRecord] = field(default_factory=list)
    broken: dict[NodeName, Problems] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def admitted(snapshot: Snapshot) -> Admitted:
    """Understand every node document.

    A broken one still admits its node, as cordoned: what runs there goes on, nothing is added.
    """
    found = Admitted()
    for path in paths_of(snapshot):
        folder, _, file = path.rpartition("/")
        stem, dot, ending = file.rpartition(".")
        if folder == NODES and stem and dot + ending in _ENDINGS:
            _add(found, snapshot, path, stem)
    found.records.sort(key=lambda record: record.name)
    return found


def _add(found: Admitted, snapshot: Snapshot, path: str, stem: str) -> None:
    if not is_name(stem):
        what = "the file's name cannot name a node"
        found.problems.append(Problem(Place(path), what, f"use {NAME_RULE}"))
        return
    name = NodeName(stem)
    record = _understood(snapshot, path, name)
    if isinstance(record, tuple):
        found.broken[name] = (*found.broken.get(name, ()), *record)
        found.problems += record
        record = NodeRecord(name=name, duty=Duty.CORDONED, place=Place(path))
    # The other ending gives a second file of the name: the stand-in of the broken one wins.
    found.records = [one for one in found.records if one.name != name]
    found.records.append(record)


def _understood(snapshot: Snapshot, path: str, name: NodeName) -> NodeRecord | Problems:
    if not path.endswith(_ENDINGS[0]):
        fix = f"rename it to {name}{_ENDINGS[0]}"
        return (Problem(Place(path), "nodes are read from .yaml files only", fix),)
    record = document(snapshot, path, read_node)
    if isinstance(record, tuple):
        return record
    if record.name != name:
        place = record.marks.at("metadata", "name")
        what = f"the node is called {record.name!r} and its file {name + _ENDINGS[0]!r}"
        return (Problem(place, what, f"rename the file to {record.name}{_ENDINGS[0]}"),)
    return record
