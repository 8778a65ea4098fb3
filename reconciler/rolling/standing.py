"""How each published replica stands, by the one heartbeat of its node. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.observing.node import Freshness, Node
from reconciler.observing.snapshot import Observed, Snapshot
from schemas.heartbeat import Heartbeat, ReplicaReport, ReplicaState
from schemas.layout import replica_folder
from schemas.names import NodeName, ReplicaName, TreeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One published replica.

    ready: one heartbeat says both that it runs from the published files and that it is well.
    failed: it runs from these files, and its agent says that it fails.
    fresh: its node was heard of in time, so that the rest is worth something.
    stuck: the Docker of its node does not answer, so that how it fares is no fault of its version.
    """

    node: NodeName
    ready: bool = False
    failed: bool = False
    fresh: bool = False
    stuck: bool = False
    message: str = ""


def standings(
    snapshot: Snapshot, observed: Observed, nodes: tuple[Node, ...]
) -> Mapping[ReplicaName, Standing]:
    """Say of every published replica how it stands."""
    heard = {Freshness.READY, Freshness.RETURNING, Freshness.CONTESTED}
    fresh = {node.name for node in nodes if node.freshness in heard}
    beats = {beat.node: _reports(beat) for beat in observed.heartbeats}
    broken = {node.name for node in nodes if node.runtime_error}
    return {
        replica.name: replace(
            _standing(
                node,
                beats.get(node, {}).get(replica.name),
                snapshot.folders.get(replica_folder(node, replica.name)),
                is_fresh=node in fresh,
            ),
            stuck=node in broken,
        )
        for node, assignment in sorted(observed.assignments.items())
        for replica in assignment.replicas
    }


def _reports(beat: Heartbeat) -> Mapping[ReplicaName, ReplicaReport]:
    return {report.name: report for report in beat.replicas}


def _standing(
    node: NodeName, report: ReplicaReport | None, tree: TreeId | None, *, is_fresh: bool
) -> Standing:
    if report is None or report.observed != tree:
        return Standing(node=node, fresh=is_fresh, message=report.message if report else "")
    return Standing(
        node=node,
        ready=is_fresh and report.state is ReplicaState.RUNNING,
        failed=report.state is ReplicaState.FAILED,
        fresh=is_fresh,
        message=report.message,
    )
