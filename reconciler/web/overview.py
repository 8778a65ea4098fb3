"""The fleet as a whole: one line first, then what is not as it should be."""

from __future__ import annotations

from typing import Final

from reconciler.conditions.condition import camel
from reconciler.conditions.deployments import hold_text
from reconciler.observing.causes import is_of_a_node, is_of_removals
from reconciler.web.banners import banners
from reconciler.web.deployments import deployment_views, held_by, problem_view
from reconciler.web.facts import Facts, index
from reconciler.web.nodes import node_views
from reconciler.web.views import (
    DeploymentView,
    ExceptionView,
    FleetView,
    Health,
    Level,
    NodeState,
    NodeView,
    ProblemView,
    Sync,
    VerdictView,
)
from reconciler.web.words import count
from schemas.assignment import Phase
from schemas.layout import NODE_REFS
from schemas.problem import Problem

# A deployment in one of these wants a person; one that progresses only wants patience.
_BAD_HEALTH: Final = (Health.MISSING, Health.DEGRADED, Health.UNKNOWN)
# Nothing else is as bad: while it is so, nothing that people commit is done.
_WORST: Final = ("leaderless", "frozen")
_BAD_NODE: Final = (
    NodeState.LOST,
    NodeState.DEGRADED,
    NodeState.CONTESTED,
    NodeState.LATE,
)


def fleet_view(facts: Facts) -> FleetView:
    """Make everything that can be shown of one look at a fleet."""
    by_name = index(facts)
    deployments = deployment_views(by_name)
    nodes = node_views(by_name, deployments)
    problems = _problems(facts)
    leader = facts.observed.leads
    leads = None if facts.is_leaderless else leader
    return FleetView(
        name=facts.observed.fleet.name,
        source=facts.observed.source or "",
        decided=facts.decided or "",
        leader=leads.holder if leads else "",
        leading_since=leads.since if leads else None,
        leader_renewed=facts.renewed,
        term=leader.term if leader else 0,
        verdict=_verdict(facts, nodes, deployments, problems),
        banners=banners(facts),
        exceptions=_exceptions(nodes, deployments),
        nodes=nodes,
        deployments=deployments,
        problems=problems,
        notices=tuple(map(problem_view, sorted(facts.notices))),
        nodes_by_name={node.name: node for node in nodes},
        deployments_by_name={deployment.name: deployment for deployment in deployments},
    )


def _problems(facts: Facts) -> tuple[ProblemView, ...]:
    """What is wrong with documents, each once, with all that it holds."""
    frozen = set(facts.observed.frozen)
    held = held_by(facts.held)
    found = {one for one in {*facts.problems, *frozen, *held} if _is_of_documents(one)}
    # What freezes the fleet holds everything, and saying that of it would be a list of all names.
    return tuple(problem_view(p, () if p in frozen else held.get(p, ())) for p in sorted(found))


def _is_of_documents(problem: Problem) -> bool:
    """Whether it stands in a document: the guard speaks in a banner, and machines in notices."""
    return not is_of_removals(problem) and not problem.place.path.startswith(NODE_REFS)


def _is_settled(deployment: DeploymentView) -> bool:
    is_well = deployment.health.state is Health.HEALTHY and deployment.sync.state is Sync.SYNCED
    return is_well and deployment.rollout.phase is Phase.SETTLED and not deployment.holds


def _has_failed(deployment: DeploymentView) -> bool:
    return deployment.rollout.phase in {Phase.STALLED, Phase.ROLLED_BACK}


def _is_bad(deployment: DeploymentView) -> bool:
    is_ill = deployment.health.state in _BAD_HEALTH or bool(deployment.problems)
    return is_ill or _has_failed(deployment)


def _verdict(
    facts: Facts,
    nodes: tuple[NodeView, ...],
    deployments: tuple[DeploymentView, ...],
    problems: tuple[ProblemView, ...],
) -> VerdictView:
    faults = _faults(nodes, deployments, problems)
    if worst := [one for one in banners(facts) if one.kind in _WORST]:
        return VerdictView(level=Level.BAD, text=worst[0].text)
    if faults:
        return VerdictView(level=Level.BAD, text=f"{', '.join(faults)}.")
    if stops := [one for one in banners(facts) if one.kind != "window"]:
        return VerdictView(level=Level.BUSY, text=stops[0].text)
    if not nodes and not deployments:
        return VerdictView(level=Level.EMPTY, text="The fleet is empty.")
    return _without_faults(nodes, deployments)


def _without_faults(
    nodes: tuple[NodeView, ...], deployments: tuple[DeploymentView, ...]
) -> VerdictView:
    on_the_way = sum(not _is_settled(deployment) for deployment in deployments)
    if on_the_way:
        text = f"{on_the_way} of {count(len(deployments), 'deployment')} on the way"
        text = f"{text}{_in_which_way(deployments)}."
        return VerdictView(level=Level.BUSY, text=text)
    if not deployments:
        return VerdictView(level=Level.EMPTY, text=f"{count(len(nodes), 'node')}, no deployments.")
    return VerdictView(level=Level.GOOD, text=_all_well(nodes, deployments))


def _in_which_way(deployments: tuple[DeploymentView, ...]) -> str:
    """Count rollouts and what waits; empty: there is neither."""
    rolling = sum(one.rollout.phase is Phase.ROLLING for one in deployments)
    held = sum(bool(one.holds) for one in deployments)
    told = (f"{rolling} rolling out" if rolling else "", f"{held} waiting" if held else "")
    words = ", ".join(filter(None, told))
    return f": {words}" if words else ""


def _faults(
    nodes: tuple[NodeView, ...],
    deployments: tuple[DeploymentView, ...],
    problems: tuple[ProblemView, ...],
) -> tuple[str, ...]:
    ailing = sum(_is_bad(one) and not _has_failed(one) for one in deployments)
    failed = sum(map(_has_failed, deployments))
    down = sum(node.mark.state in _BAD_NODE for node in nodes)
    # Those of a deployment are told by it already; if there are others, all are counted.
    general = any(not one.holds or is_of_a_node(one.path) for one in problems)
    found = (
        f"{ailing} of {count(len(deployments), 'deployment')} not well" if ailing else "",
        f"{failed} of {count(len(deployments), 'deployment')} rolled back or stalled"
        if failed
        else "",
        f"{down} of {count(len(nodes), 'node')} not well" if down else "",
        f"{count(len(problems), 'problem')} in documents" if general else "",
    )
    return tuple(filter(None, found))


def _all_well(nodes: tuple[NodeView, ...], deployments: tuple[DeploymentView, ...]) -> str:
    what = "The deployment is" if len(deployments) == 1 else f"All {len(deployments)} deployments"
    verb = "" if len(deployments) == 1 else " are"
    ready = sum(node.mark.state is NodeState.READY for node in nodes)
    return f"{what}{verb} healthy and in sync; {count(ready, 'node')} ready."


def _exceptions(
    nodes: tuple[NodeView, ...], deployments: tuple[DeploymentView, ...]
) -> tuple[ExceptionView, ...]:
    return (
        *(_deployment(d) for d in sorted(deployments, key=_urgency) if not _is_settled(d)),
        *(
            ExceptionView(kind="node", name=n.name, state=_node_state(n), why=n.mark.why)
            for n in nodes
            if n.mark.state is not NodeState.READY or n.duty_text
        ),
    )


def _node_state(node: NodeView) -> str:
    """The state of a node, or what its operator wants of it where it is ready."""
    if node.mark.state is not NodeState.READY:
        return node.mark.state
    if node.to_mend:
        return "Held"
    if node.suspended:
        return "Suspended"
    return "Drained" if node.drained else node.duty.capitalize()


def _urgency(deployment: DeploymentView) -> tuple[bool, str]:
    return not _is_bad(deployment), deployment.name


def _deployment(deployment: DeploymentView) -> ExceptionView:
    if _has_failed(deployment):
        state, why = camel(deployment.rollout.phase), deployment.rollout.text
    elif deployment.health.state is Health.HEALTHY and deployment.rollout.text:
        state, why = "RollingOut", deployment.rollout.text
    elif deployment.health.state is Health.HEALTHY and deployment.holds:
        hold = deployment.holds[0]
        state, why = "Held", hold_text(hold.replicas, hold.text)
    elif deployment.health.state is not Health.HEALTHY:
        state, why = str(deployment.health.state), deployment.health.why
    else:
        state, why = str(deployment.sync.state), deployment.sync.why
    told = deployment.last_error if deployment.problems else why
    return ExceptionView(kind="deployment", name=deployment.name, state=state, why=told)
