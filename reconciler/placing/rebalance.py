"""Which moves of what runs would gain most. Pure; nothing is moved here.

Somebody without a node gets one if others make room: that comes first. Then, a replica may fit
better elsewhere, after a node joined or others left: its place there scores more than its own, by
enough to be worth a restart. Or its place no longer keeps a rule, and another one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from reconciler.observing.node import Node
from reconciler.placing.around import each_rule, left_by_rules
from reconciler.placing.draft import Draft
from reconciler.placing.engine import drafted
from reconciler.placing.ground import Floats
from reconciler.placing.newcomers import find_place, in_order
from reconciler.placing.plan import Bound, Desired, Need, Placement
from reconciler.placing.preempting import fewest
from reconciler.placing.trials import LEVEL, NEVER, PREFER, TIE
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name, split_replica
from schemas.node import Duty
from schemas.resources import Strategy

# A restart for less than a quarter of a replica's worth of room is not worth it.
ENOUGH_ROOM: Final = 0.25
# Nor is one that levels two nodes by less than a tenth of a node.
ENOUGH_LEVEL: Final = LEVEL / 10
# A rule that is kept again is worth a replica, whatever the packing loses by it.
A_RULE: Final = 1.0
# So many nodes are tried for one that has none: the ones with the fewest to move.
TRIES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of a replica that runs. gain: what the fleet wins, in replicas of the mean class.

    For a replica whose nodes are to be levelled, gain is in tenths of a node.
    """

    replica: ReplicaName
    was_on: NodeName
    to: Placement
    gain: float
    why: str


def rebalance(
    desired: tuple[Desired, ...],
    inventory: tuple[Node, ...],
    previous: tuple[Placement, ...],
    *,
    still: frozenset[ReplicaName],
    most: int,
) -> tuple[Move, ...]:
    """Propose at most `most` moves, the best first; each replica moves once at most.

    Never of those in `still`, of those that are tied to their node, that are held, that others
    must be near, or whose node is not in order. Carried out together they break no rule, and when
    they are, the next proposal finds less to gain, and in the end nothing.
    """
    draft = drafted(desired, inventory, previous)
    search = _Search(draft, still)
    moves = search.for_those_without(most)
    moves += search.for_those_better_off(most - len(moves))
    return tuple(moves)


def elsewhere(  # noqa: PLR0913, PLR0917 - all that a plan is made of
    replica: ReplicaName,
    node: NodeName,
    desired: tuple[Desired, ...],
    inventory: tuple[Node, ...],
    previous: tuple[Placement, ...],
    bound: Bound,
) -> Move | None:
    """Find a place for a replica on any other node than one; all others stay where they are.

    Of one that runs there, `may_leave` has to allow it. bound: what stays although nobody wants it
    any longer. None: there is no place, or it is one of a gang.
    """
    name = split_replica(replica)[0]
    without = tuple(
        replace(one, duty=Duty.CORDONED) if one.name == node else one for one in inventory
    )
    draft = drafted(desired, without, previous, bound)
    found, need = draft.placed.get(replica), draft.needs.get(name)
    if found is None or need is None or need.rules.gang is not None:
        return None
    if found.node == node:
        draft.remove(found)
        found = find_place(replica, need, draft)
    if found is None:
        return None
    why = "it kept failing there"
    told = replace(found, why=replace(found.why, text=f"moved from {node}: {why}"))
    return Move(replica=replica, was_on=node, to=told, gain=0.0, why=why)


def may_leave(
    desired: tuple[Desired, ...], inventory: tuple[Node, ...], previous: tuple[Placement, ...]
) -> frozenset[ReplicaName]:
    """Name the replicas that rules let go to some other node than their own, whatever room it has.

    Not those that are tied to their node, and not those that others must be near.
    """
    search = _Search(drafted(desired, inventory, previous), frozenset())
    return frozenset(
        replica
        for replica, one in search.draft.placed.items()
        if search.movable(one)
        and int(search.draft.ask(search.draft.needs[one.deployment]).allowed.sum()) > 1
    )


class _Search:
    """A plan that is tried out on; what is found good stays done in it."""

    def __init__(self, draft: Draft, still: frozenset[ReplicaName]) -> None:
        self.draft = draft
        self.still = set(still)
        self.wanted_near = {
            other
            for need in draft.needs.values()
            for rule in need.rules.near
            for other in rule.deployments
        }

    def movable(self, one: Placement) -> bool:
        """Whether a replica may be moved at all."""
        draft = self.draft
        need = draft.needs.get(one.deployment)
        before = draft.before.get(one.replica)
        if need is None or before is None or before.node != one.node:
            return False
        bound = need.pinned or one.pinned or one.deployment in self.wanted_near
        row = draft.row(one)
        return (
            not bound
            and one.replica not in self.still
            and one.replica not in draft.refused
            and row is not None
            and bool(draft.ask(need).allowed[row])
        )

    def for_those_without(self, most: int) -> list[Move]:
        """Make room for whoever has no node, the most important first."""
        found: list[Move] = []
        for need in in_order(self.draft.needs):
            for replica in _missing(need, self.draft):
                moves = self._room_for(replica, need, most - len(found)) if most else []
                if not moves:
                    break
                found += moves
        return found

    def _room_for(self, replica: ReplicaName, need: Need, most: int) -> list[Move]:
        if need.rules.gang is not None:
            return []  # one member more is no gain
        for row, victims in self._who_could_leave(need, most)[:TRIES]:
            mark = self.draft.mark()
            moves = self._exchange(replica, need, row, victims)
            if moves:
                self.still.update(move.replica for move in moves)
                return moves
            self.draft.undo(mark)
        return []

    def _who_could_leave(self, need: Need, most: int) -> list[tuple[int, list[Placement]]]:
        """Whose leaving a row would do, the fewest first."""
        rows = self.draft.ask(need).allowed & left_by_rules(need, self.draft)
        options = []
        for row in np.flatnonzero(rows).tolist():
            able = [one for one in self.draft.on_row[row].values() if self.movable(one)]
            victims = fewest(need, self.draft.hosted(row), sorted(able, key=_size))
            if 0 < len(victims) <= most:
                options.append((row, victims))
        return sorted(options, key=lambda option: (len(option[1]), sum(map(_mib, option[1]))))

    def _exchange(
        self, replica: ReplicaName, need: Need, row: int, victims: list[Placement]
    ) -> list[Move]:
        """Carry it out in the draft; nothing if one of them finds no other node."""
        draft = self.draft
        for old in victims:
            draft.remove(old)
        found = find_place(replica, need, draft)
        if found is None or draft.row(found) != row:
            return []
        draft.put(found)
        moves = []
        for old in sorted(victims, key=_size, reverse=True):
            new = find_place(old.replica, draft.needs[old.deployment], draft)
            if new is None or new.node == old.node:
                return []
            draft.put(new)
            why = f"makes room for {replica}"
            moves.append(_move(old, new, 1.0 / len(victims), why))
        return moves

    def for_those_better_off(self, most: int) -> list[Move]:
        """Move whoever gains most, one after the other, until nobody gains enough."""
        found: list[Move] = []
        gaining = most > 0
        while gaining:
            gaining = False
            ranked = sorted(self._gains(), key=lambda pair: (-pair[0].gain, pair[0].replica))
            for move, old in ranked:
                # What was moved before may have changed what this one gains.
                again = self._better(old) if gaining else move
                if again is None or len(found) == most or old.replica in self.still:
                    continue
                self.draft.remove(old)
                self.draft.put(again.to)
                self.still.add(old.replica)
                found.append(again)
                gaining = len(found) < most
        return found

    def _gains(self) -> Iterator[tuple[Move, Placement]]:
        """Look at one replica of each deployment on each node: the others there are its equals."""
        seen: set[tuple[DeploymentName, NodeName]] = set()
        for _, old in sorted(self.draft.placed.items()):
            if (old.deployment, old.node) not in seen and self.movable(old):
                seen.add((old.deployment, old.node))
                move = self._better(old)
                if move is not None:
                    yield move, old

    def _better(self, old: Placement) -> Move | None:
        """Say where a replica would be enough better off; None: nowhere."""
        draft = self.draft
        need, row = draft.needs[old.deployment], draft.ground.index[old.node]
        mark = draft.mark()
        draft.remove(old)
        ask = draft.ask(need)
        kept = self._kept(old, need)
        scores = draft.core.scores(ask) + kept - self._order(need)
        here = float(scores[row])
        enough = ENOUGH_ROOM if need.strategy is Strategy.PACK else ENOUGH_LEVEL
        broken = next((text for text, rows in each_rule(need, draft) if not rows[row]), None)
        new = None
        if here > NEVER and (broken or float(scores.max()) - here >= enough):
            new = find_place(old.replica, need, draft)
        draft.undo(mark)
        if new is None or new.node == old.node:
            return None
        there = draft.ground.index[new.node]
        gain = float(scores[there]) - here
        if broken:
            why = f"keeps a rule that {old.node} does not: {broken}"
            return _move(old, new, max(gain, A_RULE), why)
        liked = float(ask.liked[there] - ask.liked[row] + kept[there] - kept[row])
        return _move(old, new, gain, _words(need, gain, liked)) if gain >= enough else None

    def _kept(self, old: Placement, need: Need) -> Floats:
        """What its volumes add to each row: nobody moves to them, and who has them would miss them.

        Elsewhere they are older than what it has here, or here nobody told of any yet.
        """
        drawn = self.draft.columns.drawn(old.replica, need)
        if drawn is None:
            return np.zeros(len(self.draft.ground.nodes))
        kept: Floats = np.minimum(drawn, drawn[self.draft.ground.index[old.node]])
        return kept

    def _order(self, need: Need) -> Floats:
        """What the order of filling adds to a score, which is no reason to move."""
        order = self.draft.core.order
        return order if need.strategy is Strategy.PACK else order * TIE


def _missing(need: Need, draft: Draft) -> list[ReplicaName]:
    names = (replica_name(need.deployment, index) for index in range(need.replicas))
    return [name for name in names if name not in draft.placed]


def _move(old: Placement, new: Placement, gain: float, why: str) -> Move:
    told = replace(new, why=replace(new.why, text=f"moved from {old.node}: {why}"))
    return Move(replica=old.replica, was_on=old.node, to=told, gain=round(gain, 4), why=why)


def _words(need: Need, gain: float, liked: float) -> str:
    """Say what is gained."""
    parts = []
    strategic = gain - liked
    if liked >= PREFER / 100:
        parts.append("more of the labels that it prefers")
    if strategic > 0 and need.strategy is Strategy.PACK:
        parts.append(f"room for {strategic:.2f} more replicas of what is asked for")
    elif strategic > 0:
        parts.append(f"its node is left {100 * strategic / LEVEL:.0f} % of a node emptier")
    return " and ".join(parts) or "its image is there already"


def _size(one: Placement) -> tuple[int, int, ReplicaName]:
    return _mib(one), one.resources.memory_mib, one.replica


def _mib(one: Placement) -> int:
    return sum(share.memory_mib for share in one.gpus)
