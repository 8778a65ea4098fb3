"""Who leaves a node on which it keeps failing although its version runs elsewhere, or ran. Pure.

The node may be at fault in a way that nobody reports: a driver, a card, a mount. So such a replica
tries one other node, once in a version. If it fails there too it stays: then it is not the node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Final

from reconciler.placing.plan import Bound, Placement
from reconciler.placing.rebalance import Move, elsewhere, may_leave
from reconciler.rolling.facts import Facts
from reconciler.rolling.failover import mass_loss
from reconciler.rolling.outlook import extra_of
from reconciler.rolling.rollout import Course
from reconciler.settling import desired_of
from schemas.assignment import Phase, Rescheduled
from schemas.names import DeploymentName, ReplicaName, split_replica

# So long a replica has to fail: one failed try says little.
LONG: Final = timedelta(minutes=1)
# One a minute: whatever fails everywhere at once is no fault of nodes, and must not stir the fleet.
GAP: Final = timedelta(minutes=1)
# For so many it is asked in a pass whether any node has room; each question is a plan. The turn
# goes round with the minutes, so that those without room keep nobody out.
TRIES: Final = 4


def moves_off(facts: Facts) -> tuple[Move, ...]:
    """Find another node for the first replica that has to leave its own, and for those that left.

    Those that left and have no place yet wait until they are stopped where they were.
    """
    if facts.observed.frozen:
        return ()
    waiting, last = tuple(_waiting(facts)), facts.memory.rescheduled_at
    is_time = last is None or facts.now - last >= GAP
    # Who was with the many that are silent may be what the others fail for.
    is_calm = mass_loss(facts.nodes, timedelta(0)) is None
    failing = tuple(_failing(facts)) if is_time and is_calm else ()
    if not waiting and not failing:
        return ()
    desired = desired_of(facts.observed, facts.observed.held, extras_there(facts))
    previous = tuple(one for one in facts.previous if one.replica not in facts.failover.leaving)
    bound = Bound(frozen=frozenset(facts.suspended))

    def found(off: Iterable[Rescheduled | Placement]) -> Iterator[Move]:
        moves = (
            elsewhere(one.replica, one.node, desired, facts.nodes, previous, bound) for one in off
        )
        return (move for move in moves if move is not None)

    free = may_leave(desired, facts.nodes, previous) if failing else frozenset()
    able = [one for one in failing if one.replica in free]
    turn = int(facts.now.timestamp()) // int(GAP.total_seconds()) % max(1, len(able))
    in_turn = [*able[turn:], *able[:turn]][:TRIES]
    return (*found(waiting), *islice(found(in_turn), 1))


def remembered(
    facts: Facts, moves: tuple[Move, ...], frozen: Collection[ReplicaName]
) -> tuple[Rescheduled, ...]:
    """Say who left a node in the version that is wanted, so that it does so once.

    frozen: replicas that stay in this pass, whatever was wanted.
    """
    before = facts.observed.decision.rescheduled
    if facts.observed.frozen:
        return before
    known = {one.replica: one for one in before if _counts(one, facts)}
    for move in moves:
        if move.replica not in known and move.replica not in frozen:
            version = facts.courses[split_replica(move.replica)[0]].revision
            known[move.replica] = Rescheduled(
                replica=move.replica, node=move.was_on, version=version
            )
    return tuple(known[name] for name in sorted(known))


def extras_there(facts: Facts) -> frozenset[DeploymentName]:
    """The deployments of which an extra replica runs for the time of a rollout."""
    placed = {one.replica for one in facts.previous}
    return frozenset(name for name, one in facts.deployments.items() if extra_of(one) in placed)


def _failing(facts: Facts) -> Iterator[Placement]:
    """Go through the replicas that fail where they are, and could do well elsewhere."""
    known = {one.replica for one in facts.observed.decision.rescheduled if _counts(one, facts)}
    broken = {node.name for node in facts.nodes if node.runtime_error}
    for one in facts.previous:
        standing = facts.standing.get(one.replica)
        if (
            standing is not None
            and standing.failed
            and standing.fresh
            and facts.now - facts.memory.failing.get(one.replica, facts.now) >= LONG
            and one.node not in broken
            and one.node not in facts.evidence.unheard
            and one.replica not in known
            and one.replica not in facts.suspended
            and _may_leave(one, facts)
        ):
            yield one


def _may_leave(one: Placement, facts: Facts) -> bool:
    """Whether it is probably its node that a replica fails of, and people let it leave."""
    deployment, going = facts.deployments.get(one.deployment), facts.courses.get(one.deployment)
    if deployment is None or going is None or deployment.disconnect.replace is False:
        return False
    others = [
        standing
        for name, standing in facts.standing.items()
        if name != one.replica and split_replica(name)[0] == one.deployment
    ]
    if sum(other.failed for other in others) * 2 > len(others):
        return False
    return _runs_what_runs_elsewhere(one, going, facts)


def _runs_what_runs_elsewhere(one: Placement, going: Course, facts: Facts) -> bool:
    """Whether a replica runs the version that is wanted, and that has run well somewhere."""
    if going.versions.next is None and not going.goes_back:
        return True  # the last good one, and no other is on its way
    mark = facts.memory.marks.get(one.deployment)
    if mark is None or mark.revision != going.revision or one.replica not in mark.reached:
        return False
    return going.goes_back or (going.phase is Phase.STALLED and bool(mark.ready - {one.replica}))


def _waiting(facts: Facts) -> Iterator[Rescheduled]:
    """Go through those that left a node and run nowhere yet."""
    placed = {one.replica for one in facts.previous}
    for one in facts.observed.decision.rescheduled:
        if one.replica not in placed and _counts(one, facts):
            yield one


def _counts(one: Rescheduled, facts: Facts) -> bool:
    """Whether a replica is wanted, in the version in which it left a node."""
    name, index = split_replica(one.replica)
    if name in facts.observed.held:
        return True
    deployment, going = facts.deployments.get(name), facts.courses.get(name)
    is_wanted = deployment is not None and index < deployment.replicas
    return is_wanted and going is not None and going.revision == one.version
