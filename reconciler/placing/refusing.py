"""Why a replica found no node: the reasons, each with its nodes, and the smallest change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from reconciler.placing.around import each_rule
from reconciler.placing.checks import (
    STATIC_CHECKS,
    cores,
    cpu_fits,
    disk_fits,
    gpus_are_free,
    memory_fits,
    ports_are_free,
)
from reconciler.placing.draft import Draft
from reconciler.placing.gpus import gib
from reconciler.placing.ground import Bools, Floats
from reconciler.placing.hosted import Hosted
from reconciler.placing.plan import Need
from schemas.assignment import Reason
from schemas.names import NodeName


class Room(NamedTuple):
    """One thing that may run short: which rows have enough, and how much each has."""

    enough: Bools
    has: Floats
    check: Callable[[Need, Hosted], str | None]
    say: Callable[[float], str]
    what: str
    asked: float


EMPTY_FLEET: Final = Reason(text="the fleet has no node")


def reasons(need: Need, draft: Draft) -> tuple[Reason, ...]:
    """Group all nodes by the first thing that speaks against them, the most frequent first.

    Of nodes that are short of the same thing, the text tells the one that has most of it.
    """
    if not draft.ground.nodes:
        return (EMPTY_FLEET,)
    left, found = _static(need, draft)
    for room in rooms(need, draft):
        short = left & ~room.enough
        if short.any():
            best = int(np.where(short, room.has, -np.inf).argmax())
            text = room.check(need, draft.hosted(best)) or f"too little {room.what}"
            found[text].extend(_names(short, draft))
        left = left & room.enough
    _ports(need, draft, left, found)
    for text, rows in each_rule(need, draft):
        found[text].extend(_names(left & ~rows, draft))
        left = left & rows
    ranked = sorted(
        ((text, nodes) for text, nodes in found.items() if nodes),
        key=lambda item: (-len(item[1]), item[0]),
    )
    return tuple(Reason(text=text, nodes=tuple(sorted(nodes))) for text, nodes in ranked)


def hint(need: Need, draft: Draft) -> str:
    """Say the smallest single change that would let it fit; empty if no single one would."""
    if not draft.ground.nodes:
        return "add a node"
    rules = _rules(need, draft)
    found = rooms(need, draft)
    open_, _ = _static(need, draft)
    lesser = [
        option
        for room in found
        if (option := _less(room, open_ & rules & _others(room, found, draft), draft)) is not None
    ]
    if lesser:
        return min(lesser)[1]
    fits = _others(None, found, draft)
    for row in np.flatnonzero(~open_ & rules & fits).tolist():
        texts = _static_texts(need, row, draft)
        if len(texts) == 1:
            return f"{draft.ground.nodes[row].name} would take it but for: {texts[0]}"
    for text, rows in each_rule(need, draft):
        if (open_ & fits & ~rows).any():
            return f"there is room but for the rule: {text}"
    return ""


def rooms(need: Need, draft: Draft) -> tuple[Room, ...]:
    """Everything that may run short, in the order in which it is told."""
    ask, now = draft.ask(need), draft.ground.now
    asked = need.resources
    divisible = [
        Room(_at_least(now.free[:, column], amount), now.free[:, column], check, say, what, amount)
        for column, (amount, check, say, what) in enumerate(
            (
                (asked.cpu_milli, cpu_fits, _cpus, "CPU"),
                (asked.memory_mib, memory_fits, _mib, "memory"),
                (asked.disk_mib, disk_fits, _mib, "disk"),
            )
        )
    ]
    if need.gpus is None:
        return tuple(divisible)
    has = ask_gpu_room(need, draft)
    amount = float(ask.shape.mib if need.gpus.count == 1 else need.gpus.count)
    say, what = (_mib, "GPU memory") if need.gpus.count == 1 else (_count, "GPUs of one model")
    return (*divisible, Room(has >= amount, has, gpus_are_free, say, what, amount))


def ask_gpu_room(need: Need, draft: Draft) -> Floats:
    """Per row: the most GPU memory one replica can have, or how many GPUs of one model."""
    shape, now = draft.ask(need).shape, draft.ground.now
    suits = np.array([*shape.kinds, False])[now.kind]
    open_ = suits & now.whole if shape.alone else suits
    if shape.gpus == 1:
        most: Floats = np.where(open_, now.gpu_free, 0.0).max(axis=1, initial=0.0)
        return most
    usable = open_ & (now.gpu_free >= shape.mib)
    counts = np.zeros(len(now.free))
    for model in range(int(now.model.max(initial=-1)) + 1):
        counts = np.maximum(counts, (usable & (now.model == model)).sum(axis=1))
    return counts


def _static(need: Need, draft: Draft) -> tuple[Bools, defaultdict[str, list[NodeName]]]:
    """Which rows nothing fixed speaks against, and what does against the others."""
    found: defaultdict[str, list[NodeName]] = defaultdict(list)
    left = np.ones(len(draft.ground.nodes), dtype=np.bool_)
    said: dict[object, list[str]] = {}
    keys = [expression.key for expression in need.rules.require]
    for row, node in enumerate(draft.ground.nodes):
        key = (
            *(node.freshness, node.duty, node.runtime_error, node.taints),
            bool(node.disk_pressure),
            *(tuple(node.labels.get(key) for key in keys), node.name in need.rules.pin),
            *(draft.ground.now.kind[row].tobytes(), bool(node.sick_gpus) and node.name),
            node.name if "miaas/node" in keys else "",
        )
        if key not in said:
            said[key] = _static_texts(need, row, draft)
        if said[key]:
            left[row] = False
            found[said[key][0]].append(node.name)
    return left, found


def _static_texts(need: Need, row: int, draft: Draft) -> list[str]:
    node = draft.ground.nodes[row]
    return [text for check in STATIC_CHECKS if (text := check(need, node)) is not None]


def _ports(need: Need, draft: Draft, left: Bools, found: defaultdict[str, list[NodeName]]) -> None:
    """Look for ports, where there is anything to look for, on the rows that are left."""
    if not need.ports:
        return
    for row in np.flatnonzero(left).tolist():
        text = ports_are_free(need, draft.hosted(row))
        if text is not None:
            found[text].append(draft.ground.nodes[row].name)
            left[row] = False


def _rules(need: Need, draft: Draft) -> Bools:
    rows = np.ones(len(draft.ground.nodes), dtype=np.bool_)
    for _, left in each_rule(need, draft):
        rows &= left
    return rows


def _others(room: Room | None, rooms_: tuple[Room, ...], draft: Draft) -> Bools:
    """Which rows have enough of everything but this."""
    rows = np.ones(len(draft.ground.nodes), dtype=np.bool_)
    for other in rooms_:
        if other is not room:
            rows &= other.enough
    return rows


def _less(room: Room, rows: Bools, draft: Draft) -> tuple[float, str] | None:
    """How much less of one thing would do, and how to say it; None if nothing of it is left."""
    short = rows & ~room.enough
    if not short.any():
        return None
    row = int(np.where(short, room.has, -np.inf).argmax())
    has = float(room.has[row])
    if has <= 0:
        return None
    text = f"it would fit on {draft.ground.nodes[row].name} with at most {room.say(has)}"
    return (room.asked - has) / room.asked, f"{text} {room.what}"


def _at_least(has: Floats, amount: int) -> Bools:
    return np.ones(len(has), dtype=np.bool_) if amount == 0 else has >= amount


def _names(rows: Bools, draft: Draft) -> list[NodeName]:
    return [draft.ground.nodes[row].name for row in np.flatnonzero(rows).tolist()]


def _cpus(amount: float) -> str:
    return cores(int(amount))


def _mib(amount: float) -> str:
    return f"{gib(int(amount))} of"


def _count(amount: float) -> str:
    return str(int(amount))
