"""Takes an assignment in: reads the node's own ref, doubts it, and hands on what it may obey."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agent.accepted import Accepted
from fleet.port import Repository, Tree
from schemas.assignment import Assignment, parse_assignment
from schemas.layout import ASSIGNMENT_FILE, COMPOSE_FILE
from schemas.names import CommitId, NodeName, ReplicaName, TreeId
from schemas.problem import BadDocumentError
from schemas.resources import VolumeRemoval

# A rendered replica is a compose file and a few settings. More is a mistake, or an attack.
MOST_FILES = 500
MOST_BYTES_PER_FILE = 1 << 20
MOST_BYTES = 16 << 20


class RefusedError(Exception):
    """The assignment must not be obeyed. The message says why; the last good one stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A new assignment with the files that were not here yet, by replica and path inside it."""

    accepted: Accepted
    files: Mapping[ReplicaName, Mapping[str, bytes]]


def take(
    repository: Repository,
    commit: CommitId,
    node: NodeName,
    last: Accepted | None,
    is_here: Callable[[ReplicaName, TreeId], bool],
) -> Taken:
    """Read an assignment that was fetched, and check that it may follow the last one.

    Args:
        repository: holds the commit.
        commit: where the node's own ref stands.
        node: our name.
        last: what is obeyed now; None: nothing yet.
        is_here: whether the files of a tree are on disk already.

    Raises:
        RefusedError: broken, meant for another node, older than the last one, or too large.
        RepositoryError: it cannot be read.
    """
    tree = repository.tree(commit)
    assignment = _assignment(repository, tree)
    _doubt(repository, commit, assignment, node, last)
    trees = {replica.name: _tree_of(tree, replica.name) for replica in assignment.replicas}
    files = {
        replica: _files(repository, tree, replica)
        for replica, tree_id in trees.items()
        if not is_here(replica, tree_id)
    }
    accepted = Accepted(
        commit=commit, assignment=assignment, trees=trees, removable=removable(last, trees)
    )
    return Taken(accepted=accepted, files=files)


def removable(last: Accepted | None, kept: Iterable[ReplicaName]) -> frozenset[ReplicaName]:
    """The replicas whose volumes are to be deleted once these are all that is assigned.

    Only the last assignment that had a replica can say so. Where none is known, nothing goes.
    """
    if last is None:
        return frozenset()
    told = {
        replica.name
        for replica in last.assignment.replicas
        if replica.on_remove is VolumeRemoval.DELETE
    }
    return (last.removable | told) - frozenset(kept)


def _assignment(repository: Repository, tree: Tree) -> Assignment:
    file = tree.files.get(ASSIGNMENT_FILE)
    if file is None:
        raise RefusedError(f"the assignment has no {ASSIGNMENT_FILE}")
    if file.size > MOST_BYTES_PER_FILE:
        raise RefusedError(f"{ASSIGNMENT_FILE} is larger than {MOST_BYTES_PER_FILE} bytes")
    text = repository.read((file.blob,))[file.blob]
    try:
        return parse_assignment(text.decode("utf-8"), path=ASSIGNMENT_FILE)
    except (BadDocumentError, UnicodeDecodeError) as error:
        raise RefusedError(f"the assignment cannot be read: {error}") from error


def _doubt(
    repository: Repository,
    commit: CommitId,
    assignment: Assignment,
    node: NodeName,
    last: Accepted | None,
) -> None:
    """Refuse what is not for us, and what is older than what we obey.

    Raises:
        RefusedError: it must not be obeyed.
    """
    if assignment.node != node:
        raise RefusedError(f"the assignment is for node '{assignment.node}', not for '{node}'")
    if last is None or assignment.generation > last.assignment.generation:
        return
    if assignment.generation < last.assignment.generation:
        raise RefusedError(
            f"generation {assignment.generation} is older than {last.assignment.generation}, "
            "which runs here. Fix: publish the assignment again with a higher generation"
        )
    if not repository.descends(commit, last.commit):
        raise RefusedError(
            f"a second assignment with generation {assignment.generation} that does not follow "
            "the first. Fix: publish the assignment again with a higher generation"
        )


def _tree_of(tree: Tree, replica: ReplicaName) -> TreeId:
    tree_id = tree.folders.get(replica)
    if tree_id is None or f"{replica}/{COMPOSE_FILE}" not in tree.files:
        raise RefusedError(f"replica {replica} is assigned without its {COMPOSE_FILE}")
    return tree_id


def _files(repository: Repository, tree: Tree, replica: ReplicaName) -> Mapping[str, bytes]:
    """Read all files of a replica.

    Raises:
        RefusedError: too many, too large, or not all of them are regular files.
    """
    prefix = f"{replica}/"
    ignored = [path for path in tree.ignored if path.startswith(prefix)]
    if ignored:
        raise RefusedError(f"{ignored[0]} is no regular file with a safe name")
    found = {path: file for path, file in tree.files.items() if path.startswith(prefix)}
    if len(found) > MOST_FILES:
        raise RefusedError(f"replica {replica} has {len(found)} files, {MOST_FILES} are allowed")
    for path, file in sorted(found.items()):
        if file.size > MOST_BYTES_PER_FILE:
            raise RefusedError(f"{path} has {file.size} bytes, {MOST_BYTES_PER_FILE} are allowed")
    if sum(file.size for file in found.values()) > MOST_BYTES:
        raise RefusedError(f"the files of {replica} exceed {MOST_BYTES} bytes")
    blobs = repository.read({file.blob for file in found.values()})
    return {path.removeprefix(prefix): blobs[file.blob] for path, file in found.items()}
