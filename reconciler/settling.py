"""A plan of which everything could be rendered, or is held: made in rounds until it settles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.observing.node import Node
from reconciler.observing.parameters import filled
from reconciler.observing.snapshot import Observed
from reconciler.placing.lately import plan as make_plan
from reconciler.placing.needs import need_of
from reconciler.placing.plan import FREE, Bound, Desired, Keep, Placement, Plan
from reconciler.rendering.context import job_of
from reconciler.rendering.port import Renderer, RenderJob, Unrendered
from reconciler.review import review
from schemas.deployment import Deployment
from schemas.names import DeploymentName, ReplicaName, split_replica
from schemas.problem import Problem

# How often the plan is made again without what could not be rendered. Each round holds at least
# one deployment more, and a second one is rare: whoever moves into the freed room renders too.
ROUNDS_MAX: Final = 5

Held = Mapping[DeploymentName, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a plan is made of.

    previous: placements that count, each where it counts. bound: what must be left alone.
    surging: deployments that get an extra replica. held: those that stay as they are, and why.
    """

    observed: Observed
    nodes: tuple[Node, ...]
    previous: tuple[Placement, ...]
    held: Held
    bound: Bound = FREE
    surging: frozenset[DeploymentName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A plan of which everything that is not held could be rendered."""

    plan: Plan
    rendered: Mapping[ReplicaName, Mapping[str, bytes]]
    held: Held


def settle(question: Question, renderer: Renderer) -> Settled:
    """Plan and render until whatever cannot be rendered is held, and the rest is placed.

    Raises:
        BrokenPlanError: the finished plan breaks a promise.
    """
    held = dict(question.held)
    for _ in range(ROUNDS_MAX):
        settled, failed = _try(replace(question, held=held), renderer)
        if not failed:
            return settled
        held |= failed
    # It does not settle: hold every deployment rather than publish half an answer.
    observed = question.observed
    held |= {one.name: (_unsettled(one),) for one in observed.deployments if one.name not in held}
    return _try(replace(question, held=held), renderer)[0]


def desired_of(
    observed: Observed, held: Held, surging: frozenset[DeploymentName] = frozenset()
) -> tuple[Desired, ...]:
    """Say what is asked for, in the planner's words. What is held is to stay as it was."""
    needs = [
        need_of(observed.fleet, bundle.template, one, extra=int(one.name in surging))
        for one in observed.deployments
        if one.name not in held and (bundle := observed.bundle(one)) is not None
    ]
    kept = [Keep(deployment=name) for name in held]
    return tuple(sorted([*needs, *kept], key=lambda one: one.deployment))


def _unsettled(deployment: Deployment) -> Problem:
    what = f"after {ROUNDS_MAX} tries others still could not be rendered, so this one waits too"
    return Problem(deployment.place, what, "mend the templates that the other problems name")


def _try(question: Question, renderer: Renderer) -> tuple[Settled, Held]:
    desired = desired_of(question.observed, question.held, question.surging)
    bound = _with_held(question)
    plan = make_plan(desired, question.nodes, question.previous, bound)
    review(plan, desired, question.nodes, question.previous, bound)
    jobs = tuple(_jobs(question, plan))
    rendered: dict[ReplicaName, Mapping[str, bytes]] = {}
    failed: dict[DeploymentName, tuple[Problem, ...]] = {}
    for (deployment, job), outcome in zip(
        jobs, renderer.render(tuple(job for _, job in jobs)), strict=True
    ):
        if isinstance(outcome, Unrendered):
            failed.setdefault(deployment, outcome.problems)
        else:
            rendered[job.replica] = outcome.files
    return Settled(plan=plan, rendered=rendered, held=dict(sorted(question.held.items()))), failed


def _with_held(question: Question) -> Bound:
    """What is bound, but for deployments that are held: these stay, and so nobody leaves."""
    absent = {one for one in question.bound.absent if split_replica(one)[0] not in question.held}
    return replace(question.bound, absent=frozenset(absent))


def _jobs(question: Question, plan: Plan) -> Iterator[tuple[DeploymentName, RenderJob]]:
    """What has to be rendered: all but what stays as it is."""
    observed = question.observed
    by_name = {node.name: node for node in question.nodes}
    deployments = {one.name: one for one in observed.deployments if one.name not in question.held}
    for placement in plan.placements:
        deployment = deployments.get(placement.deployment)
        if deployment is None or placement.replica in question.bound.frozen:
            continue
        bundle = observed.bundle(deployment)
        params = filled(bundle.template, deployment) if bundle else ()
        # What cannot be filled was held when it was observed.
        if bundle is not None and not isinstance(params, tuple):
            node = by_name[placement.node]
            yield deployment.name, job_of(placement, node, deployment, bundle, params)
