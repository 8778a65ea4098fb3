"""A plan while it is made: who sits where, in words and in arrays, and how to take it back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from reconciler.observing.node import Node
from reconciler.placing.asks import Columns, admitted, ask_of
from reconciler.placing.core import Core
from reconciler.placing.ground import Bools, Ground
from reconciler.placing.hosted import Hosted
from reconciler.placing.plan import FREE, Bound, Desired, Keep, Need, Placement
from reconciler.placing.trials import Ask
from reconciler.placing.workload import Shape
from schemas.assignment import Reason
from schemas.names import DeploymentName, ReplicaName
from schemas.resources import Neighbourhood, Sharing


class Rule(NamedTuple):
    """Another deployment that wants to be apart, over a label."""

    other: DeploymentName
    over: str


class Draft:
    """Needs, nodes and placements. Placements on nodes without a record are held, not counted."""

    def __init__(
        self,
        desired: Iterable[Desired],
        inventory: Iterable[Node],
        previous: Iterable[Placement],
        bound: Bound = FREE,
    ) -> None:
        desired, previous = tuple(desired), tuple(previous)
        self.needs = {one.deployment: one for one in desired if isinstance(one, Need)}
        self.kept = frozenset(one.deployment for one in desired if isinstance(one, Keep))
        self.bound = bound
        self.before = {
            one.replica: one
            for one in sorted(previous, key=lambda one: one.replica)
            if one.replica not in bound.absent and (one.deployment in self.needs or self.holds(one))
        }
        self.ground = Ground(inventory)
        self.columns = Columns(self.ground)
        self.placed: dict[ReplicaName, Placement] = {}
        self.refused: dict[ReplicaName, tuple[Reason, ...]] = {}
        self.gave_way: dict[ReplicaName, Reason] = {}
        self.on_row: list[dict[ReplicaName, Placement]] = [{} for _ in self.ground.nodes]
        self.ports: list[dict[int, ReplicaName]] = [{} for _ in self.ground.nodes]
        self.rows_of: defaultdict[DeploymentName, Counter[int]] = defaultdict(Counter)
        self.avoid = frozenset(p for n in self.needs.values() for p in n.ports.values() if p)
        self.repelled = _repelled(self.needs.values())
        self._journal: list[tuple[Placement, bool]] = []
        self._asks: dict[object, Ask] = {}
        self._admitted: dict[DeploymentName, Bools] = {}
        self.core = Core(self.ground, {})

    def learn(self) -> None:
        """Tell the core what mix the fleet runs: all that is asked for."""
        mix: dict[Shape, float] = {}
        for need in sorted(self.needs.values(), key=lambda need: need.deployment):
            shape = self.ask(need).shape
            mix[shape] = mix.get(shape, 0.0) + need.replicas
        self.core.learn(mix)

    def ask(self, need: Need) -> Ask:
        """Return the class of a need; deployments that ask for the same share it."""
        rules = need.rules
        key = (
            *(need.resources, need.gpus, need.strategy, need.image),
            *(rules.pin, rules.require, rules.prefer, rules.tolerations),
        )
        if key not in self._asks:
            self._asks[key] = self.core.add(ask_of(need, self.columns))
        return self._asks[key]

    def admits(self, need: Need) -> Bools:
        """Which rows pin, labels and taints admit."""
        if need.deployment not in self._admitted:
            self._admitted[need.deployment] = admitted(need, self.columns)
        return self._admitted[need.deployment]

    def holds(self, placement: Placement) -> bool:
        """Whether a resident stays as it is, whatever would be better."""
        return placement.deployment in self.kept or placement.replica in self.bound.frozen

    def row(self, placement: Placement) -> int | None:
        """The row of a placement's node; None if the node has no record."""
        return self.ground.index.get(placement.node)

    def put(self, placement: Placement) -> None:
        """Count a replica."""
        self._count(placement, 1)
        self._journal.append((placement, True))

    def remove(self, placement: Placement) -> None:
        """Count a replica no more."""
        self._count(placement, -1)
        self._journal.append((placement, False))

    def note(self, placement: Placement) -> None:
        """Count a replica in words; the arrays have it already."""
        self._seat(placement, self.ground.index[placement.node])
        self._journal.append((placement, True))

    def unnote(self, placement: Placement) -> None:
        """Forget a replica in words; the arrays have it elsewhere. Not to be taken back."""
        self._unseat(placement, self.ground.index[placement.node])

    def mark(self) -> int:
        """Remember how far the draft is."""
        return len(self._journal)

    def undo(self, mark: int) -> None:
        """Take back everything since the mark."""
        while len(self._journal) > mark:
            placement, was_put = self._journal.pop()
            self._count(placement, -1 if was_put else 1)

    def _count(self, placement: Placement, sign: int) -> None:
        row = self.row(placement)
        if row is None:
            self._hold(placement, sign)
            return
        slots, mib = self.shares(placement, row)
        if sign > 0:
            self.ground.take(row, placement.resources, slots, mib)
            self._seat(placement, row)
        else:
            self.ground.give(row, placement.resources, slots, mib)
            self._unseat(placement, row)

    def shares(self, placement: Placement, row: int) -> tuple[list[int], list[int]]:
        """Which GPUs of the row a placement has, and how much of each."""
        known = self.ground.slots[row]
        pairs = [(known[s.uuid], s.memory_mib) for s in placement.gpus if s.uuid in known]
        if placement.sharing is Sharing.EXCLUSIVE:
            gpus = self.ground.gpus[row]
            pairs = [(slot, max(mib, gpus[slot].memory_mib)) for slot, mib in pairs]
        return [slot for slot, _ in pairs], [mib for _, mib in pairs]

    def _hold(self, placement: Placement, sign: int) -> None:
        if sign > 0:
            self.placed[placement.replica] = placement
        else:
            del self.placed[placement.replica]

    def _seat(self, placement: Placement, row: int) -> None:
        self.placed[placement.replica] = placement
        self.on_row[row][placement.replica] = placement
        self.rows_of[placement.deployment][row] += 1
        if placement.ports:
            self.ports[row].update(dict.fromkeys(placement.ports.values(), placement.replica))

    def _unseat(self, placement: Placement, row: int) -> None:
        del self.placed[placement.replica]
        del self.on_row[row][placement.replica]
        rows = self.rows_of[placement.deployment]
        rows[row] -= 1
        if not rows[row]:
            del rows[row]
        for number in placement.ports.values():
            if self.ports[row].get(number) == placement.replica:
                del self.ports[row][number]

    def hosted(self, row: int) -> Hosted:
        """One node in words, for checks that speak."""
        host = Hosted(node=self.ground.nodes[row])
        for placement in self.on_row[row].values():
            host.add(placement)
        return host

    def taken(self, row: int) -> frozenset[int]:
        """The host ports that are in use on a row, by us or by anything else."""
        return self.ground.nodes[row].ports | self.ports[row].keys()

    def seat_all(self, placements: Iterable[Placement]) -> None:
        """Count many at once, as they were."""
        many: list[tuple[int, Placement]] = []
        for placement in placements:
            row = self.row(placement)
            if row is None:
                self._hold(placement, 1)
            else:
                self._seat(placement, row)
                many.append((row, placement))
        if not many:
            return
        need = np.array(
            [
                (p.resources.cpu_milli, p.resources.memory_mib, p.resources.disk_mib)
                for _, p in many
            ],
            dtype=np.float64,
        )
        rows = np.array([row for row, _ in many], dtype=np.int64)
        triples = [
            (row, slot, mib)
            for row, placement in many
            if placement.gpus
            for slot, mib in zip(*self.shares(placement, row), strict=True)
        ]
        self.ground.take_each(rows, need, triples)


def _repelled(needs: Iterable[Need]) -> Mapping[DeploymentName, tuple[Rule, ...]]:
    """Collect who must not come near whom, in both directions."""
    found: defaultdict[DeploymentName, set[Rule]] = defaultdict(set)
    for need in needs:
        for rule in need.rules.apart:
            _both_ways(need.deployment, rule, found)
    return {name: tuple(sorted(rules)) for name, rules in found.items()}


def _both_ways(
    deployment: DeploymentName,
    rule: Neighbourhood,
    found: defaultdict[DeploymentName, set[Rule]],
) -> None:
    for other in rule.deployments:
        found[deployment].add(Rule(other, rule.over))
        found[other].add(Rule(deployment, rule.over))
