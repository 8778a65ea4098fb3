"""One whole decision: what was read goes in, what is to be written comes out.

The loop, the command line and the page all ask this one function, so that a preview can never
differ from what would happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.observing.inventory import Sightings, judge, notices, sight
from reconciler.observing.node import Node
from reconciler.observing.observe import observe
from reconciler.observing.parameters import filled
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.placing.lately import plan as make_plan
from reconciler.placing.needs import need_of
from reconciler.placing.plan import Desired, Keep, Placement, Plan
from reconciler.placing.rebalance import Move
from reconciler.publishing.assignments import previous_placements, told
from reconciler.publishing.changes import Changes, changes_of
from reconciler.publishing.verdicts import verdicts
from reconciler.rendering.context import job_of
from reconciler.rendering.port import Renderer, RenderJob, Unrendered
from reconciler.review import review
from schemas.assignment import Assignment, Decision
from schemas.deployment import Deployment
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.problem import Problem

# How often the plan is made again without what could not be rendered. Each round holds at least
# one deployment more, and a second one is rare: whoever moves into the freed room renders too.
ROUNDS_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Everything that one pass found out and decided. Nothing of it is published yet.

    sightings: to be given to the next pass.
    previous: what was placed before this pass.
    rendered: the files of every placed replica, by path in its folder; what is held keeps its own.
    held: deployments that stay as they last were, and why: broken documents or templates.
    moves: those of replicas that could have stayed, to pack the fleet better.
    problems: of people's documents: those that belong to no deployment, then those in `held`.
    notices: of what machines wrote, such as a heartbeat without a node document. Never published.
    assignments: what every node is told from now on.
    """

    snapshot: Snapshot
    observed: Observed
    sightings: Sightings
    nodes: tuple[Node, ...]
    previous: tuple[Placement, ...]
    plan: Plan
    rendered: Mapping[ReplicaName, Mapping[str, bytes]]
    held: Mapping[DeploymentName, tuple[Problem, ...]]
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    assignments: Mapping[NodeName, Assignment]
    decision: Decision
    changes: Changes
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """A plan of which everything that is not held could be rendered."""

    plan: Plan
    rendered: Mapping[ReplicaName, Mapping[str, bytes]]
    held: Mapping[DeploymentName, tuple[Problem, ...]]


def decide(snapshot: Snapshot, now: datetime, sightings: Sightings, renderer: Renderer) -> Pass:
    """Decide everything that follows from a snapshot. `now` is aware, and counts evenly.

    Raises:
        BadDocumentError: our own last decision cannot be understood, so nothing may be decided.
        BrokenPlanError: the finished plan breaks a promise; nothing of it may be published.
    """
    observed = observe(snapshot)
    seen = sight(sightings, observed.heartbeats, now)
    nodes = judge(observed, now, seen)
    settled = _settle(observed, nodes, previous_placements(observed), renderer, ())
    return _concluded(snapshot, observed, seen, nodes, settled)


def decide_with(result: Pass, moves: tuple[Move, ...], renderer: Renderer) -> Pass:
    """Decide again on what a pass saw, with some of what runs moved. `moves` break no rule.

    Raises:
        BrokenPlanError: as for `decide`.
    """
    previous = previous_placements(result.observed)
    settled = _settle(result.observed, result.nodes, previous, renderer, moves)
    again = _concluded(result.snapshot, result.observed, result.sightings, result.nodes, settled)
    return replace(again, moves=moves)


def desired_of(
    observed: Observed, held: Mapping[DeploymentName, tuple[Problem, ...]]
) -> tuple[Desired, ...]:
    """Say what is asked for, in the planner's words. What is held is to stay as it was."""
    needs = [
        need_of(observed.fleet, observed.templates[one.template].template, one)
        for one in observed.deployments
        if one.name not in held
    ]
    kept = [Keep(deployment=name) for name in held]
    return tuple(sorted([*needs, *kept], key=lambda one: one.deployment))


def _concluded(
    snapshot: Snapshot,
    observed: Observed,
    seen: Sightings,
    nodes: tuple[Node, ...],
    settled: _Settled,
) -> Pass:
    """Say what a settled plan means for everything that is to be written."""
    decision = verdicts(observed, settled.plan, settled.held)
    published = changes_of(
        snapshot,
        observed,
        told(observed, settled.plan, settled.held),
        settled.rendered,
        decision,
    )
    return Pass(
        snapshot=snapshot,
        observed=observed,
        sightings=seen,
        nodes=nodes,
        previous=previous_placements(observed),
        plan=settled.plan,
        rendered=settled.rendered,
        held=settled.held,
        problems=_all_problems(observed, settled.held),
        notices=notices(observed),
        assignments=published.assignments,
        decision=decision,
        changes=published.changes,
    )


def _settle(
    observed: Observed,
    nodes: tuple[Node, ...],
    previous: tuple[Placement, ...],
    renderer: Renderer,
    moves: tuple[Move, ...],
) -> _Settled:
    """Plan and render until whatever cannot be rendered is held, and the rest is placed."""
    held = dict(observed.held)
    for _ in range(ROUNDS_MAX):
        settled, failed = _try(observed, nodes, previous, renderer, held, moves)
        if not failed:
            return settled
        held |= failed
    # It does not settle: hold every deployment rather than publish half an answer.
    held |= {one.name: (_unsettled(one),) for one in observed.deployments if one.name not in held}
    return _try(observed, nodes, previous, renderer, held, moves)[0]


def _unsettled(deployment: Deployment) -> Problem:
    what = f"after {ROUNDS_MAX} tries others still could not be rendered, so this one waits too"
    return Problem(deployment.place, what, "mend the templates that the other problems name")


def _try(  # noqa: PLR0913, PLR0917 - all that a plan is made of
    observed: Observed,
    nodes: tuple[Node, ...],
    previous: tuple[Placement, ...],
    renderer: Renderer,
    held: Mapping[DeploymentName, tuple[Problem, ...]],
    moves: tuple[Move, ...],
) -> tuple[_Settled, Mapping[DeploymentName, tuple[Problem, ...]]]:
    desired = desired_of(observed, held)
    moved = {move.replica: move.to for move in moves}
    # Who is moved counts as one who is there already, and so stays there.
    plan = make_plan(desired, nodes, tuple(moved.get(one.replica, one) for one in previous))
    review(plan, desired, nodes, previous)
    jobs = tuple(_jobs(observed, nodes, plan, held))
    rendered: dict[ReplicaName, Mapping[str, bytes]] = {}
    failed: dict[DeploymentName, tuple[Problem, ...]] = {}
    for (deployment, job), outcome in zip(
        jobs, renderer.render(tuple(job for _, job in jobs)), strict=True
    ):
        if isinstance(outcome, Unrendered):
            failed.setdefault(deployment, outcome.problems)
        else:
            rendered[job.replica] = outcome.files
    return _Settled(plan=plan, rendered=rendered, held=dict(sorted(held.items()))), failed


def _jobs(
    observed: Observed,
    nodes: tuple[Node, ...],
    plan: Plan,
    held: Mapping[DeploymentName, tuple[Problem, ...]],
) -> Iterator[tuple[DeploymentName, RenderJob]]:
    by_name = {node.name: node for node in nodes}
    deployments = {one.name: one for one in observed.deployments if one.name not in held}
    for placement in plan.placements:
        deployment = deployments.get(placement.deployment)
        if deployment is not None:
            bundle = observed.templates[deployment.template]
            params = filled(bundle.template, deployment)
            # What cannot be filled was held when it was observed.
            if not isinstance(params, tuple):
                node = by_name[placement.node]
                yield deployment.name, job_of(placement, node, deployment, bundle, params)


def _all_problems(
    observed: Observed, held: Mapping[DeploymentName, tuple[Problem, ...]]
) -> tuple[Problem, ...]:
    everything = [*observed.problems, *(one for name in sorted(held) for one in held[name])]
    return tuple(dict.fromkeys(everything))
