"""What a finished plan means for everything that is to be written and remembered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.observing.bounds import LEAP
from reconciler.placing.rebalance import Move
from reconciler.publishing.assignments import told, with_fences
from reconciler.publishing.changes import Published, changes_of
from reconciler.publishing.verdicts import Fate, verdicts
from reconciler.rescheduling import remembered
from reconciler.rolling.facts import Facts, is_suspended
from reconciler.rolling.grants import granted
from reconciler.rolling.holders import UNKNOWN, is_strange
from reconciler.rolling.holding import Because, holds_of
from reconciler.rolling.inputs import Versions, version_files
from reconciler.rolling.marks import Mark, Memory, marked
from reconciler.rolling.outlook import Outlook, Pending, extra_of
from reconciler.rolling.rollout import Course, completed, left
from reconciler.rolling.sources import sources
from reconciler.rolling.waves import canaries
from reconciler.staging import Stages
from schemas.assignment import Assignment, Decision, Phase
from schemas.deployment import Deployment
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name
from schemas.node import Duty
from schemas.rollout import UpdateStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """All that follows from the plans of a pass. aimed: what nodes will finally be told."""

    published: Published
    decision: Decision
    aimed: Mapping[NodeName, Assignment]
    memory: Memory


def conclude(facts: Facts, stages: Stages, off: tuple[Move, ...]) -> Concluded:
    """Say what nodes are told, what is kept of versions, who holds what, and what to remember.

    off: who leaves a node on which it keeps failing, where there is room for it.
    """
    observed, now = facts.observed, stages.now
    going = {
        name: one
        for name, one in facts.courses.items()
        if name in facts.deployments and name not in now.held
    }
    coming = {
        name: _mark(facts.deployments[name], one, facts, stages)
        for name, one in going.items()
        if one.versions.next is not None
    }
    courses = {
        name: _ended(facts.deployments[name], one, coming.get(name), stages)
        for name, one in going.items()
    }
    tenures, fences = granted(now.plan.placements, facts.holders, facts.evidence)
    if observed.frozen:
        tenures, fences = observed.decision.tenures, {}
    decision = verdicts(observed, now.plan, now.held, _fates(facts, stages, courses), tenures)
    frozen = stages.brakes.frozen
    left = tuple(one for one in off if one in stages.moves)
    decision = replace(decision, rescheduled=remembered(facts, left, frozen))
    assignments = told(observed, now.plan, now.held, frozen)
    if not observed.frozen:
        assignments = with_fences(assignments, observed.assignments, fences)
    end, staying = stages.end.settled, stages.end.staying
    return Concluded(
        published=changes_of(
            facts.snapshot,
            observed,
            assignments,
            now.rendered,
            decision,
            version_files(_versions(facts, stages, courses)),
            LEAP if facts.lifts and not observed.frozen else 0,
        ),
        decision=decision,
        aimed=assignments if end is now else told(observed, end.plan, end.held, staying),
        memory=_memory(facts, stages, _marks(facts, stages, courses), decision),
    )


def _ended(deployment: Deployment, going: Course, mark: Mark | None, stages: Stages) -> Course:
    """Complete a rollout of which nothing is pending and every replica that it touched is ready.

    Whoever is held without a place in it, as no node takes it anew, keeps it from being the good
    one: or else what still serves in the version before would stop. Nor is one that asks for no
    replicas: it proves nothing, and to go back to it would stop all.
    mark: of a version that comes in; None: none does.
    """
    outlook, untouched = stages.outlook, mark.untouched if mark is not None else frozenset()
    placed = _names(deployment) & outlook.target.keys()
    kept = _names(deployment) & stages.brakes.frozen.keys() - placed
    away = _away(deployment, outlook)
    ready = not kept - away and all(
        one in outlook.standing
        and (outlook.standing[one].ready or one in untouched)
        and one not in outlook.pending
        for one in placed - away
    )
    rolls = any(outlook.pending.get(one) is Pending.CHANGE for one in placed)
    here = _names(deployment) & outlook.previous.keys() - away
    if going.goes_back and going.phase is Phase.ROLLING and not here & outlook.pending.keys():
        going = left(going)
    if ready and placed - away:
        done = completed(going)
        is_due = rolls and done.phase is Phase.SETTLED  # to those that are away
        return replace(done, phase=Phase.ROLLING) if is_due else done
    settled = going.phase is Phase.ROLLING and (
        going.versions.next is None or not deployment.replicas
    )
    return replace(going, phase=Phase.SETTLED) if settled and not rolls else going


def _away(deployment: Deployment, outlook: Outlook) -> frozenset[ReplicaName]:
    """The replicas that no version waits for: on a lost, a suspended, or a drained node.

    That may be so for weeks, and all versions of these would come to nothing. But where these are
    more than the others, or people suspend all of it, the others prove too little.
    """
    names = _names(deployment)
    stay = {
        one
        for one in names & outlook.held.keys()
        if outlook.held[one].because in {Because.LOST, Because.SUSPENDED}
    }
    away = stay | {one for one in names - outlook.target.keys() if _is_drained(one, outlook)}
    is_off = is_suspended(deployment, outlook.fleet)
    return frozenset() if is_off or len(away) * 2 > len(names) else frozenset(away)


def _is_drained(replica: ReplicaName, outlook: Outlook) -> bool:
    one = outlook.previous.get(replica)
    node = outlook.nodes.get(one.node) if one else None
    return node is not None and node.duty is Duty.DRAINING


def _fates(
    facts: Facts, stages: Stages, courses: Mapping[DeploymentName, Course]
) -> Mapping[DeploymentName, Fate]:
    before = {one.name: one for one in facts.observed.decision.deployments}
    holds = holds_of(stages.brakes)
    fates = {}
    for name, going in courses.items():
        last, kept = before.get(name), facts.kept.get(name, Versions())
        fates[name] = Fate(
            phase=going.phase,
            sources=sources(last, kept, going, facts.observed.source),
            message=going.message,
            holds=holds.get(name, ()),
        )
    return fates


def _versions(
    facts: Facts, stages: Stages, courses: Mapping[DeploymentName, Course]
) -> Mapping[DeploymentName, Versions]:
    """What is kept: of deployments that are held, or only leaving, what was kept before."""
    held = stages.now.held.keys()
    running = {one.deployment for one in facts.previous} | held
    kept = {name: one for name, one in facts.kept.items() if name in running}
    stay = {one.deployment for one in stages.now.plan.placements}
    gone = kept.keys() - courses.keys() - held - stay
    written = {one.name for one in facts.observed.deployments}
    kept = {name: one for name, one in kept.items() if name not in gone or name in written}
    return {**kept, **{name: going.versions for name, going in courses.items()}}


def _marks(
    facts: Facts, stages: Stages, courses: Mapping[DeploymentName, Course]
) -> Mapping[DeploymentName, Mark]:
    """How far each version has come that is not settled; of those that are held, as it was."""
    held = {
        name: replace(one, since=facts.now, proven_since=None)
        for name, one in facts.memory.marks.items()
        if name in stages.now.held
    }
    return held | {
        name: _mark(facts.deployments[name], going, facts, stages)
        for name, going in courses.items()
        if going.phase is not Phase.SETTLED or going.versions.next is not None
    }


def _memory(
    facts: Facts,
    stages: Stages,
    marks: Mapping[DeploymentName, Mark],
    decision: Decision,
) -> Memory:
    memory, before = facts.memory, facts.observed.decision
    doubts = {
        one.replica: memory.doubts.get(one.replica, facts.now)
        for one in decision.tenures
        if one.incarnation == UNKNOWN or is_strange(one, facts.evidence)
    }
    evacuated = {
        **memory.evacuated,
        **{name: facts.now for name in stages.failover.nodes if name not in memory.evacuated},
    }
    failing = {
        name: memory.failing.get(name, facts.now)
        for name, one in facts.standing.items()
        if one.failed and one.fresh
    }
    is_rescheduled = bool(set(decision.rescheduled) - set(before.rescheduled))
    return replace(
        memory,
        marks=marks,
        evacuated=evacuated,
        doubts=doubts,
        failing=failing,
        rescheduled_at=facts.now if is_rescheduled else memory.rescheduled_at,
        read_at=facts.now,
        paused=False,
    )


def _has_it(name: ReplicaName, outlook: Outlook) -> bool:
    """Whether a replica has the version that is wanted; who is to move has what it had."""
    pending = outlook.pending.get(name)
    return pending is None or (pending is Pending.MOVE and name in outlook.arrived)


def _mark(deployment: Deployment, going: Course, facts: Facts, stages: Stages) -> Mark:
    """Note how far the wanted version has come: published, and ready."""
    outlook = stages.outlook
    reached = frozenset(
        name
        for name in _names(deployment) | _extra(deployment)
        if name in outlook.previous and _has_it(name, outlook)
    )
    ready = frozenset(name for name in reached if outlook.standing[name].ready)
    first = canaries(deployment, outlook)
    return marked(
        facts.memory.marks.get(deployment.name),
        going.revision,
        facts.now,
        reached=reached,
        ready=ready,
        on_the_way=not is_suspended(deployment, facts.observed.fleet)
        and any(
            outlook.standing[name].fresh and not outlook.standing[name].stuck
            for name in reached - ready
        ),
        proven=bool(first) and ready.issuperset(first),
        begins=facts.kept.get(deployment.name, Versions()).next != going.versions.next,
    )


def _extra(deployment: Deployment) -> frozenset[ReplicaName]:
    """The extra replica of a rollout that starts first: nobody has the new version before it."""
    starts_first = deployment.update.strategy is UpdateStrategy.START_FIRST
    return frozenset({extra_of(deployment)} if starts_first else ())


def _names(deployment: Deployment) -> frozenset[ReplicaName]:
    return frozenset(replica_name(deployment.name, index) for index in range(deployment.replicas))
