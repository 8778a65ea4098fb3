"""An assignment that is obeyed, as a value, and its form on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.assignment import Assignment, dump_assignment, parse_assignment
from schemas.layout import ASSIGNMENT_FILE
from schemas.names import CommitId, ReplicaName, TreeId
from schemas.problem import BadDocumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An assignment that is obeyed.

    trees: tree id of each replica's files. removable: replicas that it no longer has, whose volumes
    are to be deleted. They stand here, and not with what is remembered, because the word and the
    assignment that takes the replica away have to reach the disk as one.
    """

    commit: CommitId
    assignment: Assignment
    trees: Mapping[ReplicaName, TreeId]
    removable: frozenset[ReplicaName] = frozenset()


def accepted_to_json(accepted: Accepted) -> dict[str, object]:
    """Write what is obeyed as plain values."""
    return {
        "commit": accepted.commit,
        "assignment": dump_assignment(accepted.assignment),
        "trees": dict(accepted.trees),
        "removable": sorted(accepted.removable),
    }


def accepted_from_json(value: object) -> Accepted | None:
    """Read what is obeyed. None: it is damaged or was never written; the next look mends that."""
    if not isinstance(value, dict):
        return None
    try:
        return Accepted(
            commit=CommitId(str(value["commit"])),
            assignment=parse_assignment(value["assignment"], path=ASSIGNMENT_FILE),
            trees={ReplicaName(name): TreeId(tree) for name, tree in value["trees"].items()},
            removable=frozenset(map(ReplicaName, value.get("removable", ()))),
        )
    except (KeyError, AttributeError, TypeError, BadDocumentError):
        return None
