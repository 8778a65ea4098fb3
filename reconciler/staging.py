"""What is finally wanted, and what of it is done now: the two plans of a pass. Pure but rendering.

The first plan knows no brakes. The gates compare it with what is published and say which replicas
may not change yet. The second plan is made around those, so that it can never count on room that
somebody still has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.braking import braked
from reconciler.comparing import outlook_of
from reconciler.ending import Ending, ending
from reconciler.observing.trailers import allows_removals
from reconciler.placing.plan import Placement
from reconciler.placing.rebalance import Move
from reconciler.rendering.port import Renderer
from reconciler.review import crowded
from reconciler.rolling.facts import Facts, moved_off
from reconciler.rolling.failover import Failover
from reconciler.rolling.gates import surging
from reconciler.rolling.guards import removals_problems, too_many
from reconciler.rolling.holding import Because, Brakes, Held
from reconciler.rolling.outlook import Outlook
from reconciler.settling import Held as Broken
from reconciler.settling import Question, Settled, settle
from schemas.names import DeploymentName, ReplicaName, split_replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Both plans of a pass.

    aim: what is finally wanted. now: what of it is done. end: what it comes to. outlook: what the
    gates saw. failover: as it came out. moves: those that were counted on.
    """

    aim: Settled
    now: Settled
    end: Ending
    outlook: Outlook
    brakes: Brakes
    failover: Failover
    moves: tuple[Move, ...]


def staged(facts: Facts, renderer: Renderer, moves: tuple[Move, ...]) -> Stages:
    """Plan what is wanted, hold back what may not be done yet, and plan again around that.

    moves: are made where there is room beside all who stay for a while, such as extra replicas.

    Raises:
        BrokenPlanError: a finished plan breaks a promise.
    """
    held = facts.observed.held
    while True:
        stages = _staged(facts, renderer, moves, held)
        late, emptied = _crowded(facts, stages) | _broken(stages), _emptied(facts, stages)
        if not late and not emptied:
            return stages
        moves = tuple(one for one in moves if one.replica not in late)
        held = dict(sorted({**held, **emptied}.items()))


def _emptied(facts: Facts, stages: Stages) -> Broken:
    """Hold what would stop, if it is much: what main removes, and what no node takes any longer.

    A word wrong in the labels of all nodes, or their records gone, is as good as a mass removal.
    What is new waits with it: once that ran, what stops would be few among many.
    """
    if facts.observed.frozen or allows_removals(facts.snapshot.message):
        return {}
    placed = {one.deployment for one in stages.aim.plan.placements}
    placed |= {one.deployment for one in stages.now.plan.placements}
    running = {one.deployment for one in facts.previous}
    gone = running - placed - stages.now.held.keys()
    why = too_many(facts.observed.fleet.guards, len(gone), len(running))
    if why is None:
        return {}
    new = facts.deployments.keys() - running - stages.now.held.keys()
    what = f"{len(gone)} of {len(running)} running deployments would stop at once, {why}"
    return removals_problems(gone | new, what, facts.observed)


def _crowded(facts: Facts, stages: Stages) -> frozenset[ReplicaName]:
    moved = frozenset(one.replica for one in stages.moves)
    if not moved:
        return moved
    nodes, previous = facts.nodes, facts.previous
    plans = (stages.aim.plan, stages.now.plan)
    return frozenset().union(*(crowded(plan, nodes, previous, moved) for plan in plans))


def _broken(stages: Stages) -> frozenset[ReplicaName]:
    """Who was to move and stays, as it cannot be rendered: who is held keeps what it was told."""
    held = stages.aim.held.keys() | stages.now.held.keys()
    moved = (one.replica for one in stages.moves)
    return frozenset(replica for replica in moved if split_replica(replica)[0] in held)


def _staged(facts: Facts, renderer: Renderer, moves: tuple[Move, ...], held: Broken) -> Stages:
    plain, moved, lasting = _aim(facts, renderer, moves, held)
    seen = outlook_of(facts, lasting, moved)
    question, aim = _with_extra(plain, lasting, surging(seen), renderer)
    # What cannot be rendered is held in every plan, also where it stays and nobody would try it.
    question, plain = replace(question, held=aim.held), replace(plain, held=aim.held)
    if aim.held != lasting.held:
        lasting = settle(plain, renderer)
        seen = outlook_of(facts, lasting, moved)
    outlook = outlook_of(facts, aim, moved) if question.surging else seen
    brakes, now = braked(facts, question, aim, outlook, renderer)
    # In the end no extra replica is left, nor does it take room of anybody.
    end = ending(plain, lasting, seen, renderer)
    return Stages(
        aim=aim, now=now, end=end, outlook=outlook, brakes=brakes, failover=moved, moves=moves
    )


def _aim(
    facts: Facts, renderer: Renderer, moves: tuple[Move, ...], held: Broken
) -> tuple[Question, Failover, Settled]:
    """Plan without brakes. What leaves a lost node and finds no other stays where it is."""

    def planned(moved: Failover) -> tuple[Question, Settled, frozenset[ReplicaName]]:
        question = Question(
            observed=facts.observed,
            nodes=facts.nodes,
            previous=_counting(facts, moved, moves),
            held=held,
        )
        aim = settle(question, renderer)
        return question, aim, moved.leaving - {one.replica for one in aim.plan.placements}

    failover = facts.failover
    question, aim, homeless = planned(failover)
    if homeless:
        # Nobody without a place may keep others from leaving: ask who finds one, of all at once.
        everybody = moved_off(facts, frozenset(), most=len(facts.nodes))
        _, _, homeless = planned(everybody)
        failover = moved_off(facts, homeless)
        question, aim, homeless = planned(failover)
    if homeless:
        failover = _without(failover, homeless, facts.previous)
        question, aim, _ = planned(failover)
    return question, failover, aim


def _with_extra(
    question: Question, aim: Settled, wanted: frozenset[DeploymentName], renderer: Renderer
) -> tuple[Question, Settled]:
    """Plan again with extra replicas, but for those that would take the place of a wanted one.

    Such a one would come and go with every pass: where it is, nothing is left to be changed.
    """
    extra = wanted
    while extra:
        tried = replace(question, surging=extra)
        found = settle(tried, renderer)
        placed = {one.replica for one in found.plan.placements}
        crowded = {one.deployment for one in aim.plan.placements if one.replica not in placed}
        if not crowded & extra:
            return tried, found
        extra -= crowded
    return question, aim


def _counting(facts: Facts, failover: Failover, moves: tuple[Move, ...]) -> tuple[Placement, ...]:
    """Who counts as being where: not those who leave lost nodes, and those who are moved there."""
    moved = {move.replica: move.to for move in moves}
    stay = [one for one in facts.previous if one.replica not in failover.leaving]
    absent = moved.keys() - {one.replica for one in facts.previous}
    return tuple(
        [moved.get(one.replica, one) for one in stay] + [moved[name] for name in sorted(absent)]
    )


def _without(
    failover: Failover, homeless: frozenset[ReplicaName], previous: tuple[Placement, ...]
) -> Failover:
    nodes = {one.replica: one.node for one in previous}
    held = {
        name: Held(Because.LOST, f"{nodes[name]} is lost, and no other node takes it")
        for name in homeless
    }
    leaving = failover.leaving - homeless
    return Failover(
        leaving=leaving,
        held={**failover.held, **held},
        nodes=frozenset(nodes[name] for name in leaving),
    )
