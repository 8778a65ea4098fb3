"""Looking at a fleet again and again: read Git, decide as the reconciler does, publish nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from reconciler.conditions.since import since_when
from reconciler.decide import Pass, decide
from reconciler.observing.inventory import judge, sighted, unadmitted
from reconciler.observing.observe import observe
from reconciler.observing.read import NO_HISTORY, History
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rendering.port import Renderer
from reconciler.rolling.marks import Memory
from reconciler.web.facts import Facts
from reconciler.web.looking import (
    facts_of,
    first_renewed,
    first_sightings,
    heard_again,
    led,
    undecided,
)
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView
from schemas.problem import BadDocumentError

Read: TypeAlias = Callable[[], Snapshot]
Before: TypeAlias = Callable[[Snapshot], History]
Decide: TypeAlias = Callable[[Snapshot, datetime, Memory, Renderer], Pass]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look saw, and what was made of it."""

    snapshot: Snapshot
    memory: Memory
    facts: Facts
    view: FleetView


def _nothing_before(_snapshot: Snapshot) -> History:
    return NO_HISTORY


class Looker:
    """Remembers when each node was last heard of, and makes a new view only after a change."""

    def __init__(
        self,
        read: Read,
        renderer: Renderer,
        how: Decide = decide,
        history: Before = _nothing_before,
    ) -> None:
        self._read = read
        self._history = history
        self._renderer = renderer
        self._decide = how
        self._last: _Seen | None = None

    def look(self, clock: Callable[[], datetime]) -> FleetView:
        """Read Git and show what it says at this moment.

        Raises:
            RepositoryError: Git did not answer; what was seen before may be shown on.
            BadDocumentError: the reconciler's last decision cannot be understood.
        """
        snapshot = self._read()
        now = clock()
        last = self._last
        if (
            last is not None
            and snapshot == last.snapshot
            and judge(last.facts.observed, now, last.memory.sightings) == last.facts.nodes
            and led(last.facts, last.facts.renewed, now).is_leaderless == last.facts.is_leaderless
            and unadmitted(last.facts.observed, now, last.memory.sightings) == last.facts.unadmitted
        ):
            return last.view
        facts, memory = self._understand(snapshot, now)
        facts = led(facts, self._renewed(snapshot, facts.observed, now), now)
        self._last = _Seen(snapshot, memory, facts, fleet_view(facts))
        return self._last.view

    def _renewed(self, snapshot: Snapshot, observed: Observed, now: datetime) -> datetime | None:
        """When who leads was last heard of: once we saw its ref move, by our own clock."""
        last = self._last
        if last is None or observed.leads is None:
            return first_renewed(observed, now)
        if snapshot.led != last.snapshot.led:
            return now
        return last.facts.renewed or first_renewed(observed, now)

    def _understand(self, snapshot: Snapshot, now: datetime) -> tuple[Facts, Memory]:
        last = self._last
        if last is not None and _at_rest(snapshot) == _at_rest(last.snapshot):
            observed = observe(snapshot)
            seen = sighted(last.memory.sightings, observed, now)
            # A decision follows from the documents, the judged nodes and how replicas fare.
            same = _fares(observed) == _fares(last.facts.observed)
            if same and judge(observed, now, seen) == last.facts.nodes:
                facts = heard_again(last.facts, observed, seen, unadmitted(observed, now, seen))
                return facts, replace(last.memory, sightings=seen)
        memory = last.memory if last else _first(snapshot, now)
        before = self._history(snapshot)
        return look_once(snapshot, now, memory, self._renderer, self._decide, history=before)


def _at_rest(snapshot: Snapshot) -> Snapshot:
    """A snapshot without what machines say again and again."""
    return replace(snapshot, heartbeats={}, led=None, leader=b"", renewed=None)


def _fares(observed: Observed) -> object:
    """What a decision goes by in heartbeats, beside what is judged of their nodes."""
    return [
        (beat.node, beat.incarnation, beat.accepted_generation, beat.runtime.error, fares)
        for beat in observed.heartbeats
        for fares in (
            tuple((one.name, one.observed, one.state, one.epoch) for one in beat.replicas),
        )
    ]


def _first(snapshot: Snapshot, now: datetime) -> Memory:
    return Memory(sightings=first_sightings(observe(snapshot).heartbeats, now))


def look_once(  # noqa: PLR0913 - all that a look is made from
    snapshot: Snapshot,
    now: datetime,
    memory: Memory,
    renderer: Renderer,
    how: Decide = decide,
    *,
    history: History = NO_HISTORY,
) -> tuple[Facts, Memory]:
    """Understand a snapshot, also where no decision can be made of it. history: what was before.

    Raises:
        BadDocumentError: the reconciler's last decision cannot be understood.
    """
    try:
        result = how(snapshot, now, memory, renderer)
    except (AssertionError, BadDocumentError) as error:
        observed = observe(snapshot)
        seen = sighted(memory.sightings, observed, now)
        facts = undecided(snapshot, observed, now, seen, str(error))
        facts = replace(facts, since=since_when(history.decisions), duties=history.duties)
        return _judged(facts, now), replace(memory, sightings=seen)
    return _judged(facts_of(result, history), now), result.memory


def _judged(facts: Facts, now: datetime) -> Facts:
    return led(facts, first_renewed(facts.observed, now), now)
