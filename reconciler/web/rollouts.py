"""How a deployment's newest version comes in, what waits for what, and its conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.deployments import (
    GO_ON,
    Deployment,
    deployment_conditions,
    hold_since,
    hold_text,
)
from reconciler.conditions.replicas import absent_conditions
from reconciler.observing.causes import Cause
from reconciler.rolling.holding import Because
from reconciler.web.facts import Index
from reconciler.web.rollout_views import AbsentView, HolderView, HoldView, RolloutView
from reconciler.web.views import ReplicaView
from schemas.assignment import DeploymentDecision, Hold, Phase, Refusal
from schemas.names import DeploymentName, ReplicaName, replica_name, split_replica

# These hold replicas whether or not there is anything to change about them.
_ANYWAY: Final = (Because.SUSPENDED, Because.MASS_LOSS, Because.EVACUATION, Because.LOST)
_FAILED: Final = {
    Phase.STALLED: "its newest version stalled",
    Phase.ROLLED_BACK: "its newest version was rolled back",
}
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """What there is to say of a deployment beside how its containers fare."""

    rollout: RolloutView
    holds: tuple[HoldView, ...]
    absent: tuple[AbsentView, ...]
    holders: tuple[HolderView, ...]
    conditions: tuple[Condition, ...]


def going(  # noqa: PLR0913 - all that is known of one deployment
    index: Index,
    name: DeploymentName,
    wanted: int,
    placed: Sequence[ReplicaView],
    refusals: Sequence[Refusal],
    *,
    broken: str,
    cause: Cause,
) -> Going:
    """Say how a deployment goes.

    broken: why it stays as it last was; empty: it does not. cause: the word for that.
    """
    decided = index.decided.get(name)
    rollout = _rollout(index, name, decided, wanted, placed)
    holds = decided.holds if decided else ()
    lacking = _lacking(wanted, placed, refusals)
    told = Deployment(
        name=name,
        wanted=wanted,
        replicas=[one.conditions for one in placed],
        lacking=lacking,
        progress=rollout.text,
        phase=rollout.phase,
        source=rollout.revision,
        message=decided.message if decided else "",
        holds=holds,
        broken=broken,
        cause=cause,
    )
    since = index.facts.since
    stopped = Hold(reason=cause.value, text=broken, replicas=()) if broken else None
    return Going(
        rollout=rollout,
        holds=tuple(_hold(one, index) for one in holds),
        absent=_absent(index, name, wanted, placed, refusals, stopped),
        holders=_holders(index, name),
        conditions=deployment_conditions(told, since),
    )


def waits(one: Going) -> str:
    """Why what the commit asks for is not everywhere; empty: nothing is known that holds it."""
    if one.rollout.phase in _FAILED:
        return _FAILED[one.rollout.phase]
    found = (hold for hold in one.holds if hold.reason not in _ANYWAY)
    return next((hold_text(hold.replicas, hold.text) for hold in found), "")


def _rollout(
    index: Index,
    name: DeploymentName,
    decided: DeploymentDecision | None,
    wanted: int,
    placed: Sequence[ReplicaView],
) -> RolloutView:
    if decided is None:
        return RolloutView()
    source = decided.source or ""
    ready = min(sum(_is_ready_in(one, source) for one in placed), wanted)
    return RolloutView(
        phase=decided.phase,
        revision=source,
        ready=ready,
        text=_progress(decided, ready, wanted),
        since=index.facts.since.phases.get((name, decided.phase)),
    )


def _is_ready_in(one: ReplicaView, source: str) -> bool:
    return any(
        each.type is ConditionType.READY
        and each.status is Status.TRUE
        and each.observed_revision == source
        for each in one.conditions
    )


def _progress(decided: DeploymentDecision, ready: int, wanted: int) -> str:
    """Say how far a version has come, and what it waits for."""
    where = f" in {decided.source[:_DIGITS]}" if decided.source else ""
    why = f": {decided.message}" if decided.message else ""
    match decided.phase:
        case Phase.SETTLED:
            return ""
        case Phase.STALLED:
            return f"{ready} of {wanted} ready{where}{why}; {GO_ON}"
        case Phase.ROLLED_BACK:
            version = f"{decided.source[:_DIGITS]} was" if decided.source else "it was"
            good = f", {decided.good_source[:_DIGITS]}" if decided.good_source else ""
            return f"{version} rolled back to the last good version{good}{why}; {GO_ON}"
        case Phase.ROLLING:
            first = decided.holds[0] if decided.holds else None
            rest = f"; {hold_text(first.replicas, first.text)}" if first else ""
            return f"{ready} of {wanted} ready{where}{rest}"


def _hold(hold: Hold, index: Index) -> HoldView:
    return HoldView(
        reason=hold.reason,
        text=hold.text,
        replicas=hold.replicas,
        since=hold_since(hold, index.facts.since),
    )


def _lacking(wanted: int, placed: Sequence[ReplicaView], refusals: Sequence[Refusal]) -> str:
    here = {one.name for one in placed}
    without = [one for one in refusals if one.replica not in here]
    return (
        f"no node fits {len(without)} of {wanted}: {_first_reason(without[0])}" if without else ""
    )


def _first_reason(refusal: Refusal) -> str:
    return "; ".join(one.text for one in refusal.reasons) or "no node fits it"


def _absent(  # noqa: PLR0913, PLR0917 - all that is known of one deployment
    index: Index,
    name: DeploymentName,
    wanted: int,
    placed: Sequence[ReplicaView],
    refusals: Sequence[Refusal],
    stopped: Hold | None,
) -> tuple[AbsentView, ...]:
    here = {one.name for one in placed}
    refused = {one.replica: one for one in refusals}
    missing = (replica_name(name, number) for number in range(wanted))
    return tuple(
        _without_node(index, one, refused.get(one), stopped) for one in missing if one not in here
    )


def _without_node(
    index: Index, name: ReplicaName, refusal: Refusal | None, stopped: Hold | None
) -> AbsentView:
    hold, since, owner = index.holds.get(name), index.facts.since, split_replica(name)[0]
    at = since.waits.get((name, hold.reason)) if hold else since.unplaced.get(owner)
    if stopped is not None:
        hold, at = stopped, since.held.get(owner)
    why = _first_reason(refusal) if refusal else ""
    return AbsentView(
        name=name,
        goes_to=index.facts.aimed.get(name, ""),
        kept_by=index.facts.rooms.get(name, ()),
        conditions=absent_conditions(hold, why, at),
    )


def _holders(index: Index, name: DeploymentName) -> tuple[HolderView, ...]:
    aimed = index.facts.aimed
    return tuple(
        HolderView(
            replica=one.replica,
            node=one.node,
            epoch=one.epoch,
            moves_to="" if aimed.get(one.replica, one.node) == one.node else aimed[one.replica],
        )
        for one in index.facts.observed.decision.tenures
        # Without a node: nobody knows since the state was restored, and a hold says so.
        if one.node and split_replica(one.replica)[0] == name
    )
