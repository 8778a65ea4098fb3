from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from fleet.errors import UnreachableError
from reconciler.web.overview import fleet_view
from reconciler.web.refresh import Refresher
from reconciler.web.views import FleetView
from schemas.problem import BadDocumentError, Place, Problem
from tests.unit.reconciler.web.fleets import NOW, a_busy_fleet, a_quiet_fleet

QUIET = fleet_view(a_quiet_fleet())
BUSY = fleet_view(a_busy_fleet())


class Eyes:
    """Looks that end as the test says, one after the other."""

    def __init__(self, *ends: FleetView | Exception) -> None:
        self.ends = list(ends)

    def look(self, _clock: Callable[[], datetime]) -> FleetView:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


def a_refresher(*ends: FleetView | Exception) -> Refresher:
    return Refresher(Eyes(*ends).look, lambda: NOW, timedelta(seconds=5))


def test_a_look_replaces_the_view() -> None:
    refresher = a_refresher(QUIET, BUSY)

    refresher.refresh()
    assert refresher.latest().view is QUIET
    refresher.refresh()

    assert refresher.latest().view is BUSY
    assert refresher.latest().looked_at == NOW


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnreachableError("cannot reach the remote"), "cannot reach the remote"),
        (OSError("no space left"), "no space left"),
        (
            BadDocumentError((Problem(Place("decision.json"), "no JSON", "restore it"),)),
            "decision.json: no JSON. Fix: restore it",
        ),
        (ZeroDivisionError("a bug"), "internal error: ZeroDivisionError: a bug"),
    ],
)
def test_what_was_seen_stays_while_looks_fail_and_why_is_told(error: Exception, told: str) -> None:
    refresher = a_refresher(QUIET, error, QUIET)

    refresher.refresh()
    refresher.refresh()
    assert (refresher.latest().view, refresher.latest().error) == (QUIET, told)
    refresher.refresh()

    assert refresher.latest().error == ""


def test_the_log_tells_once_that_git_is_away_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = UnreachableError("cannot reach the remote")
    refresher = a_refresher(QUIET, away, away, QUIET, QUIET)

    for _ in range(5):
        refresher.refresh()

    assert caplog.messages == ["git does not answer", "git answers again"]


def test_the_thread_looks_and_ends_when_told() -> None:
    looked = threading.Event()

    def look(_clock: Callable[[], datetime]) -> FleetView:
        looked.set()
        return QUIET

    refresher = Refresher(look, lambda: NOW, timedelta(seconds=60))
    refresher.start()
    assert looked.wait(timeout=10)
    refresher.stop()

    assert refresher.latest().view is QUIET
    assert not [t for t in threading.enumerate() if t.name == "refresher"]
