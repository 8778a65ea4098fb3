"""What has to be written so that the state says what was decided. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rolling.holders import obeyed_and_lost
from schemas.assignment import Assignment, Decision, dump_assignment, dump_decision
from schemas.layout import (
    ASSIGNMENT_FILE,
    DECISION_FILE,
    NODES,
    VERSIONS,
    node_folder,
    replica_folder,
)
from schemas.names import NodeName, ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one commit has to change. Nothing in it: no commit, no push.

    files: new bytes by path in the assignments tree; None removes the path, or the folder.
    nodes: whose own ref has to move, sorted: their folder changes, or their ref is not with it.
    """

    files: Mapping[str, bytes | None] = field(default_factory=dict)
    nodes: tuple[NodeName, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to publish."""
        return not self.files and not self.nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What every node is told, with its generation, and what that changes."""

    assignments: Mapping[NodeName, Assignment]
    changes: Changes


def changes_of(  # noqa: PLR0913, PLR0917 - both sides, and all that was made
    snapshot: Snapshot,
    observed: Observed,
    assignments: Mapping[NodeName, Assignment],
    rendered: Mapping[ReplicaName, Mapping[str, bytes]],
    decision: Decision,
    kept: Mapping[str, bytes],
    leap: int,
) -> Published:
    """Compare what is decided with what the state says, file by file.

    A node's generation grows by one if anything of its folder changes, and above what its agent
    obeys if that is none of ours: after the state was restored from a backup. Then all grow, by
    more than was lost: what an agent has not seen of it yet may come back with another backup.

    kept: files of the versions that are kept, by path. leap: by how much more every generation
    grows; 0: the state is not found restored just now.
    """
    before = snapshot.assignments
    folders = _by_node(before)
    beats = {beat.node: beat for beat in observed.heartbeats}
    final: dict[NodeName, Assignment] = {}
    files: dict[str, bytes | None] = {}
    moved: list[NodeName] = []
    for name, assignment in sorted(assignments.items()):
        old = folders.pop(name, {})
        changed = _difference(old, _folder(assignment, rendered, old))
        last = observed.assignments.get(name)
        lost = obeyed_and_lost(beats.get(name), last, snapshot.assigned.get(name))
        if observed.frozen:
            lost = 0  # nobody is to obey again what may be older than what is true
        final[name] = _next(last, assignment, changed, lost, leap)
        if final[name] is not last:
            changed[_assignment_path(name)] = dump_assignment(final[name]).encode()
        files |= changed
        if changed or _astray(snapshot, name):
            moved.append(name)
    if not observed.frozen:
        files |= {path: None for folder in folders.values() for path in folder}
        files |= {path: None for path in before if not _known(path)}
        versions = {path: text for path, text in before.items() if _is_version(path)}
        files |= _difference(versions, kept)
    if observed.decision != decision or DECISION_FILE not in before:
        files[DECISION_FILE] = dump_decision(decision).encode()
    return Published(
        assignments=final,
        changes=Changes(files=dict(sorted(files.items())), nodes=tuple(moved)),
    )


def _folder(
    assignment: Assignment,
    rendered: Mapping[ReplicaName, Mapping[str, bytes]],
    old: Mapping[str, bytes],
) -> dict[str, bytes]:
    """The files of a node, without its assignment. Who was not rendered keeps what it has."""
    files: dict[str, bytes] = {}
    for replica in assignment.replicas:
        folder = replica_folder(assignment.node, replica.name) + "/"
        ours = rendered.get(replica.name)
        if ours is None:
            files |= {path: content for path, content in old.items() if path.startswith(folder)}
        else:
            files |= {folder + path: content for path, content in ours.items()}
    return files


def _difference(
    before: Mapping[str, bytes], wanted: Mapping[str, bytes]
) -> dict[str, bytes | None]:
    changed: dict[str, bytes | None] = {
        path: text for path, text in wanted.items() if before.get(path) != text
    }
    return changed | {path: None for path in before if path not in wanted}


def _next(
    before: Assignment | None,
    now: Assignment,
    changed: Mapping[str, bytes | None],
    lost: int,
    leap: int,
) -> Assignment:
    if before == now and not changed and not lost and not leap:
        return before
    last = before.generation if before else 0
    return replace(now, generation=max(last, lost) + 1 + leap)


def _astray(snapshot: Snapshot, name: NodeName) -> bool:
    """Whether a node's own ref does not have what the assignments branch says of it."""
    folder = snapshot.folders.get(node_folder(name))
    return folder is not None and snapshot.projected.get(name) != folder


def _by_node(files: Mapping[str, bytes]) -> dict[NodeName, dict[str, bytes]]:
    """The files of every node's folder by path, without the assignments."""
    folders: dict[NodeName, dict[str, bytes]] = {}
    for path, content in files.items():
        top, _, rest = path.partition("/")
        name, _, inner = rest.partition("/")
        if top == NODES and inner and inner != ASSIGNMENT_FILE:
            folders.setdefault(NodeName(name), {})[path] = content
    return folders


def _known(path: str) -> bool:
    return path == DECISION_FILE or path.startswith(f"{NODES}/") or _is_version(path)


def _is_version(path: str) -> bool:
    return path.startswith(f"{VERSIONS}/")


def _assignment_path(name: NodeName) -> str:
    return f"{node_folder(name)}/{ASSIGNMENT_FILE}"
