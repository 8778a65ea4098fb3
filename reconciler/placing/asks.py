"""From a need to a class of the core: its shape, the rows it may go to, and what it likes.

A check is asked once for each distinct value (of a label, a set of taints, a kind of GPU), and the
answer is spread over the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np

from reconciler.observing.node import Freshness, Node
from reconciler.placing.checks import taints_tolerated
from reconciler.placing.gpus import kind_objection
from reconciler.placing.ground import Bools, Floats, Ground, Ints
from reconciler.placing.hosted import domain
from reconciler.placing.labels import holds_for
from reconciler.placing.plan import Need
from reconciler.placing.trials import DATA, IMAGE, MODEL, PREFER, SPARES_GPUS, Ask
from reconciler.placing.workload import Shape
from schemas.names import ReplicaName
from schemas.node import Duty
from schemas.resources import Expression, Sharing

T = TypeVar("T")


class Columns:
    """The nodes by column: each distinct value once, and which rows have it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._labels: dict[str, tuple[list[str | None], Ints]] = {}
        self._taints = _coded(tuple(sorted(node.taints, key=repr)) for node in ground.nodes)
        self._images: dict[str, Bools] = {}

    @cached_property
    def takes_work(self) -> Bools:
        """Which nodes take anything new."""
        return self._each(
            lambda node: (
                node.freshness is Freshness.READY
                and node.duty is Duty.ACTIVE
                and not node.runtime_error
                and not node.disk_pressure
            )
        )

    @cached_property
    def without_gpus(self) -> Bools:
        """Which nodes have no GPU."""
        return self._each(lambda node: not node.gpus)

    @cached_property
    def volumes(self) -> Mapping[ReplicaName, list[int]]:
        """By replica the rows on which its volumes stand; not in it: on none."""
        rows: defaultdict[ReplicaName, list[int]] = defaultdict(list)
        for row, node in enumerate(self.ground.nodes):
            for replica in node.volumes:
                rows[replica].append(row)
        return dict(rows)

    def drawn(self, replica: ReplicaName, need: Need) -> Floats | None:
        """What its own volumes add to each row for one replica; None: it has none anywhere."""
        rows = self.volumes.get(replica)
        if rows is None:
            return None
        drawn = np.zeros(len(self.ground.nodes))
        drawn[rows] = DATA if need.has_data else MODEL
        return drawn

    def label(self, key: str) -> tuple[list[str | None], Ints]:
        """Return the distinct values of a label, None for missing, and each row's index to them."""
        if key not in self._labels:
            self._labels[key] = _coded(domain(node, key) for node in self.ground.nodes)
        return self._labels[key]

    def holding(self, expression: Expression) -> Bools:
        """Which rows satisfy an expression."""
        values, codes = self.label(expression.key)
        return np.array([holds_for(expression, one) for one in values], dtype=np.bool_)[codes]

    def tolerated(self, need: Need) -> Bools:
        """Which rows have no taint that keeps this need away."""
        kinds, codes = self._taints
        probe = [Node(name=self.ground.nodes[0].name, taints=taints) for taints in kinds]
        answers = [taints_tolerated(need, node) is None for node in probe]
        return np.array(answers, dtype=np.bool_)[codes]

    def having(self, image: str) -> Bools:
        """Which rows have an image already."""
        if image not in self._images:
            self._images[image] = self._each(lambda node: image in node.images)
        return self._images[image]

    def _each(self, ask: Callable[[Node], bool]) -> Bools:
        return np.array([ask(node) for node in self.ground.nodes], dtype=np.bool_)


def ask_of(need: Need, columns: Columns) -> Ask:
    """Describe a need to the core."""
    rows = admitted(need, columns)
    return Ask(
        shape=shape_of(need, columns.ground, rows),
        allowed=rows & columns.takes_work,
        liked=_liked(need, columns),
        strategy=need.strategy,
        amounts=need.resources,
    )


def shape_of(need: Need, ground: Ground, rows: Bools) -> Shape:
    """Say what one replica takes, as numbers. rows: those that are open to it at all.

    A kind of GPU that stands on none of these rows will not do, so that labels that lead to a
    scarce model make a class as scarce as naming the model does.
    """
    asked = need.resources
    amounts = (float(asked.cpu_milli), float(asked.memory_mib), float(asked.disk_mib))
    gpus = need.gpus
    if gpus is None:
        return Shape(*amounts)
    there = set(np.unique(ground.now.kind[rows]).tolist())
    suits = [
        code in there and kind_objection(gpus, ground.examples[kind]) is None
        for code, kind in enumerate(ground.kinds)
    ]
    return Shape(
        *amounts,
        gpus=gpus.count,
        alone=gpus.sharing is Sharing.EXCLUSIVE,
        mib=max(float(gpus.memory_mib or 0), 1.0),
        kinds=tuple(suits),
    )


def admitted(need: Need, columns: Columns) -> Bools:
    """Which rows the operator's words admit: pin, labels, taints."""
    rows = np.ones(len(columns.ground.nodes), dtype=np.bool_)
    if not len(rows):
        return rows
    if need.rules.pin:
        rows[:] = False
        index = columns.ground.index
        rows[[index[name] for name in need.rules.pin if name in index]] = True
    for expression in need.rules.require:
        rows &= columns.holding(expression)
    return rows & columns.tolerated(need)


def _liked(need: Need, columns: Columns) -> Floats:
    """What preferences, a present image and the sparing of GPUs add to each row."""
    liked = np.zeros(len(columns.ground.nodes))
    whole = sum(one.weight for one in need.rules.prefer)
    for one in need.rules.prefer:
        liked += columns.holding(one.expression) * (PREFER * one.weight / max(whole, 1))
    if need.gpus is None:
        liked += columns.without_gpus * SPARES_GPUS
    if need.image:
        liked += columns.having(need.image) * IMAGE
    return liked


def _coded(values: Iterable[T]) -> tuple[list[T], Ints]:
    """Number the distinct values in the order in which they come."""
    codes: dict[T, int] = {}
    rows = [codes.setdefault(value, len(codes)) for value in values]
    return list(codes), np.array(rows, dtype=np.int64)
