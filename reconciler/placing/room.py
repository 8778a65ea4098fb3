"""How much room is left, counted without trying anything out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from reconciler.placing.draft import Draft
from reconciler.placing.ground import Bools, Ground, Ints, Rows
from reconciler.placing.improving import free_to_go
from reconciler.placing.plan import Need, Placement
from reconciler.placing.trials import NEVER, Ask, usable_gpus
from reconciler.placing.workload import Shape

# More than any node can take of what needs nothing.
ENDLESS: Final = 2**31


def count_fitting(ask: Ask, ground: Ground) -> int | None:
    """How many replicas more of a class fit, about which nothing is asked but room.

    None: that depends on which GPUs each gets, as where one shares several.
    """
    if ask.shape.gpus > 1 and not ask.shape.alone:
        return None
    rows = np.flatnonzero(ask.allowed)
    now = ground.now.at(rows)
    each = np.minimum(_by_amounts(ask.shape, now), _by_gpus(ask.shape, now))
    return int(each.sum())


def _by_amounts(shape: Shape, rows: Rows) -> Ints:
    """How many CPU, memory and disk of each row suffice for; nothing needed is never short."""
    need = np.array([shape.cpu, shape.memory, shape.disk])
    most = np.full(len(rows.free), ENDLESS, dtype=np.int64)
    for column in np.flatnonzero(need).tolist():
        fitting = np.floor_divide(rows.free[:, column], need[column]).astype(np.int64)
        most = np.minimum(most, np.maximum(fitting, 0))
    return most


def _by_gpus(shape: Shape, rows: Rows) -> Ints:
    """How many the GPUs of each row suffice for."""
    if not shape.gpus:
        return np.full(len(rows.free), ENDLESS, dtype=np.int64)
    # Each GPU by itself: what one replica would use are those of the first model alone.
    able = usable_gpus(replace(shape, gpus=1), rows)
    if shape.gpus == 1:
        each = able if shape.alone else np.where(able, rows.gpu_free // shape.mib, 0.0)
        ones: Ints = each.sum(axis=1).astype(np.int64)
        return ones
    # Several GPUs of one replica are of one model.
    models = range(int(rows.model.max(initial=-1)) + 1)
    sets = [(able & (rows.model == code)).sum(axis=1) // shape.gpus for code in models]
    most: Ints = np.sum(sets, axis=0, dtype=np.int64)
    return most


class Choices:
    """On how many nodes one more replica of each class fits, as the draft stands.

    To be made anew when the draft has changed for good.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._fits: dict[int, Bools] = {}
        # The most host ports in use on one node.
        self._ports = max((len(draft.taken(row)) for row in range(len(draft.ports))), default=0)

    def plenty_without(self, row: int) -> bool:
        """Whether all who are on a row surely find another, whoever goes first and wherever to.

        Each can spoil one row for the next: where each has as many rows as there are replicas,
        one is always left. False: it has to be tried.
        """
        leaving = self._draft.on_row[row].values()
        ports = sum(len(one.ports) for one in leaving)
        return all(self._rows(one, row, ports) >= len(leaving) for one in leaving)

    def _rows(self, one: Placement, row: int, ports: int) -> int:
        """On how many other rows it fits; 0 if more than room is asked about."""
        draft = self._draft
        need = draft.needs.get(one.deployment)
        if need is None or need.pinned or not free_to_go(need, draft):
            return 0
        if need.ports and not self._ports_abound(need, ports):
            return 0
        ask = draft.ask(need)
        if id(ask) not in self._fits:
            self._fits[id(ask)] = draft.core.scores(ask) > NEVER
        fits = self._fits[id(ask)]
        return int(fits.sum()) - bool(fits[row])

    def _ports_abound(self, need: Need, more: int) -> bool:
        """Whether no row can run out of the numbers that `auto` gives, with so many more on it."""
        numbers = need.auto_ports.last - need.auto_ports.first + 1
        return numbers >= self._ports + more
