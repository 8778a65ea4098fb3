"""The plan: every desired replica on a node, or the reasons why not."""

from __future__ import annotations

from reconciler.observing.node import Node
from reconciler.placing.around import has_rules
from reconciler.placing.draft import Draft
from reconciler.placing.improving import improve
from reconciler.placing.newcomers import place_newcomers
from reconciler.placing.plan import FREE, Bound, Desired, Placement, Plan
from reconciler.placing.refusing import hint, reasons
from reconciler.placing.reordering import reorder
from reconciler.placing.residents import settle_residents
from schemas.assignment import Reason, Refusal
from schemas.names import DeploymentName, ReplicaName, split_replica


def plan(
    desired: tuple[Desired, ...],
    inventory: tuple[Node, ...],
    previous: tuple[Placement, ...],
    bound: Bound = FREE,
) -> Plan:
    """Place every desired replica, and leave where it is whatever may stay there.

    What is frozen stays in any case, and what is absent gets no place and no refusal.

    The same input gives the same plan, in any order of input, and a plan made again from its own
    result changes nothing.
    """
    draft = drafted(desired, inventory, previous, bound)
    return Plan(
        placements=tuple(draft.placed[name] for name in sorted(draft.placed)),
        refusals=refusals_of(draft),
    )


def drafted(
    desired: tuple[Desired, ...],
    inventory: tuple[Node, ...],
    previous: tuple[Placement, ...],
    bound: Bound = FREE,
) -> Draft:
    """Make the plan, and leave it open for those who want to ask on."""
    draft = Draft(desired, inventory, previous, bound)
    settle_residents(draft)
    draft.learn()
    left = place_newcomers(draft)
    if left and (improve(draft, left) or reorder(draft, left)):
        place_newcomers(draft)
    return draft


def refusals_of(draft: Draft) -> tuple[Refusal, ...]:
    """Say for each replica without a node why, and for each that waits where it is."""
    said: dict[object, tuple[tuple[Reason, ...], str]] = {}
    refusals = []
    for replica in _wanted(draft):
        if replica in draft.refused:
            refusals.append(Refusal(replica=replica, reasons=draft.refused[replica]))
        if replica in draft.placed:
            continue
        name = split_replica(replica)[0]
        need = draft.needs[name]
        plain = not (need.ports or need.rules.gang or has_rules(need, draft))
        key = id(draft.ask(need)) if plain else name
        if key not in said:
            said[key] = _why_none(name, draft)
        why, advice = said[key]
        own = (draft.gave_way[replica],) if replica in draft.gave_way else ()
        refusals.append(Refusal(replica=replica, reasons=(*own, *why), hint=advice))
    return tuple(refusals)


def _why_none(name: DeploymentName, draft: Draft) -> tuple[tuple[Reason, ...], str]:
    """Reasons and hint, the same for every replica of a deployment."""
    need = draft.needs[name]
    found = reasons(need, draft)
    if need.rules.gang is None:
        return found, hint(need, draft)
    whole = Reason(text=f"gang {need.rules.gang} is placed whole or not at all")
    return (whole, *found), hint(need, draft)


def _wanted(draft: Draft) -> list[ReplicaName]:
    """All replicas of all needs, by name."""
    return sorted(
        name
        for need in draft.needs.values()
        for index in range(need.replicas)
        if (name := ReplicaName(f"{need.deployment}-{index}")) not in draft.bound.absent
    )
