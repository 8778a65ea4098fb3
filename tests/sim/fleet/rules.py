"""The rules that keep a fleet safe, and for each how to take it away and who misses it.

A rule is taken away by putting something that always agrees in the place of the one function that
is the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import ModuleType
from typing import Any, Final

import agent.intake
import agent.orders
import agent.vigil
import reconciler.observing.inventory
import reconciler.publishing.changes
import reconciler.rolling.facts
import reconciler.rolling.failover
import reconciler.rolling.gates
import reconciler.rolling.grants
import reconciler.rolling.guards
import reconciler.rolling.proofs
import reconciler.staging
import tests.sim.fleet.timer
from agent.acts import Act, Down
from agent.converge import acts
from agent.grants import Grants
from fleet.memory import MemoryServer
from fleet.objects import Object
from fleet.port import RefUpdate
from reconciler.observing.observe import observe
from reconciler.rolling.marks import Memory
from schemas.assignment import Assignment
from schemas.fencing import lose_after
from schemas.fleet import Timings
from schemas.rollout import Disconnect


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What stands in the place of a name in a module or class."""

    place: ModuleType | type
    name: str
    stand_in: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that can be taken away.

    faults: those that may happen meanwhile. seen: the promises that miss it, each enough.
    """

    name: str
    changes: tuple[Change, ...]
    faults: frozenset[str]
    seen: frozenset[str]


def _receive(
    self: MemoryServer, updates: tuple[RefUpdate, ...], objects: Mapping[str, Object]
) -> None:
    self._move(updates, objects)


def _acts_without_downs(*arguments: Any) -> tuple[Act, ...]:
    return tuple(act for act in acts(*arguments) if not isinstance(act, Down))


def _never_next(before: Assignment | None, now: Assignment, changed: Any, *_: int) -> Assignment:
    is_same = before is not None and before == now and not changed
    return before if before is not None and is_same else replace(now, generation=1)


def _fresh(_text: str, *, boot: str, now: float) -> float:
    del boot, now
    return 0.0


def _no_margin(timings: Timings, disconnect: Disconnect) -> timedelta:
    return disconnect.stop_after or lose_after(timings, disconnect)


RULES: Final = (
    Rule(
        # A grant to any earlier life of the host is as good as one to this.
        name="incarnation",
        changes=(Change(place=Grants, name="is_granted", stand_in=lambda *_: True),),
        faults=frozenset({"back while given up"}),
        seen=frozenset({"S1"}),
    ),
    Rule(
        # A start may take its time, whoever gave the host up meanwhile.
        name="starts in time",
        changes=(Change(place=Grants, name="start_within", stand_in=lambda *_: None),),
        faults=frozenset({"falls while cut off"}),
        seen=frozenset({"S1"}),
    ),
    Rule(
        # A node is given up in the very moment in which it should have stopped by itself.
        name="margin",
        changes=(
            Change(place=reconciler.rolling.failover, name="lose_after", stand_in=_no_margin),
            Change(place=reconciler.rolling.grants, name="lose_after", stand_in=_no_margin),
            Change(
                place=reconciler.rolling.proofs,
                name="least_lose_after",
                stand_in=lambda stop_after: stop_after,
            ),
        ),
        faults=frozenset({"agent hangs"}),
        seen=frozenset({"S1"}),
    ),
    Rule(
        # The fence of the host finds every lease fresh.
        name="host timer",
        changes=(Change(place=tests.sim.fleet.timer, name="age_seconds", stand_in=_fresh),),
        faults=frozenset({"agent hangs"}),
        seen=frozenset({"S1"}),
    ),
    Rule(
        # While Docker does not answer, the fence of the host can do nothing.
        name="fence without Docker",
        changes=(Change(place=tests.sim.fleet.timer, name="recorded", stand_in=lambda _: []),),
        faults=frozenset({"docker ends while cut off"}),
        seen=frozenset({"S1"}),
    ),
    Rule(
        # The agent obeys whatever stands at its ref, older or not.
        name="ancestor check",
        changes=(Change(place=agent.intake, name="_doubt", stand_in=lambda *_: None),),
        faults=frozenset({"state restored"}),
        seen=frozenset({"S4"}),
    ),
    Rule(
        # The server moves refs wherever they are.
        name="compare-and-swap",
        changes=(Change(place=MemoryServer, name="receive", stand_in=_receive),),
        faults=frozenset({"slow process", "second reconciler"}),
        seen=frozenset({"S5"}),
    ),
    Rule(
        # A commit may remove whatever it likes.
        name="deletion guard",
        changes=(
            Change(place=reconciler.rolling.guards, name="too_many", stand_in=lambda *_: None),
            Change(place=reconciler.staging, name="too_many", stand_in=lambda *_: None),
        ),
        faults=frozenset(),
        seen=frozenset({"S13"}),
    ),
    Rule(
        # However many nodes are silent, all are taken for dead.
        name="mass-loss freeze",
        changes=(
            Change(place=reconciler.rolling.failover, name="mass_loss", stand_in=lambda *_: None),
            Change(place=reconciler.rolling.proofs, name="mass_loss", stand_in=lambda *_: None),
        ),
        faults=frozenset({"most cut off"}),
        seen=frozenset({"S7"}),
    ),
    Rule(
        # A node that comes and goes is as good as any.
        name="hold-down",
        changes=(
            Change(
                place=reconciler.observing.inventory,
                name="hold_down",
                stand_in=lambda *_: timedelta(0),
            ),
        ),
        faults=frozenset({"cut pushing", "partition"}),
        seen=frozenset({"S8"}),
    ),
    Rule(
        # Whoever did not look for a while takes silence for death.
        name="restart grace",
        changes=(Change(place=Memory, name="after_a_gap", stand_in=lambda self, *_: self),),
        faults=frozenset({"cut pushing", "partition", "host lost", "hang"}),
        seen=frozenset({"S8"}),
    ),
    Rule(
        # Ends of logs are told as they are.
        name="masking",
        changes=(Change(place=agent.vigil, name="masked", stand_in=lambda text, _: text),),
        faults=frozenset({"harmed container", "unhealthy"}),
        seen=frozenset({"S9"}),
    ),
    Rule(
        # The agent never stops what is no longer assigned.
        name="removals",
        changes=(Change(place=agent.orders, name="acts", stand_in=_acts_without_downs),),
        faults=frozenset(),
        seen=frozenset({"L1"}),
    ),
    Rule(
        # The reconciler never counts on.
        name="generations",
        changes=(Change(place=reconciler.publishing.changes, name="_next", stand_in=_never_next),),
        faults=frozenset({"state restored"}),
        seen=frozenset({"L4"}),
    ),
    Rule(
        # The reconciler takes away what it cannot understand.
        name="holding of what is broken",
        changes=(
            Change(
                place=reconciler.rolling.facts,
                name="observe",
                stand_in=lambda one: replace(observe(one), held={}),
            ),
        ),
        faults=frozenset(),
        seen=frozenset({"S11"}),
    ),
    Rule(
        # All replicas of a deployment get a new version at once.
        name="one at a time",
        changes=(Change(place=reconciler.rolling.gates, name="most_down", stand_in=lambda *_: 99),),
        faults=frozenset(),
        seen=frozenset({"S16"}),
    ),
    Rule(
        # Whoever depends on another starts when it likes.
        name="dependencies",
        changes=(Change(place=reconciler.rolling.gates, name="missing", stand_in=lambda *_: None),),
        faults=frozenset(),
        seen=frozenset({"S17"}),
    ),
)
