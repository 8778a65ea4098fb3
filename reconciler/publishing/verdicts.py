"""What became of every deployment, as decision.json says it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.observing.snapshot import Observed
from reconciler.placing.plan import Plan
from reconciler.rolling.holding import Because
from reconciler.rolling.sources import UNKNOWN, Sources
from schemas.assignment import (
    Decision,
    DeploymentDecision,
    Hold,
    Phase,
    Refusal,
    Tenure,
    Verdict,
)
from schemas.names import DeploymentName, split_replica
from schemas.problem import Problem

# Reasons whose words tell amounts, which are others with each pass.
COUNTING: Final = frozenset({Because.HOMELESS.value, Because.MASS_LOSS.value})


def verdicts(
    observed: Observed,
    plan: Plan,
    held: Mapping[DeploymentName, tuple[Problem, ...]],
    fates: Mapping[DeploymentName, Fate],
    tenures: tuple[Tenure, ...],
) -> Decision:
    """Say what became of every deployment; in the words of the last decision if only words differ.

    So a free megabyte more or less on a node that was refused makes no commit.

    fates: how the version of each deployment fares that is not held.
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
            _in_old_words(before.get(one.name), _with_fate(one, before.get(one.name), fates))
            for one in sorted(decisions, key=lambda one: one.name)
        ),
        problems=observed.problems,
        tenures=tenures,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How the wanted version of a deployment fares, and what holds its replicas."""

    phase: Phase = Phase.SETTLED
    sources: Sources = UNKNOWN
    message: str = ""
    holds: tuple[Hold, ...] = ()


def _with_fate(
    decision: DeploymentDecision,
    before: DeploymentDecision | None,
    fates: Mapping[DeploymentName, Fate],
) -> DeploymentDecision:
    """Add how the version fares. Of one that is held, that stays as it was said last."""
    fate = fates.get(decision.name)
    if fate is None:
        if before is None:
            return decision
        told = Sources(before.source, before.good_source)
        fate = Fate(phase=before.phase, sources=told, message=before.message)
    return replace(
        decision,
        phase=fate.phase,
        source=fate.sources.source,
        good_source=fate.sources.good,
        message=fate.message,
        holds=fate.holds,
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
    if before is None or _without_words(before) != _without_words(_still_true(before, now)):
        return now
    return before


def _still_true(before: DeploymentDecision, now: DeploymentDecision) -> DeploymentDecision:
    """Where only more is waited for than was said, what was said is still true.

    So what gets ready and ill again and again makes no commit each time.
    """
    said = {(one.reason, one.replicas): one.text for one in before.holds}
    holds = []
    for one in now.holds:
        old = said.get((one.reason, one.replicas), "")
        is_true = bool(old) and _words(old) <= _words(one.text)
        holds.append(replace(one, text=old) if is_true else one)
    return replace(now, holds=tuple(holds))


def _words(text: str) -> set[str]:
    return set(text.replace(",", " ").split())


def _without_words(decision: DeploymentDecision) -> DeploymentDecision:
    bare = tuple(Refusal(replica=one.replica, reasons=()) for one in decision.refusals)
    holds = tuple(
        replace(one, text="") if one.reason in COUNTING else one for one in decision.holds
    )
    return replace(decision, refusals=bare, holds=holds)
