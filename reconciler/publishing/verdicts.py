"""What became of every deployment, as decision.json says it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from reconciler.observing.snapshot import Observed
from reconciler.placing.plan import Plan
from schemas.assignment import Decision, DeploymentDecision, Refusal, Verdict
from schemas.names import DeploymentName, split_replica
from schemas.problem import Problem


def verdicts(
    observed: Observed, plan: Plan, held: Mapping[DeploymentName, tuple[Problem, ...]]
) -> Decision:
    """Say what became of every deployment; in the words of the last decision if only words differ.

    So a free megabyte more or less on a node that was refused makes no commit.
    """
    placed = Counter(one.deployment for one in plan.placements)
    refusals: dict[DeploymentName, list[Refusal]] = {}
    for refusal in plan.refusals:
        refusals.setdefault(split_replica(refusal.replica)[0], []).append(refusal)
    decisions = [
        _verdict(one.name, one.template, one.replicas, placed[one.name], refusals)
        for one in observed.deployments
        if one.name not in held
    ]
    decisions += [_held(observed, name, placed[name], held[name]) for name in held]
    before = {one.name: one for one in observed.decision.deployments}
    return Decision(
        deployments=tuple(
            _in_old_words(before.get(one.name), one)
            for one in sorted(decisions, key=lambda one: one.name)
        ),
        problems=observed.problems,
    )


def _verdict(
    name: DeploymentName,
    template: str,
    replicas: int,
    placed: int,
    refusals: Mapping[DeploymentName, list[Refusal]],
) -> DeploymentDecision:
    if placed >= replicas:
        verdict = Verdict.PLACED
    else:
        verdict = Verdict.PARTIAL if placed else Verdict.UNPLACED
    return DeploymentDecision(
        name=name,
        template=template,
        replicas=replicas,
        verdict=verdict,
        refusals=tuple(refusals.get(name, ())),
    )


def _held(
    observed: Observed, name: DeploymentName, placed: int, problems: tuple[Problem, ...]
) -> DeploymentDecision:
    """A held deployment: the replicas that it has, of the template that it had, if known."""
    running = (one for each in observed.assignments.values() for one in each.replicas)
    template = next((one.template for one in running if one.deployment == name), None)
    written = next((one.template for one in observed.deployments if one.name == name), None)
    told = next((one.template for one in observed.decision.deployments if one.name == name), "")
    return DeploymentDecision(
        name=name,
        template=template or written or told,
        replicas=placed,
        verdict=Verdict.HELD,
        problems=problems,
    )


def _in_old_words(before: DeploymentDecision | None, now: DeploymentDecision) -> DeploymentDecision:
    if before is None or _without_words(before) != _without_words(now):
        return now
    return before


def _without_words(decision: DeploymentDecision) -> DeploymentDecision:
    bare = tuple(Refusal(replica=one.replica, reasons=()) for one in decision.refusals)
    return replace(decision, refusals=bare)
