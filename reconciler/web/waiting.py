"""What a wait is for, in words of this look: how many are silent now, and how long is enough. Pure.

A hold says what was so when it was decided, and is decided anew only when something else changes.
Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from reconciler.observing.node import Node
from reconciler.rolling.failover import mass_loss
from reconciler.rolling.holding import Because
from reconciler.web.words import exactly
from schemas.assignment import AssignedReplica, DeploymentDecision, Hold, Tenure
from schemas.deployment import Deployment, VolumeMoves
from schemas.fencing import least_lose_after, lose_after
from schemas.fleet import Fleet
from schemas.names import NodeName, ReplicaName

# How `failover.mass_loss` ends, whatever held replicas are held for.
_OURS: Final = ", so the fault is probably ours"
# Whoever is held by one of these leaves no lost node, however long that is silent.
_STAYING: Final = frozenset(
    {Because.SUSPENDED, Because.MASS_LOSS, Because.EVACUATION, Because.LOST, Because.HOMELESS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """What words of waiting are made of.

    mute: nodes that are late or lost, with a record or without.
    """

    fleet: Fleet
    nodes: Mapping[NodeName, Node]
    mute: frozenset[NodeName]
    tenures: Mapping[ReplicaName, Tenure]


def in_words_of_now(
    decided: DeploymentDecision, desired: Deployment | None, silences: Silences
) -> DeploymentDecision:
    """Tell the holds of a decision as they are now. desired: None: nobody wants it any longer."""
    if not decided.holds or desired is None:
        return decided
    return replace(
        decided, holds=tuple(_told_now(hold, desired, silences) for hold in decided.holds)
    )


def _told_now(hold: Hold, desired: Deployment, silences: Silences) -> Hold:
    span = lose_after(silences.fleet.timings, desired.disconnect)
    if hold.text.endswith(_OURS):
        return replace(hold, text=mass_loss(silences.nodes.values(), span) or hold.text)
    if hold.reason == Because.FENCE and (end := _end_of_holder(hold, span, silences)):
        return replace(hold, text=f"{hold.text}, or until it was silent for {exactly(end)}")
    return hold


def _end_of_holder(hold: Hold, span: timedelta, silences: Silences) -> timedelta | None:
    """After which silence the holder that a hold waits for is out; None: it speaks, or never is."""
    tenures = [silences.tenures.get(replica) for replica in hold.replicas]
    ends = [_end(one, hold, span, silences) for one in tenures if one is not None]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(hold.replicas) else None


def _end(tenure: Tenure, hold: Hold, span: timedelta, silences: Silences) -> timedelta | None:
    named = (f"waits for {tenure.node} to ", f"waits for Docker on {tenure.node} ")
    if tenure.node not in silences.mute or not hold.text.startswith(named):
        return None
    # It does not stop by itself, so no silence is long enough.
    if not tenure.stop_after_seconds:
        return None
    return max(span, least_lose_after(timedelta(seconds=tenure.stop_after_seconds)))


def goes_elsewhere(
    replica: AssignedReplica,
    node: Node,
    desired: Deployment | None,
    hold: Hold | None,
    silences: Silences,
) -> str:
    """Say when a replica of a silent node goes elsewhere; empty: it does not, or it does now.

    Only where its deployment sets a time of its own: all others go once their node is lost.
    """
    if desired is None or desired.disconnect.lose_after is None or node.name not in silences.mute:
        return ""
    span = desired.disconnect.lose_after
    tied = replica.pinned and desired.on_move is VolumeMoves.STAY
    replaces = not tied if desired.disconnect.replace is None else desired.disconnect.replace
    is_kept = hold is not None and hold.reason in _STAYING
    is_ours = mass_loss(silences.nodes.values(), timedelta(0)) is not None
    if node.silence >= span or not replaces or is_kept or is_ours:
        return ""
    enough = f"{exactly(span)} (disconnect.loseAfter)"
    return f"it goes elsewhere once {node.name} was silent for {enough}"
