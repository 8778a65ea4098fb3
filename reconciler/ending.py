"""What a pass comes to in the end: what is wanted, beside those that no node takes.

They stay where they are, so whatever was to have their room has to do without it. Pure but
rendering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.placing.plan import Bound, Placement, Plan
from reconciler.rendering.port import Renderer
from reconciler.rolling.holding import Held
from reconciler.rolling.homeless import homeless, stranded
from reconciler.rolling.outlook import Outlook
from reconciler.settling import Question, Settled, settle
from schemas.assignment import Reason, Refusal
from schemas.names import ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What it comes to. staying: who stays as it was since no node takes it, and why."""

    settled: Settled
    staying: Mapping[ReplicaName, Held]


def ending(question: Question, aim: Settled, outlook: Outlook, renderer: Renderer) -> Ending:
    """Plan what is wanted again around those that no node takes. aim: what it was without them.

    Raises:
        BrokenPlanError: a finished plan breaks a promise.
    """
    staying = homeless(outlook)
    if not staying:
        return Ending(settled=aim, staying=staying)
    settled, more = aim, staying
    while more:
        settled = settle(_around(question, staying, outlook), renderer)
        placed = {one.replica for one in settled.plan.placements}
        more = stranded(outlook, placed, settled.held)
        staying = {**staying, **more}
    plan = _refusing(settled.plan, aim.plan, staying, outlook.previous)
    return Ending(settled=replace(settled, plan=plan), staying=staying)


def _around(question: Question, staying: Mapping[ReplicaName, Held], outlook: Outlook) -> Question:
    stay = tuple(outlook.previous[name] for name in staying)
    free = tuple(one for one in question.previous if one.replica not in staying)
    return replace(question, previous=(*stay, *free), bound=Bound(frozen=frozenset(staying)))


def _refusing(
    plan: Plan,
    aim: Plan,
    staying: Mapping[ReplicaName, Held],
    previous: Mapping[ReplicaName, Placement],
) -> Plan:
    """Refuse those that stay as well, each first with where it stays."""
    asked = {one.replica: one for one in aim.refusals}
    refused = {one.replica: one for one in plan.refusals}
    for name, held in staying.items():
        stays = Reason(text=f"stays as it was: {held.text}", nodes=(previous[name].node,))
        why = asked.get(name, Refusal(replica=name, reasons=()))
        refused[name] = replace(why, reasons=(stays, *why.reasons))
    return replace(plan, refusals=tuple(refused[name] for name in sorted(refused)))
