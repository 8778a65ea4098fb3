"""What is finally wanted, and what of it is done now: the two plans of a pass. Pure but rendering.

The first plan knows no brakes. The gates compare it with what is published and say which replicas
may not change yet. The second plan is made around those, so that it can never count on room that
somebody still has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.comparing import held_of, outlook_of
from reconciler.ending import Ending, ending
from reconciler.observing.trailers import allows_removals
from reconciler.placing.plan import Placement
from reconciler.placing.rebalance import Move
from reconciler.rendering.port import Renderer
from reconciler.review import crowded
from reconciler.rolling.facts import Facts, moved_off
from reconciler.rolling.failover import Failover
from reconciler.rolling.gates import gates, starts, surging
from reconciler.rolling.grants import waiting
from reconciler.rolling.guards import removals_problems, too_many
from reconciler.rolling.holding import Because, Brakes, Held
from reconciler.rolling.homeless import stranded
from reconciler.rolling.outlook import Outlook, Pending
from reconciler.settling import Held as Broken
from reconciler.settling import Question, Settled, settle
from schemas.names import DeploymentName, NodeName, ReplicaName, split_replica


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
    brakes, now = _braked(facts, question, aim, outlook, renderer)
    # In the end no extra replica is left, nor does it take room of anybody.
    end = ending(plain, lasting, seen, renderer)
    return Stages(
        aim=aim, now=now, end=end, outlook=outlook, brakes=brakes, failover=moved, moves=moves
    )


def _braked(
    facts: Facts, question: Question, aim: Settled, outlook: Outlook, renderer: Renderer
) -> tuple[Brakes, Settled]:
    """Plan around what is held; and again, if that puts somebody where it must not start yet.

    What is held takes room that others count on in the end: those may land anywhere, and where
    nothing else takes them, they stay as well.
    """
    brakes, now = gates(outlook), aim
    bound = brakes.bound
    touched = outlook.pending.keys() | _promised_otherwise(outlook)
    if not (bound.frozen & touched or bound.absent & outlook.target.keys()):
        return brakes, now  # nothing that is held would have been touched
    while True:
        bound = brakes.bound
        stay = tuple(one for one in facts.previous if one.replica in bound.frozen)
        free = tuple(one for one in question.previous if one.replica not in bound.frozen)
        now = settle(replace(question, previous=(*stay, *free), bound=bound), renderer)
        kept = {**_stranded(outlook, brakes, now), **_swept(outlook, brakes, now)}
        detours = _detours(facts, outlook, brakes, now)
        late = {name: held for name, held in detours.items() if name not in kept}
        before = brakes
        brakes = replace(brakes, frozen={**brakes.frozen, **kept}, absent={**brakes.absent, **late})
        brakes = _without_those_in_circles(outlook, brakes, kept)
        if not late and not kept:
            brakes = _without_waits_for_those_without_room(outlook, brakes, now)
        if brakes == before:
            return brakes, now


def _promised_otherwise(outlook: Outlook) -> frozenset[ReplicaName]:
    """Who is finally to have other resources, GPUs or ports, of which its files need not tell."""

    def promised(one: Placement) -> tuple[object, ...]:
        return one.resources, one.sharing, one.gpus, one.ports

    both = outlook.previous.keys() & outlook.target.keys()
    return frozenset(
        name for name in both if promised(outlook.previous[name]) != promised(outlook.target[name])
    )


def _stranded(outlook: Outlook, brakes: Brakes, now: Settled) -> Mapping[ReplicaName, Held]:
    """Who is to stay for the room that others are held on.

    Not for the room that one takes who lost its node: that one serves nowhere.
    """
    placed = {one.replica for one in now.plan.placements}
    taken = {one.node for one in now.plan.placements if one.replica in outlook.recovering}
    return {
        name: held
        for name, held in stranded(outlook, placed | brakes.absent.keys(), now.held).items()
        if name in outlook.pending or outlook.target[name].node not in taken
    }


def _swept(outlook: Outlook, brakes: Brakes, now: Settled) -> Mapping[ReplicaName, Held]:
    """Who is to stay where it is, and would go for those that are held; no gate looked at these.

    Of a deployment that is held as it cannot be rendered: who lost its node, and finds none now.
    """
    goes = {one.replica: one.node for one in now.plan.placements}
    found = {}
    for name, one in sorted(outlook.previous.items()):
        if brakes.of(name) is not None:
            continue
        target = outlook.target.get(name)
        if one.deployment in now.held:
            if name not in goes:
                text = f"{one.node} is lost, and no other node takes it"
                found[name] = Held(Because.LOST, text)
        elif (
            target
            and name not in outlook.pending
            and target.node == one.node != goes.get(name, one.node)
        ):
            text = f"stays on {one.node} while others wait"
            found[name] = Held(Because.HOMELESS, text)
    return found


def _without_those_in_circles(
    outlook: Outlook, brakes: Brakes, kept: Mapping[ReplicaName, Held]
) -> Brakes:
    """Let go who waits for one that is held itself, maybe for the very room it is to leave."""
    if not kept:
        return brakes
    waits = gates(replace(outlook, held={**outlook.held, **kept})).frozen
    frozen = {
        name: held
        for name, held in brakes.frozen.items()
        if held.because is not Because.DEPENDENCY or name in waits
    }
    freed = {split_replica(name)[0] for name in brakes.frozen.keys() - frozen.keys()}
    turns = {name: held for name, held in waits.items() if split_replica(name)[0] in freed}
    absent = {name: held for name, held in brakes.absent.items() if name not in turns}
    return Brakes(frozen={**frozen, **turns}, absent=absent)


def _without_waits_for_those_without_room(outlook: Outlook, brakes: Brakes, now: Settled) -> Brakes:
    """Let go who waits for new ones to be ready that have no room before it lets go of its own."""
    placed = {one.replica for one in now.plan.placements}
    new = outlook.target.keys() - outlook.previous.keys() - brakes.absent.keys() - placed
    if not new:
        return brakes
    target = {name: one for name, one in outlook.target.items() if name not in new}
    kept = {n: h for n, h in brakes.frozen.items() if h.because is Because.HOMELESS}
    waits = gates(replace(outlook, target=target, held={**outlook.held, **kept})).frozen
    frozen = {
        name: held
        for name, held in brakes.frozen.items()
        if held.because is not Because.GATE or name in waits
    }
    return replace(brakes, frozen=frozen)


def _detours(
    facts: Facts, outlook: Outlook, brakes: Brakes, now: Settled
) -> Mapping[ReplicaName, Held]:
    """Name who must not start where the second plan alone would put it, and why.

    Who is held stays as it is published, whatever is told it to wait: only its grant can be void.
    """
    free = [
        one
        for one in now.plan.placements
        if one.replica not in brakes.frozen and one.deployment not in now.held
    ]
    fenced = waiting(free, facts.holders, facts.evidence, facts.deployments)
    added = [
        one.replica
        for one in free
        if one.replica not in outlook.previous and one.replica not in outlook.target
    ]
    held = held_of(facts, Failover(), dict.fromkeys(added, Pending.ADD), now)
    suspended = {name: held[name] for name in added if name in held}
    reserved = _reserved(facts, outlook, brakes, now)
    late = {
        one.replica: Held(Because.GATE, f"room on {one.node} is kept for {reserved[one.node]}")
        for one in free
        if one.node in reserved
        and one.replica not in outlook.previous
        and (one.replica not in outlook.target or outlook.target[one.replica].node != one.node)
    }
    return {**late, **starts(added, outlook), **suspended, **fenced}


def _reserved(
    facts: Facts, outlook: Outlook, brakes: Brakes, now: Settled
) -> Mapping[NodeName, ReplicaName]:
    """Nodes on which a replica that was stopped for its move would have no room any more."""
    stopped = frozenset(
        name
        for name, held in brakes.absent.items()
        if held.because is Because.FENCE and name in outlook.target and name in facts.holders
    )
    # Another port than it was to have is as good; its room is not.
    come = (replace(outlook.target[name], ports={}) for name in sorted(stopped))
    plan = replace(now.plan, placements=(*now.plan.placements, *come))
    cramped = crowded(plan, facts.nodes, facts.previous, stopped)
    return {outlook.target[name].node: name for name in sorted(cramped)}


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
