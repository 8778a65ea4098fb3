"""What the views are made of: everything that Git said, already understood and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.conditions.since import Since
from reconciler.observing.duties import Duties
from reconciler.observing.node import Freshness, Node
from reconciler.observing.snapshot import Observed
from reconciler.rolling.failover import MUTE
from reconciler.web.waiting import Silences, in_words_of_now
from schemas.assignment import AssignedReplica, DeploymentDecision, Hold, Refusal, Tenure
from schemas.deployment import Deployment
from schemas.heartbeat import Heartbeat, ReplicaReport
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName, TreeId
from schemas.problem import Problem


@dataclass(frozen=True, slots=True)
class Return:
    """When a node came back from being lost, and until when it is given nothing new."""

    at: datetime
    held_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One look at a fleet.

    nodes: judged, so that no view needs a clock. seen: when a heartbeat was last seen to arrive.
    decided: tip of the assignments branch. folders: tree ids of that tip, by path.
    held: deployments that stay as they last were, and why. problems: of no deployment.
    notices: of what machines wrote. refused: replicas that have no node, and why.
    pending: deployments that the reconciler has yet to act on, and what it would do.
    aimed: where each replica is finally to be. rooms: who has the room for now of one that
    has no node. since: since when what was decided is so.
    duties: since when main says of each node what it says.
    closed: why nothing is changed by plan at this time, if something waits for that.
    removals: why what main removes is kept for now. returns: of nodes that came back from being
    lost. staying: deployments that nobody wants and that are held where they run, and why.
    renewed: when who leads was last heard of, by our clock; None: nobody leads that is known of.
    is_leaderless: that is so long ago that nobody decides.
    unadmitted: how fresh each node is that has a heartbeat and no record.
    """

    observed: Observed
    nodes: tuple[Node, ...]
    seen: Mapping[NodeName, datetime] = field(default_factory=dict)
    decided: CommitId | None = None
    folders: Mapping[str, TreeId] = field(default_factory=dict)
    held: Mapping[DeploymentName, tuple[Problem, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    refused: Mapping[DeploymentName, tuple[Refusal, ...]] = field(default_factory=dict)
    pending: Mapping[DeploymentName, str] = field(default_factory=dict)
    aimed: Mapping[ReplicaName, NodeName] = field(default_factory=dict)
    rooms: Mapping[ReplicaName, tuple[ReplicaName, ...]] = field(default_factory=dict)
    since: Since = field(default_factory=Since)
    duties: Mapping[NodeName, Duties] = field(default_factory=dict)
    closed: str = ""
    removals: str = ""
    returns: Mapping[NodeName, Return] = field(default_factory=dict)
    staying: Mapping[DeploymentName, str] = field(default_factory=dict)
    renewed: datetime | None = None
    is_leaderless: bool = False
    unadmitted: Mapping[NodeName, Freshness] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Index:
    """The facts by the names that views ask for, made once a look.

    decided, holds: with the words of holds as they are now, see `web.waiting`.
    """

    facts: Facts
    nodes: Mapping[NodeName, Node]
    heartbeats: Mapping[NodeName, Heartbeat]
    reports: Mapping[tuple[NodeName, ReplicaName], ReplicaReport]
    leftovers: Mapping[DeploymentName, tuple[tuple[NodeName, ReplicaReport], ...]]
    assigned: Mapping[DeploymentName, tuple[tuple[NodeName, AssignedReplica], ...]]
    decided: Mapping[DeploymentName, DeploymentDecision]
    holds: Mapping[ReplicaName, Hold]
    tenures: Mapping[ReplicaName, Tenure]
    desired: Mapping[DeploymentName, Deployment]
    silences: Silences


def index(facts: Facts) -> Index:
    """Sort the facts by name."""
    observed = facts.observed
    nodes = {node.name: node for node in facts.nodes}
    tenures = {one.replica: one for one in observed.decision.tenures}
    desired = {one.name: one for one in observed.deployments}
    silences = Silences(fleet=observed.fleet, nodes=nodes, mute=_mute(facts), tenures=tenures)
    written = {**observed.aside, **desired}
    decided = {
        one.name: in_words_of_now(one, written.get(one.name), silences)
        for one in observed.decision.deployments
    }
    return Index(
        facts=facts,
        nodes=nodes,
        heartbeats={beat.node: beat for beat in observed.heartbeats},
        reports={
            (beat.node, report.name): report
            for beat in observed.heartbeats
            for report in beat.replicas
        },
        leftovers=_leftovers(facts),
        assigned=_by_deployment(facts),
        decided=decided,
        holds={
            replica: hold
            for one in decided.values()
            for hold in one.holds
            for replica in hold.replicas
        },
        tenures=tenures,
        desired=desired,
        silences=silences,
    )


def _mute(facts: Facts) -> frozenset[NodeName]:
    """The nodes that are late or lost, with a record or without."""
    fresh = {**facts.unadmitted, **{node.name: node.freshness for node in facts.nodes}}
    return frozenset(name for name, one in fresh.items() if one in MUTE)


def _leftovers(
    facts: Facts,
) -> Mapping[DeploymentName, tuple[tuple[NodeName, ReplicaReport], ...]]:
    assigned = {
        (node, replica.name)
        for node, assignment in facts.observed.assignments.items()
        for replica in assignment.replicas
    }
    found: dict[DeploymentName, list[tuple[NodeName, ReplicaReport]]] = {}
    for beat in facts.observed.heartbeats:
        for report in beat.replicas:
            if (beat.node, report.name) not in assigned:
                found.setdefault(report.deployment, []).append((beat.node, report))
    return {name: tuple(pairs) for name, pairs in found.items()}


def _by_deployment(
    facts: Facts,
) -> Mapping[DeploymentName, tuple[tuple[NodeName, AssignedReplica], ...]]:
    found: dict[DeploymentName, list[tuple[NodeName, AssignedReplica]]] = {}
    for node, assignment in sorted(facts.observed.assignments.items()):
        for replica in assignment.replicas:
            found.setdefault(replica.deployment, []).append((node, replica))
    return {name: tuple(sorted(pairs, key=_rank)) for name, pairs in found.items()}


def _rank(pair: tuple[NodeName, AssignedReplica]) -> tuple[int, str, NodeName]:
    # The length first, so that chat-10 stands after chat-9.
    node, replica = pair
    return len(replica.name), replica.name, node
