"""Why a replica found no node: the reasons, each with its nodes, and the smallest change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

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

# What a refusal says of a rule about others, and the rows that it leaves.
Rule: TypeAlias = tuple[str, Bools]


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

    Of nodes that are short of the same thing, the text tells the one that has most of it. Where a
    rule about others forbids them as well, it says so: more room alone would not help.
    """
    if not draft.ground.nodes:
        return (EMPTY_FLEET,)
    left, found = _static(need, draft)
    rules = tuple(each_rule(need, draft))
    for room in rooms(need, draft):
        for short, besides in _by_rule(left & ~room.enough, rules):
            best = int(np.where(short, room.has, -np.inf).argmax())
            text = room.check(need, draft.hosted(best)) or f"too little {room.what}"
            found[f"{text}{besides}"].extend(_names(short, draft))
        left = left & room.enough
    _ports(need, draft, left, found)
    for text, rows in rules:
        found[text].extend(_names(left & ~rows, draft))
        left = left & rows
    ranked = sorted(
        ((text, nodes) for text, nodes in found.items() if nodes),
        key=lambda item: (-len(item[1]), item[0]),
    )
    return tuple(Reason(text=text, nodes=tuple(sorted(nodes))) for text, nodes in ranked)


def hint(need: Need, draft: Draft) -> str:
    """Say the smallest single change that would let it fit; empty if no single one would.

    Whatever else speaks against a node is asked too, so that the one change is enough.
    """
    if not draft.ground.nodes:
        return "add a node"
    rules = tuple(each_rule(need, draft))
    found = rooms(need, draft)
    open_, _ = _static(need, draft)
    allowed, fits = _allowed(rules, draft), _others(None, found, draft)
    return (
        _with_less(need, found, open_ & allowed, draft)
        or _but_for_a_mark(need, ~open_ & allowed & fits, draft)
        or _but_for_a_rule(need, rules, open_ & fits, draft)
    )


def _with_less(need: Need, found: tuple[Room, ...], rows: Bools, draft: Draft) -> str:
    """Ask for less of one thing: of all that would do, what takes the smallest part away."""
    options = (_less(need, room, rows & _others(room, found, draft), draft) for room in found)
    return min(filter(None, options), default=(0.0, ""))[1]


def _but_for_a_mark(need: Need, rows: Bools, draft: Draft) -> str:
    for row in np.flatnonzero(rows).tolist():
        texts = _static_texts(need, row, draft)
        if len(texts) == 1 and _has_ports(need, row, draft):
            return f"{draft.ground.nodes[row].name} would take it but for: {texts[0]}"
    return ""


def _but_for_a_rule(need: Need, rules: tuple[Rule, ...], rows: Bools, draft: Draft) -> str:
    for place, (text, allowed) in enumerate(rules):
        others = _allowed((*rules[:place], *rules[place + 1 :]), draft)
        only = np.flatnonzero(rows & others & ~allowed).tolist()
        if any(_has_ports(need, row, draft) for row in only):
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


def _by_rule(short: Bools, rules: tuple[Rule, ...]) -> Iterator[tuple[Bools, str]]:
    """Part rows by the first rule that forbids them; and what to say of it, empty for none."""
    for text, rows in rules:
        if (short & ~rows).any():
            yield short & ~rows, f", and {text}"
        short = short & rows
    if short.any():
        yield short, ""


def _ports(need: Need, draft: Draft, left: Bools, found: defaultdict[str, list[NodeName]]) -> None:
    """Look for ports, where there is anything to look for, on the rows that are left."""
    if not need.ports:
        return
    for row in np.flatnonzero(left).tolist():
        text = ports_are_free(need, draft.hosted(row))
        if text is not None:
            found[text].append(draft.ground.nodes[row].name)
            left[row] = False


def _has_ports(need: Need, row: int, draft: Draft) -> bool:
    return not need.ports or ports_are_free(need, draft.hosted(row)) is None


def _allowed(rules: tuple[Rule, ...], draft: Draft) -> Bools:
    """Which rows all of some rules leave."""
    rows = np.ones(len(draft.ground.nodes), dtype=np.bool_)
    for _, left in rules:
        rows &= left
    return rows


def _others(room: Room | None, rooms_: tuple[Room, ...], draft: Draft) -> Bools:
    """Which rows have enough of everything but this."""
    rows = np.ones(len(draft.ground.nodes), dtype=np.bool_)
    for other in rooms_:
        if other is not room:
            rows &= other.enough
    return rows


def _less(need: Need, room: Room, rows: Bools, draft: Draft) -> tuple[float, str] | None:
    """How much less of one thing would do, and how to say it; None if nothing of it is left."""
    has = np.where(rows & ~room.enough, room.has, 0.0)
    for row in np.argsort(-has, kind="stable").tolist():
        most = float(has[row])
        if most <= 0:
            return None
        if _has_ports(need, row, draft):
            text = f"it would fit on {draft.ground.nodes[row].name} with at most {room.say(most)}"
            return (room.asked - most) / room.asked, f"{text} {room.what}"
    return None


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
