"""Looking at a fleet again and again: read Git, decide as the reconciler does, publish nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from reconciler.decide import Pass, decide
from reconciler.observing.inventory import Sightings, judge, sight
from reconciler.observing.node import Node
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rendering.port import Renderer
from reconciler.web.facts import Facts
from reconciler.web.looking import facts_of, first_sightings, undecided
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView
from schemas.problem import BadDocumentError

Read: TypeAlias = Callable[[], Snapshot]
Decide: TypeAlias = Callable[[Snapshot, datetime, Sightings, Renderer], Pass]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look saw, and what was made of it."""

    snapshot: Snapshot
    observed: Observed
    sightings: Sightings
    nodes: tuple[Node, ...]
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
        if last is not None and snapshot == last.snapshot:
            nodes = judge(last.observed, now, last.sightings)
            if nodes == last.nodes:
                return last.view
        sightings = last.sightings if last else _first(snapshot, now)
        facts, sightings = look_once(snapshot, now, sightings, self._renderer, self._decide)
        view = fleet_view(facts)
        self._last = _Seen(snapshot, facts.observed, sightings, facts.nodes, view)
        return view


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
