"""Serve a fleet made by hand, as `miaas serve` would: `made_page.py busy|rolling|quiet|large`."""

from __future__ import annotations

import sys
from datetime import timedelta

from reconciler.web.app import create_app
from reconciler.web.latest import Latest
from reconciler.web.overview import fleet_view
from reconciler.web.server import Server
from tests.unit.reconciler.web import fleets

MADE = {
    "busy": fleets.a_busy_fleet,
    "quiet": fleets.a_quiet_fleet,
    "empty": lambda: fleets.facts_of(fleets.an_observed()),
    "rolling": fleets.a_rolling_fleet,
    "hostile": fleets.a_hostile_fleet,
    "large": lambda: fleets.a_large_fleet(500),
}


def main(which: str, age_seconds: str = "0") -> None:
    """Serve on any free port and print where."""
    looked_at = fleets.NOW - timedelta(seconds=float(age_seconds))
    latest = Latest(view=fleet_view(MADE[which]()), looked_at=looked_at)
    server = Server(create_app(lambda: latest, lambda: fleets.NOW, "0.1.0"), "127.0.0.1", 0)
    sys.stdout.write(f"status page {server.url}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
