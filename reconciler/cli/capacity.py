"""`miaas capacity`: what still fits, and which node the fleet could not lose."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing

from reconciler.cli.capacity_texts import capacity_json, capacity_text
from reconciler.cli.clock import even_clock
from reconciler.cli.codes import Code
from reconciler.cli.plan import asked_snapshot
from reconciler.cli.terminal import Terminal
from reconciler.decide import decide
from reconciler.observing.observe import observe
from reconciler.placing.capacity import capacity
from reconciler.placing.plan import Bound
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rolling.marks import Memory
from reconciler.settling import desired_of
from reconciler.web.looking import first_sightings


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Say what is left once everything that is asked for is placed."""
    snapshot = asked_snapshot(arguments, environ)
    now = even_clock()()
    sightings = first_sightings(observe(snapshot).heartbeats, now)
    with closing(BoundedRenderer()) as renderer:
        result = decide(snapshot, now, Memory(sightings=sightings), renderer)
    desired = desired_of(result.observed, result.held)
    bound = Bound(frozen=frozenset(result.aim.staying))
    found = capacity(desired, result.nodes, result.previous, bound)
    if arguments.output == "json":
        terminal.write(capacity_json(found))
    else:
        terminal.write(capacity_text(found, terminal))
    return Code.FINE
