"""Where few newcomers find no room for all, other orders of placing them are tried.

A greedy plan takes them in one order. For a handful the best order is found by trying many; for
thousands the exchanges of `improving` do what can be done in time.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from reconciler.placing.draft import Draft
from reconciler.placing.improving import free_to_go, is_loose, need_for
from reconciler.placing.newcomers import find_place
from reconciler.placing.plan import Placement
from schemas.names import DeploymentName, ReplicaName, split_replica

# More newcomers than this are not tried in other orders, and no more orders than that.
FEW: Final = 8
ORDERS: Final = 40


def reorder(draft: Draft, left: list[ReplicaName]) -> bool:
    """Keep the order that places most, the important first. Returns whether it is another one.

    Only who does not run yet, and about whom only room is asked, is taken up and put down again;
    not who found its data.
    """
    placed = [name for name, one in sorted(draft.placed.items()) if is_loose(one, draft)]
    waiting = [name for name in left if free_to_go(need_for(name, draft), draft)]
    if not waiting or not placed or len(placed) + len(waiting) > FEW:
        return False
    before = [draft.placed[name] for name in placed]
    best, best_rank = before, _rank(before, draft)
    for one in before:
        draft.remove(one)
    # Who fits not even where all others are away fits after none of them either.
    hopeful = [name for name in waiting if _tried([name], draft)]
    for order in _orders([*placed, *hopeful], draft) if hopeful else []:
        tried = _tried(order, draft)
        rank = _rank(tried, draft)
        if rank > best_rank:
            best, best_rank = tried, rank
        if len(tried) == len(order):
            break
    for one in best:
        draft.put(one)
    return best is not before


def _tried(order: list[ReplicaName], draft: Draft) -> list[Placement]:
    """Place them in this order, and take it back."""
    mark = draft.mark()
    placed = []
    for name in order:
        place = find_place(name, need_for(name, draft), draft)
        if place is not None:
            draft.put(place)
            placed.append(place)
    draft.undo(mark)
    return placed


def _orders(names: list[ReplicaName], draft: Draft) -> list[list[ReplicaName]]:
    """Small ones first, large ones first, and many others, always the important before."""
    rng = random.Random(0)  # noqa: S311 (a fixed sequence: the same plan every time)

    def size(name: ReplicaName) -> tuple[float, int]:
        shape = draft.ask(need_for(name, draft)).shape
        return shape.gpus * (1e9 if shape.alone else shape.mib), int(shape.cpu)

    by_size = sorted(names, key=lambda name: (size(name), name))
    by_cpu = sorted(names, key=lambda name: (*reversed(size(name)), name))
    orders = [by_size, by_cpu, by_size[::-1], by_cpu[::-1]]
    orders += [rng.sample(by_size, len(by_size)) for _ in range(ORDERS - len(orders))]
    ranked = [sorted(one, key=lambda name: -need_for(name, draft).priority) for one in orders]
    # Replicas of one deployment are alike: an order that only swaps them finds the same.
    unlike: dict[tuple[DeploymentName, ...], list[ReplicaName]] = {}
    for one in ranked:
        unlike.setdefault(tuple(split_replica(name)[0] for name in one), one)
    return list(unlike.values())


def _rank(placements: list[Placement], draft: Draft) -> list[tuple[int, int]]:
    """How many of each priority, the highest first; to be compared."""
    counts = Counter(need_for(one.replica, draft).priority for one in placements)
    every = {need.priority for need in draft.needs.values()}
    return [(priority, counts[priority]) for priority in sorted(every, reverse=True)]
