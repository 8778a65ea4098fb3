"""What would happen if the fleet repository looked different: a pass that publishes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.comparing import published_files
from reconciler.decide import Pass, decide
from reconciler.observing.causes import is_of_removals
from reconciler.observing.snapshot import Snapshot
from reconciler.observing.trailers import ALLOW_REMOVALS
from reconciler.publishing.assignments import without_why
from reconciler.rendering.port import Renderer
from reconciler.rolling.marks import Memory
from schemas.assignment import AssignedReplica, Assignment
from schemas.layout import COMPOSE_FILE, NODE_REFS, project_name
from schemas.names import DeploymentName, NodeName, ReplicaName, split_replica
from schemas.problem import BadDocumentError, Problem
from schemas.resources import VolumeRemoval
from schemas.yaml_text import read_yaml


class Fate(StrEnum):
    """What becomes of a replica."""

    ADD = "add"
    CHANGE = "change"
    MOVE = "move"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One rendered file, before and after. None: it is not there."""

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaChange:
    """One replica that would be touched. `why` is the reason for its node, where it has one.

    volumes: names of those on the node where it was that would be deleted, data and all.
    """

    replica: ReplicaName
    deployment: DeploymentName
    fate: Fate
    was_on: NodeName | None = None
    goes_to: NodeName | None = None
    files: tuple[FileChange, ...] = ()
    why: str = ""
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The difference that a pass would make, sorted by replica. `nodes`: told something new."""

    replicas: tuple[ReplicaChange, ...]
    nodes: tuple[NodeName, ...]
    problems: tuple[Problem, ...]

    def count(self, fate: Fate) -> int:
        """How many replicas meet this fate."""
        return sum(change.fate is fate for change in self.replicas)


def with_desired(snapshot: Snapshot, asked: Snapshot) -> Snapshot:
    """Ask of a work tree instead of the commit: the same state, and what people want of `asked`."""
    heartbeats = {p: size for p, size in snapshot.too_large.items() if p.startswith(NODE_REFS)}
    return replace(
        snapshot,
        source=None,
        message=asked.message,
        left=None,
        desired=asked.desired,
        too_large={**asked.too_large, **heartbeats},
        ignored=asked.ignored,
        unread=asked.unread,
    )


def preview(result: Pass) -> Preview:
    """Tell what publishing a pass would change."""
    replicas = tuple(_replicas(result, result.assignments, result.rendered))
    return Preview(replicas=replicas, nodes=result.changes.nodes, problems=result.problems)


def preview_of_aim(result: Pass) -> Preview:
    """Tell what it will come to, once nothing is held back any longer.

    Removals that are held are no problems of documents: see `waiting_for_a_word`.
    """
    replicas = tuple(_replicas(result, result.aim.assignments, result.aim.rendered))
    nodes = {one for change in replicas for one in (change.was_on, change.goes_to) if one}
    told = nodes | set(result.changes.nodes)
    problems = tuple(one for one in result.problems if not is_of_removals(one))
    return Preview(replicas=replicas, nodes=tuple(sorted(told)), problems=problems)


def waiting_for_a_word(
    result: Pass, memory: Memory, renderer: Renderer
) -> tuple[ReplicaChange, ...]:
    """What the guard against removals holds, as it would be if the newest commit allowed it.

    memory: that the pass was made with.

    Raises:
        BrokenPlanError: as for `decide`.
    """
    if not any(is_of_removals(one) for problems in result.held.values() for one in problems):
        return ()
    allowed = replace(result.snapshot, message=f"allowed\n\n{ALLOW_REMOVALS}: yes")
    other = decide(allowed, result.facts.now, memory, renderer)
    known = set(preview_of_aim(result).replicas)
    return tuple(one for one in preview_of_aim(other).replicas if one not in known)


def _replicas(
    result: Pass,
    assignments: Mapping[NodeName, Assignment],
    rendered: Mapping[ReplicaName, Mapping[str, bytes]],
) -> Iterator[ReplicaChange]:
    before = {replica.name: (name, replica) for name, replica in _all(result.observed.assignments)}
    after = {replica.name: (name, replica) for name, replica in _all(assignments)}
    published = published_files(result.snapshot.assignments)
    for name in sorted(before.keys() | after.keys(), key=split_replica):
        was, goes = before.get(name), after.get(name)
        old = published.get((was[0], name), {}) if was else {}
        new = rendered.get(name, old) if goes else {}
        change = _change(name, was, goes, _differences(old, new))
        if change is not None:
            yield replace(change, volumes=_deleted(change, was, old))


def _deleted(
    change: ReplicaChange,
    was: tuple[NodeName, AssignedReplica] | None,
    files: Mapping[str, bytes],
) -> tuple[str, ...]:
    """The volumes that a node deletes with a replica. It goes by what it was told last, as we do.

    files: as they were published. What cannot be read as YAML never ran.
    """
    leaves = change.fate in {Fate.REMOVE, Fate.MOVE}
    if was is None or not leaves or was[1].on_remove is not VolumeRemoval.DELETE:
        return ()
    node, replica = was
    try:
        text = files.get(COMPOSE_FILE, b"").decode()
        document = read_yaml(text, path=COMPOSE_FILE).value
    except (BadDocumentError, UnicodeDecodeError):
        return ()
    volumes = document.get("volumes") if isinstance(document, dict) else None
    names = sorted(volumes) if isinstance(volumes, dict) else []
    return tuple(f"{project_name(node, replica.name)}_{name}" for name in names)


def _differences(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[FileChange, ...]:
    return tuple(
        FileChange(path=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _change(
    name: ReplicaName,
    before: tuple[NodeName, AssignedReplica] | None,
    after: tuple[NodeName, AssignedReplica] | None,
    files: tuple[FileChange, ...],
) -> ReplicaChange | None:
    fate = _fate(before, after, files)
    if fate is None:
        return None
    deployment, _ = split_replica(name)
    return ReplicaChange(
        replica=name,
        deployment=deployment,
        fate=fate,
        was_on=before[0] if before else None,
        goes_to=after[0] if after else None,
        files=files,
        why=after[1].why.text if after else "",
    )


def _fate(
    before: tuple[NodeName, AssignedReplica] | None,
    after: tuple[NodeName, AssignedReplica] | None,
    files: tuple[FileChange, ...],
) -> Fate | None:
    if before is None or after is None:
        return Fate.ADD if before is None else Fate.REMOVE
    if before[0] != after[0]:
        return Fate.MOVE
    same = without_why(before[1]) == without_why(after[1])
    return None if same and not files else Fate.CHANGE


def _all(
    assignments: Mapping[NodeName, Assignment],
) -> Iterator[tuple[NodeName, AssignedReplica]]:
    for name, assignment in assignments.items():
        for replica in assignment.replicas:
            yield name, replica
