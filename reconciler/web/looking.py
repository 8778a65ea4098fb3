"""From a decision to the facts that are shown.

The page decides as the reconciler does and publishes nothing, so that what it calls pending is
what would happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.coming import rooms
from reconciler.conditions.since import since_when
from reconciler.decide import Pass
from reconciler.leading import is_gone
from reconciler.observing.causes import is_of_removals
from reconciler.observing.inventory import (
    Sighting,
    Sightings,
    hold_down,
    judge,
    notices,
    unadmitted,
)
from reconciler.observing.node import Freshness
from reconciler.observing.read import NO_HISTORY, History
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.preview import Fate, ReplicaChange, preview
from reconciler.rolling.holding import Because
from reconciler.web.facts import Facts, Return
from reconciler.web.words import count
from schemas.assignment import Refusal
from schemas.heartbeat import Heartbeat
from schemas.names import DeploymentName, NodeName, split_replica
from schemas.problem import Place, Problem

_WORDS: Final = {
    Fate.ADD: "start",
    Fate.CHANGE: "change",
    Fate.MOVE: "move",
    Fate.REMOVE: "remove",
}


def facts_of(result: Pass, history: History = NO_HISTORY) -> Facts:
    """Say what a pass found out and has not published. history: what was before."""
    of_deployments = {problem for held in result.held.values() for problem in held}
    return Facts(
        observed=result.observed,
        nodes=result.nodes,
        seen={name: sighting.seen_at for name, sighting in result.memory.sightings.items()},
        decided=result.snapshot.decided,
        folders=result.snapshot.folders,
        held=result.held,
        problems=tuple(p for p in result.problems if p not in of_deployments),
        notices=result.notices,
        refused=_by_deployment(result.plan.refusals),
        pending=pending(preview(result).replicas),
        aimed={one.replica: one.node for one in result.aim.plan.placements},
        rooms=rooms(result),
        since=since_when(history.decisions),
        duties=history.duties,
        closed=result.facts.closed if _waits_for_a_window(result) else "",
        removals=_removals(result),
        returns=_returns(result.memory.sightings, result.observed),
        staying=_staying(result),
        unadmitted=unadmitted(result.observed, result.facts.now, result.memory.sightings),
    )


def _staying(result: Pass) -> Mapping[DeploymentName, str]:
    """Why deployments that nobody wants stay where they run: nothing is decided of them."""
    wanted = {one.name for one in result.observed.deployments} | result.held.keys()
    held = {split_replica(replica)[0]: why.text for replica, why in result.brakes.frozen.items()}
    return {name: text for name, text in held.items() if name not in wanted}


def first_renewed(observed: Observed, now: datetime) -> datetime | None:
    """Take the word of who leads for when it last renewed its lease; None: nobody leads.

    There is nothing else to go by yet.
    """
    if observed.leads is None or observed.renewed is None:
        return None
    return min(observed.renewed, now)


def led(facts: Facts, renewed: datetime | None, now: datetime) -> Facts:
    """Judge who leads by when its lease was last renewed; None: nobody leads."""
    leader, lease = facts.observed.leads, facts.observed.lease
    if leader is None or lease is None or renewed is None:
        return replace(facts, renewed=None, is_leaderless=False)
    # One that had a longer lease may not have read the new settings yet.
    longest = max(lease, timedelta(seconds=leader.lease_seconds))
    return replace(facts, renewed=renewed, is_leaderless=is_gone(renewed, longest, now))


def _waits_for_a_window(result: Pass) -> bool:
    brakes = {**result.brakes.frozen, **result.brakes.absent}
    return any(held.because is Because.WINDOW for held in brakes.values())


def _removals(result: Pass) -> str:
    """Why what main removes is kept for now; empty: it removes little."""
    told = (problem for problems in result.held.values() for problem in problems)
    return next((one.what for one in told if is_of_removals(one)), "")


def _returns(sightings: Sightings, observed: Observed) -> Mapping[NodeName, Return]:
    timings = observed.fleet.timings
    return {
        name: Return(one.back_at, one.back_at + hold_down(one, timings))
        for name, one in sightings.items()
        if one.back_at is not None
    }


def heard_again(
    facts: Facts,
    observed: Observed,
    sightings: Sightings,
    strange: Mapping[NodeName, Freshness],
) -> Facts:
    """Put newer heartbeats into facts from which the same decision follows.

    strange: how fresh each node without a record is now.
    """
    before = notices(facts.observed, facts.unadmitted)
    kept = tuple(notice for notice in facts.notices if notice not in before)
    return replace(
        facts,
        observed=observed,
        seen={name: sighting.seen_at for name, sighting in sightings.items()},
        notices=(*kept, *notices(observed, strange)),
        returns=_returns(sightings, observed),
        unadmitted=strange,
    )


def undecided(
    snapshot: Snapshot, observed: Observed, now: datetime, seen: Sightings, why: str
) -> Facts:
    """Say what is known where no decision can be made, and why it cannot."""
    of_deployments = {problem for held in observed.held.values() for problem in held}
    fix = "nothing changes until this is solved; report it with the commit that led to it"
    return Facts(
        observed=observed,
        nodes=judge(observed, now, seen),
        seen={name: sighting.seen_at for name, sighting in seen.items()},
        decided=snapshot.decided,
        folders=snapshot.folders,
        held=observed.held,
        problems=tuple(p for p in observed.problems if p not in of_deployments),
        notices=(Problem(Place("decision"), why, fix),),
        returns=_returns(seen, observed),
        unadmitted=unadmitted(observed, now, seen),
    )


def first_sightings(heartbeats: tuple[Heartbeat, ...], now: datetime) -> Sightings:
    """Take each node's own word for when it last spoke: there is nothing else to go by yet."""
    return {
        beat.node: Sighting(
            beat.incarnation,
            beat.sequence,
            min(beat.sent_at, now),
            machine=beat.host.machine,
            is_news=True,
        )
        for beat in heartbeats
    }


def pending(changes: tuple[ReplicaChange, ...]) -> Mapping[DeploymentName, str]:
    """Say for each deployment what the reconciler has yet to do."""
    fates: dict[DeploymentName, list[Fate]] = {}
    for change in changes:
        fates.setdefault(change.deployment, []).append(change.fate)
    return {name: _sentence(found) for name, found in fates.items()}


def _sentence(fates: list[Fate]) -> str:
    parts = (
        f"{_WORDS[fate]} {count(fates.count(fate), 'replica')}" for fate in Fate if fate in fates
    )
    return f"the reconciler has yet to {' and '.join(parts)}"


def _by_deployment(
    refusals: tuple[Refusal, ...],
) -> Mapping[DeploymentName, tuple[Refusal, ...]]:
    found: dict[DeploymentName, list[Refusal]] = {}
    for refusal in refusals:
        found.setdefault(split_replica(refusal.replica)[0], []).append(refusal)
    return {name: tuple(of_one) for name, of_one in found.items()}
