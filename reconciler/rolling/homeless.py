"""Who serves and would stop, as no node takes it: it stays where it is. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping

from reconciler.rolling.holding import Because, Held
from reconciler.rolling.outlook import Outlook, Pending, is_between, is_ready
from schemas.names import DeploymentName, ReplicaName, split_replica
from schemas.node import Duty


def homeless(view: Outlook) -> Mapping[ReplicaName, Held]:
    """Who would have no node in the end, of those that are to serve on; and why."""
    found = {
        replica: held
        for replica, pending in view.pending.items()
        if pending is Pending.REMOVE
        and split_replica(replica)[0] in view.deployments
        and (held := keeps(replica, view)) is not None
    }
    return dict(sorted(found.items()))


def keeps(replica: ReplicaName, view: Outlook) -> Held | None:
    """Keep what would stop though it is wanted, as no node takes it: off a drained one, or anew.

    Between two versions only what serves is kept, in whichever it is: also one that stalled or was
    rejected, where the last good one has no node any longer.
    """
    name, index = split_replica(replica)
    node = view.nodes.get(view.previous[replica].node)
    if index >= view.deployments[name].replicas or node is None:
        return None
    if node.duty is Duty.DRAINING:
        return Held(Because.HOMELESS, f"{node.name} is drained, and no other node takes it")
    if is_between(name, view) and is_ready(replica, view) and replica not in view.arrived:
        which, why = _wanted(name, view), view.refused.get(replica)
        return Held(Because.HOMELESS, f"no node takes its {which}{f': {why}' if why else ''}")
    return None


def _wanted(name: DeploymentName, view: Outlook) -> str:
    going = view.courses[name]
    return "new version" if going.wanted == going.versions.next else "last good version"


def stranded(
    view: Outlook, placed: Container[ReplicaName], held: Container[DeploymentName]
) -> Mapping[ReplicaName, Held]:
    """Who is to serve on, and could not for now: others are held on the room it is to have.

    Be it that it moves or changes, or that one that is more important would take its room: it is
    not to stop for that as long as those are held who would leave some for both.

    placed: who has a node for now. held: deployments that stay as they are anyway. Who leaves a
    lost node is no part of this: it serves nobody there.
    """
    return {
        replica: Held(Because.HOMELESS, f"its place on {view.target[replica].node} is not free yet")
        for replica in sorted(view.previous.keys() & view.target.keys())
        if replica not in placed
        and replica not in view.recovering
        and split_replica(replica)[0] not in held
    }
