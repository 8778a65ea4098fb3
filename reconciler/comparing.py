"""What differs between what is wanted and what is published, as the gates look at it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.observing.node import Node
from reconciler.placing.plan import Placement
from reconciler.rolling.facts import Facts
from reconciler.rolling.failover import Failover
from reconciler.rolling.grants import waiting
from reconciler.rolling.holding import Because, Held
from reconciler.rolling.outlook import Outlook, Pending
from reconciler.settling import Settled
from schemas.layout import NODES
from schemas.names import NodeName, ReplicaName, split_replica

Files = Mapping[str, bytes]


def outlook_of(facts: Facts, aim: Settled, failover: Failover) -> Outlook:
    """Look at a plan that knows no brakes. failover: who leaves lost nodes in it."""
    previous = {one.replica: one for one in facts.previous}
    target = {one.replica: one for one in aim.plan.placements}
    pending = _pending(facts, aim, previous, target)
    nodes = {node.name: node for node in facts.nodes}
    return Outlook(
        fleet=facts.observed.fleet,
        deployments={k: v for k, v in facts.deployments.items() if k not in aim.held},
        courses=facts.courses,
        nodes=nodes,
        previous=previous,
        target=target,
        pending=pending,
        standing=facts.standing,
        closed=facts.closed,
        fenced=waiting(aim.plan.placements, facts.holders, facts.evidence, facts.deployments),
        held=held_of(facts, failover, pending, aim),
        recovering=_recovering(failover, previous, nodes),
        arrived=_arrived(facts),
        refused={
            one.replica: "; ".join(reason.text for reason in one.reasons)
            for one in aim.plan.refusals
        },
    )


def _arrived(facts: Facts) -> frozenset[ReplicaName]:
    """The replicas that had the version that is wanted at the last pass."""
    marks = facts.memory.marks
    return frozenset().union(
        *(
            marks[name].reached
            for name, going in facts.courses.items()
            if name in marks and marks[name].revision == going.revision
        )
    )


def _pending(
    facts: Facts,
    aim: Settled,
    previous: Mapping[ReplicaName, Placement],
    target: Mapping[ReplicaName, Placement],
) -> Mapping[ReplicaName, Pending]:
    """Compare what is wanted with what is published. What is held never differs."""
    published = published_files(facts.snapshot.assignments)
    found: dict[ReplicaName, Pending] = {}
    for replica in sorted(previous.keys() | target.keys()):
        was, goes = previous.get(replica), target.get(replica)
        if was is None or goes is None:
            found[replica] = Pending.ADD if was is None else Pending.REMOVE
        elif was.node != goes.node:
            found[replica] = Pending.MOVE
        elif replica in aim.rendered and aim.rendered[replica] != published.get(
            (was.node, replica), {}
        ):
            found[replica] = Pending.CHANGE
    return found


def published_files(files: Files) -> Mapping[tuple[NodeName, ReplicaName], Files]:
    """The published files of every replica, by their paths in its folder."""
    folders: dict[tuple[NodeName, ReplicaName], dict[str, bytes]] = {}
    for path, content in files.items():
        parts = path.split("/", 3)
        if parts[0] == NODES and len(parts) == len(("nodes", "node", "replica", "file")):
            key = (NodeName(parts[1]), ReplicaName(parts[2]))
            folders.setdefault(key, {})[parts[3]] = content
    return folders


def held_of(
    facts: Facts,
    failover: Failover,
    pending: Mapping[ReplicaName, Pending],
    aim: Settled,
) -> Mapping[ReplicaName, Held]:
    """What the brakes hold, whatever the health of others says."""
    held = {**failover.held, **facts.suspended}
    deployments = facts.deployments
    for replica, kind in pending.items():
        name = split_replica(replica)[0]
        if kind is Pending.ADD and name not in aim.held:
            if facts.observed.fleet.suspend:
                held[replica] = Held(Because.SUSPENDED, "the fleet is suspended")
            elif name in deployments and deployments[name].suspend:
                held[replica] = Held(Because.SUSPENDED, f"{name} is suspended")
    return held


def _recovering(
    failover: Failover,
    previous: Mapping[ReplicaName, Placement],
    nodes: Mapping[NodeName, Node],
) -> frozenset[ReplicaName]:
    """The replicas whose node is gone, which nothing but a free place has to wait for."""
    gone = {name for name, one in previous.items() if one.node not in nodes}
    return failover.leaving | gone
