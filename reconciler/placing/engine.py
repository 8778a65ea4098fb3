"""The plan: every desired replica on a node, or the reasons why not."""

from __future__ import annotations

from reconciler.observing.node import Node
from reconciler.placing.around import has_rules
from reconciler.placing.draft import Draft
from reconciler.placing.gangs import blocking
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
    blocked: dict[str, tuple[DeploymentName, ...]] = {}
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
            gang = need.rules.gang
            if gang is not None and gang not in blocked:
                blocked[gang] = blocking(gang, draft)
            said[key] = _why_none(name, draft, blocked.get(gang or "", ()))
        why, advice = said[key]
        own = (draft.gave_way[replica],) if replica in draft.gave_way else ()
        refusals.append(Refusal(replica=replica, reasons=(*own, *why), hint=advice))
    return tuple(refusals)


def _why_none(
    name: DeploymentName, draft: Draft, blocked: tuple[DeploymentName, ...]
) -> tuple[tuple[Reason, ...], str]:
    """Reasons and hint, the same for every replica of a deployment.

    blocked: the members of its gang that find no place even without the others.
    """
    need = draft.needs[name]
    gang = need.rules.gang
    if gang is None:
        return reasons(need, draft), hint(need, draft)
    whole = f"gang {gang} is placed whole or not at all"
    if name in blocked:
        return (Reason(text=whole), *reasons(need, draft)), hint(need, draft)
    if not blocked:
        return (Reason(text=f"{whole}; each of it would fit alone"), *reasons(need, draft)), ""
    others = ", ".join(blocked)
    return (Reason(text=f"{whole}, and there is no place for {others}"),), f"what helps {others}"


def _wanted(draft: Draft) -> list[ReplicaName]:
    """All replicas of all needs, by name."""
    return sorted(
        name
        for need in draft.needs.values()
        for index in range(need.replicas)
        if (name := ReplicaName(f"{need.deployment}-{index}")) not in draft.bound.absent
    )
