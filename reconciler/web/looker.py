"""Looking at a fleet again and again: read Git, decide as the reconciler does, publish nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from reconciler.decide import Pass, decide
from reconciler.observing.inventory import Sightings, judge, sight
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from reconciler.rendering.port import Renderer
from reconciler.web.facts import Facts
from reconciler.web.looking import facts_of, first_sightings, heard_again, undecided
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView
from schemas.problem import BadDocumentError

Read: TypeAlias = Callable[[], Snapshot]
Decide: TypeAlias = Callable[[Snapshot, datetime, Sightings, Renderer], Pass]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look saw, and what was made of it."""

    snapshot: Snapshot
    sightings: Sightings
    facts: Facts
    view: FleetView


class Looker:
    """Remembers when each node was last heard of, and makes a new view only after a change."""

    def __init__(self, read: Read, renderer: Renderer, how: Decide = decide) -> None:
        self._read = read
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
            and judge(last.facts.observed, now, last.sightings) == last.facts.nodes
        ):
            return last.view
        facts, sightings = self._understand(snapshot, now)
        self._last = _Seen(snapshot, sightings, facts, fleet_view(facts))
        return self._last.view

    def _understand(self, snapshot: Snapshot, now: datetime) -> tuple[Facts, Sightings]:
        last = self._last
        if last is not None and _at_rest(snapshot) == _at_rest(last.snapshot):
            observed = observe(snapshot)
            seen = sight(last.sightings, observed.heartbeats, now)
            # A decision follows from the documents and the judged nodes, and from nothing else.
            if judge(observed, now, seen) == last.facts.nodes:
                return heard_again(last.facts, observed, seen), seen
        sightings = last.sightings if last else _first(snapshot, now)
        return look_once(snapshot, now, sightings, self._renderer, self._decide)


def _at_rest(snapshot: Snapshot) -> Snapshot:
    """A snapshot without what machines say again and again."""
    return replace(snapshot, heartbeats={}, led=None, leader=b"")


def _first(snapshot: Snapshot, now: datetime) -> Sightings:
    return first_sightings(observe(snapshot).heartbeats, now)


def look_once(
    snapshot: Snapshot,
    now: datetime,
    sightings: Sightings,
    renderer: Renderer,
    how: Decide = decide,
) -> tuple[Facts, Sightings]:
    """Understand a snapshot, also where no decision can be made of it.

    Raises:
        BadDocumentError: the reconciler's last decision cannot be understood.
    """
    try:
        result = how(snapshot, now, sightings, renderer)
    except (AssertionError, BadDocumentError) as error:
        observed = observe(snapshot)
        seen = sight(sightings, observed.heartbeats, now)
        nodes = judge(observed, now, seen)
        return undecided(snapshot, observed, nodes, seen, str(error)), seen
    return facts_of(result), result.sightings
