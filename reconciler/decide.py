"""One whole decision: what was read goes in, what is to be written comes out.

The loop, the command line and the page all ask this one function, so that a preview can never
differ from what would happen.

facts -> what is finally wanted -> what of it may be done now -> what that means for every node
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.concluding import conclude
from reconciler.observing.inventory import notices, unadmitted
from reconciler.observing.node import Node
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.placing.plan import Placement, Plan
from reconciler.placing.rebalance import Move
from reconciler.publishing.changes import Changes
from reconciler.rendering.port import Renderer
from reconciler.rescheduling import moves_off
from reconciler.rolling.facts import Facts, gather
from reconciler.rolling.holding import NO_BRAKES, Brakes, Held
from reconciler.rolling.marks import Memory
from reconciler.staging import staged
from schemas.assignment import Assignment, Decision
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What it comes to, once nothing is held back any longer.

    staying: who stays as it was since no node takes it, and why. It is placed, and refused too.
    """

    plan: Plan
    rendered: Mapping[ReplicaName, Mapping[str, bytes]]
    assignments: Mapping[NodeName, Assignment]
    staying: Mapping[ReplicaName, Held] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Everything that one pass found out and decided. Nothing of it is published yet.

    memory: to be given to the next pass.
    previous: what was placed before this pass.
    rendered: the files of every placed replica, by path in its folder; what is held keeps its own.
    held: deployments that stay as they last were, and why: broken documents or templates.
    brakes: replicas that stay as they are for now, or do not start yet, and why.
    aim: what it will come to. plan: what of it is done now.
    moves: those of replicas that could have stayed, to pack the fleet better.
    problems: of people's documents: those that belong to no deployment, then those in `held`.
    notices: of what machines wrote, such as a heartbeat without a node document. Never published.
    assignments: what every node is told from now on.
    """

    snapshot: Snapshot
    observed: Observed
    facts: Facts
    memory: Memory
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
    aim: Aim
    brakes: Brakes = field(default=NO_BRAKES)
    moves: tuple[Move, ...] = ()


def decide(
    snapshot: Snapshot,
    now: datetime,
    memory: Memory,
    renderer: Renderer,
    wall: datetime | None = None,
) -> Pass:
    """Decide everything that follows from a snapshot.

    Args:
        snapshot: the one read of the pass.
        now: aware, by a clock that counts evenly, the one that `memory` was made by.
        memory: of the last pass.
        renderer: makes files of templates.
        wall: what time people have, for maintenance windows; None: the same as `now`.

    Raises:
        BadDocumentError: our own last decision cannot be understood, so nothing may be decided.
        BrokenPlanError: the finished plan breaks a promise; nothing of it may be published.
    """
    facts = gather(snapshot, now, now if wall is None else wall, memory)
    return _passed(facts, renderer, ())


def decide_with(result: Pass, moves: tuple[Move, ...], renderer: Renderer) -> Pass:
    """Decide again on what a pass saw, with some of what runs moved. `moves` break no rule.

    Raises:
        BrokenPlanError: as for `decide`.
    """
    return replace(_passed(result.facts, renderer, moves), moves=moves)


def _passed(facts: Facts, renderer: Renderer, moves: tuple[Move, ...]) -> Pass:
    off = moves_off(facts)
    stages = staged(facts, renderer, (*off, *moves))
    concluded = conclude(facts, stages, off)
    observed, settled = facts.observed, stages.now
    return Pass(
        snapshot=facts.snapshot,
        observed=observed,
        facts=facts,
        memory=concluded.memory,
        nodes=facts.nodes,
        previous=facts.previous,
        plan=settled.plan,
        rendered=settled.rendered,
        held=settled.held,
        problems=_all_problems(observed, settled.held),
        notices=notices(observed, unadmitted(observed, facts.now, facts.memory.sightings)),
        assignments=concluded.published.assignments,
        decision=concluded.decision,
        changes=concluded.published.changes,
        aim=Aim(
            plan=stages.end.settled.plan,
            rendered=stages.end.settled.rendered,
            assignments=concluded.aimed,
            staying=stages.end.staying,
        ),
        brakes=stages.brakes,
    )


def _all_problems(
    observed: Observed, held: Mapping[DeploymentName, tuple[Problem, ...]]
) -> tuple[Problem, ...]:
    everything = [*observed.problems, *(one for name in sorted(held) for one in held[name])]
    return tuple(dict.fromkeys(everything))
