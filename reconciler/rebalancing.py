"""Whether and how many of the moves that gain are made: only at rest, within the budget. Pure.

The budget of an hour is counted in the log of decisions, which every reconciler of the fleet reads
the same, and which outlives them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.decide import Pass, decide_with
from reconciler.observing.node import Freshness
from reconciler.observing.snapshot import Observed
from reconciler.placing.rebalance import Move, rebalance
from reconciler.publishing.story import TRAILER
from reconciler.rendering.port import Renderer
from reconciler.settling import desired_of
from schemas.heartbeat import ReplicaReport, ReplicaState
from schemas.layout import replica_folder
from schemas.names import NodeName, ReplicaName

HOUR: Final = timedelta(hours=1)

# More than ten at once nobody reads; where the budget allows more, that many are shown.
PROPOSED: Final = 10

_TRAILER: Final = re.compile(rf"^{TRAILER}: (?:and (?P<more>[0-9]+) more$)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Published:
    """One decision in the log. first: it has none before it."""

    at: datetime
    message: str
    first: bool


@dataclass(slots=True)
class Tried:
    """The last state of a fleet in which no move gained anything, not to be searched again."""

    state: object = None


def moved_lately(log: Iterable[Published], now: datetime) -> int | None:
    """Count the moves to rebalance of the last hour. `log` is newest first.

    None: the log at hand does not reach back an hour, so nobody knows. A decision of the future
    counts, for some clock is wrong, and moving too little is harmless.
    """
    moves = 0
    for one in log:
        if one.at <= now - HOUR:
            return moves
        # The trailers alone: the subject may say the same once more.
        trailers = one.message.rstrip().rpartition("\n\n")[2]
        moves += sum(int(found["more"] or 1) for found in _TRAILER.finditer(trailers))
        if one.first:
            return moves
    return None


def may_move(result: Pass) -> bool:
    """Whether the fleet lets replicas be moved, and nothing else is going on."""
    budget = result.observed.fleet.rebalance
    willing = min(budget.moves_per_pass, budget.moves_per_hour) > 0
    return willing and unrest(result) is None


def rebalanced(result: Pass, lately: int | None, renderer: Renderer, tried: Tried) -> Pass:
    """Add the moves that gain most to a pass, as far as the budget goes.

    lately: how many were moved in the last hour; None: unknown, and nothing is moved. tried: keeps
    what was found out for the next pass.
    """
    budget = result.observed.fleet.rebalance
    if lately is None or not may_move(result):
        return result
    most = min(budget.moves_per_pass, budget.moves_per_hour - lately)
    state = (most, _searched(result))
    if most <= 0 or state == tried.state:
        return result
    moves = proposals(result, most)
    if not moves:
        tried.state = state
        return result
    again = decide_with(result, moves, renderer)
    # What was not asked for must not come along: neither another move, nor anything held anew.
    # Of what was asked for, the gates let through what the health of its deployment allows.
    asked = {move.replica: move.to.node for move in moves}
    made = _moved(again)
    if not made or not made.items() <= asked.items() or again.held != result.held:
        return result
    return replace(again, moves=tuple(move for move in moves if move.replica in made))


def proposals(result: Pass, most: int) -> tuple[Move, ...]:
    """Propose the moves that gain most, the best first, at most so many."""
    return rebalance(
        desired_of(result.observed, result.held),
        result.nodes,
        result.previous,
        still=still(result.observed),
        most=most,
    )


def still(observed: Observed) -> frozenset[ReplicaName]:
    """Name the replicas that are left where they are: not known to run well, or fenced.

    One of which no two copies may run would be down for as long as a move takes.
    """
    well = {
        (beat.node, report.name)
        for beat in observed.heartbeats
        for report in beat.replicas
        if report.state is ReplicaState.RUNNING
    }
    return frozenset(
        replica.name
        for node, assignment in observed.assignments.items()
        for replica in assignment.replicas
        if (node, replica.name) not in well or replica.fence is not None
    )


def unrest(result: Pass) -> str | None:
    """Say what is going on, so that nothing is moved now; None: the fleet is at rest."""
    if result.observed.frozen:
        return "nothing in the fleet may change"
    if not result.changes.nothing:
        return "other changes are pending"
    silent = [node.name for node in result.nodes if node.freshness is not Freshness.READY]
    if silent:
        return f"{silent[0]} is not heard of"
    return next(_on_the_way(result), None)


def _on_the_way(result: Pass) -> Iterator[str]:
    """Go through what nodes have yet to do."""
    reports = {
        (beat.node, report.name): report
        for beat in result.observed.heartbeats
        for report in beat.replicas
    }
    assigned: set[tuple[NodeName, ReplicaName]] = set()
    for node, assignment in sorted(result.observed.assignments.items()):
        for replica in assignment.replicas:
            assigned.add((node, replica.name))
            folder = result.snapshot.folders.get(replica_folder(node, replica.name))
            if not _is_done(reports.get((node, replica.name)), folder):
                yield f"{node} has yet to start {replica.name}"
    for node, name in sorted(reports.keys() - assigned):
        yield f"{node} has yet to stop {name}"


def _is_done(report: ReplicaReport | None, folder: str | None) -> bool:
    """Whether a node did what it was told, well or not."""
    if report is None or report.observed != folder:
        return False
    return report.state not in (ReplicaState.PENDING, ReplicaState.STARTING)


def _searched(result: Pass) -> object:
    """Everything that a search for moves depends on."""
    desired = desired_of(result.observed, result.held)
    return desired, result.nodes, result.previous, still(result.observed)


def _moved(result: Pass) -> dict[ReplicaName, NodeName]:
    before = {one.replica: one.node for one in result.previous}
    return {
        one.replica: one.node
        for one in result.plan.placements
        if one.replica in before and before[one.replica] != one.node
    }
