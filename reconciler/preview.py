"""What would happen if the fleet repository looked different: a pass that publishes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.decide import Pass
from reconciler.observing.snapshot import Snapshot
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.problem import Problem


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
    """One replica that would be touched. `why` is the reason for its node, where it has one."""

    replica: ReplicaName
    deployment: DeploymentName
    fate: Fate
    was_on: NodeName | None = None
    goes_to: NodeName | None = None
    files: tuple[FileChange, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The difference that a pass would make, sorted by replica. `nodes`: told something new."""

    replicas: tuple[ReplicaChange, ...]
    nodes: tuple[NodeName, ...]
    problems: tuple[Problem, ...]

    def count(self, fate: Fate) -> int:
        """How many replicas meet this fate."""
        return sum(change.fate is fate for change in self.replicas)


def with_desired(snapshot: Snapshot, files: Mapping[str, bytes]) -> Snapshot:
    """Ask of a work tree instead of the commit: the same state, other desired files."""
    return replace(snapshot, source=None, desired=dict(files), too_large={}, ignored=(), unread=())


def preview(result: Pass) -> Preview:
    """Tell what publishing a pass would change."""
    raise NotImplementedError
