"""One look at a fleet, for commands that look once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.cli.clock import even_clock
from reconciler.cli.remotes import open_remotes
from reconciler.cli.where import where
from reconciler.observing.observe import observe
from reconciler.observing.read import Reader
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rolling.marks import Memory
from reconciler.web.facts import Facts
from reconciler.web.looker import look_once
from reconciler.web.looking import first_sightings
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen, and when."""

    facts: Facts
    view: FleetView
    now: datetime


def look(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Looked:
    """Read both remotes and understand what they say.

    Raises:
        UsageError: nothing says where the fleet is.
        RepositoryError: a remote does not answer.
        BadDocumentError: the reconciler's last decision cannot be understood.
    """
    clock = even_clock()
    place = where(arguments, environ, Path.cwd())
    with open_remotes(place, environ) as remotes:
        reader = Reader(*remotes, place.branch)
        snapshot = reader.read()
        history = reader.history(snapshot)
    now = clock()
    memory = Memory(sightings=first_sightings(observe(snapshot).heartbeats, now))
    with closing(BoundedRenderer()) as renderer:
        facts, _ = look_once(snapshot, now, memory, renderer, history=history)
    return Looked(facts, fleet_view(facts), now)
