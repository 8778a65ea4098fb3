"""In which order replicas change, where one needs what another still holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.names import ReplicaName

Waits = Mapping[ReplicaName, frozenset[ReplicaName]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Who changes now, each after those that it waits for.

    circle: replicas that wait for each other, in the order in which they can change once those in
    `yielding` have been stopped.
    """

    order: tuple[ReplicaName, ...] = ()
    circle: tuple[ReplicaName, ...] = ()
    yielding: tuple[ReplicaName, ...] = ()


def turns(waits: Waits, leaving: frozenset[ReplicaName]) -> Turns:
    """Order replicas by name, and behind those that hold what they need.

    Who waits for one that does nothing now is left out: it waits on.

    Args:
        waits: for each replica that may change, whom it waits for.
        leaving: who is removed before all of them.
    """
    order = _ready(waits, leaving)
    movable = frozenset((*leaving, *order))
    left = _without_stuck({name: waits[name] for name in waits if name not in order}, movable)
    circle: tuple[ReplicaName, ...] = ()
    yielding: tuple[ReplicaName, ...] = ()
    while len(circle) < len(left):
        still = {name: left[name] for name in left if name not in (*circle, *yielding)}
        yielding = (*yielding, _in_circle(still))
        circle = _ready(left, movable | set(yielding))
    return Turns(order=order, circle=circle, yielding=yielding)


def _ready(waits: Waits, gone: frozenset[ReplicaName]) -> tuple[ReplicaName, ...]:
    """Who can change one after the other, once those that are `gone` have let go."""
    order: tuple[ReplicaName, ...] = ()
    left = dict(waits)
    while found := [name for name in sorted(left) if left[name] <= {*gone, *order}]:
        order = (*order, *found)
        left = {name: left[name] for name in left if name not in found}
    return order


def _without_stuck(left: Waits, movable: frozenset[ReplicaName]) -> Waits:
    """Leave out who waits for one that neither changes nor leaves, and who waits for those."""
    while stuck := {name for name, whom in left.items() if not whom <= movable | left.keys()}:
        left = {name: whom for name, whom in left.items() if name not in stuck}
    return left


def _in_circle(waits: Waits) -> ReplicaName:
    """One of those that wait for each other: the first that comes round, from the first name."""
    seen: list[ReplicaName] = []
    name = min(waits)
    while name not in seen:
        seen.append(name)
        name = min(whom for whom in waits[name] if whom in waits)
    return min(seen[seen.index(name) :])
