"""The second plan of a pass: what is done now, around whatever is held. Pure but rendering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.comparing import held_of
from reconciler.placing.plan import Placement
from reconciler.rendering.port import Renderer
from reconciler.review import crowded
from reconciler.rolling.facts import Facts
from reconciler.rolling.failover import Failover
from reconciler.rolling.gates import gates, starts
from reconciler.rolling.grants import waiting
from reconciler.rolling.holding import Because, Brakes, Held
from reconciler.rolling.homeless import stranded
from reconciler.rolling.outlook import Outlook, Pending
from reconciler.settling import Question, Settled, settle
from schemas.names import NodeName, ReplicaName, split_replica


def braked(
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
