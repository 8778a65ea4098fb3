"""When planned changes are made: edges of windows, time zones, and that `deny` wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.rolling.windows import closed, is_open
from schemas.guards import Window, WindowKind
from tests.unit.rolling.fleet import a_fleet_of, spread

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CLOCKS_CHANGE = (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC))


def a_window(cron: str = "0 22 * * *", hours: float = 2, zone: str = "UTC", **more: str) -> Window:
    kind = WindowKind(more.get("kind", "allow"))
    return Window(kind=kind, cron=cron, duration=timedelta(hours=hours), time_zone=zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "open_"),
    [
        pytest.param("2026-03-04T21:59:59", False, id="one second before"),
        pytest.param("2026-03-04T22:00:00", True, id="the begin"),
        pytest.param("2026-03-04T23:59:59", True, id="the last second"),
        pytest.param("2026-03-05T00:00:00", False, id="the end, past midnight"),
    ],
)
def test_edges(now: str, open_: bool) -> None:
    assert is_open(a_window(), at(now)) is open_


@pytest.mark.parametrize(
    ("now", "open_"),
    [
        pytest.param("2026-01-10T21:00:00", True, id="22 h in Berlin in winter"),
        pytest.param("2026-01-10T20:30:00", False, id="not yet"),
        pytest.param("2026-07-10T20:00:00", True, id="22 h in Berlin in summer"),
        pytest.param("2026-03-28T22:30:00", True, id="in the night when clocks go forward"),
        pytest.param("2026-03-29T01:30:00", False, id="after it"),
        pytest.param("2026-10-24T21:30:00", True, id="in the night when clocks go back"),
        pytest.param("2026-10-24T22:30:00", False, id="after that"),
    ],
)
def test_hours_are_meant_where_people_live(now: str, open_: bool) -> None:
    assert is_open(a_window(zone="Europe/Berlin"), at(now)) is open_


def test_without_an_allowing_window_it_is_always_time() -> None:
    assert closed((), at("2026-03-04T12:00:00")) is None
    assert closed((a_window(kind="deny"),), at("2026-03-04T12:00:00")) is None


def test_deny_wins() -> None:
    both = (a_window("0 0 * * *", 24), a_window(kind="deny"))

    assert closed(both, at("2026-03-04T12:00:00")) is None
    assert closed(both, at("2026-03-04T22:30:00")) == "`0 22 * * *` (UTC) denies changes now"


def test_says_when_changes_are_made() -> None:
    two = (a_window(), a_window("0 12 * * 0", zone="Europe/Berlin"))

    assert closed(two, at("2026-03-04T12:00:00")) == (
        "changes are made only in `0 22 * * *` (UTC), `0 12 * * 0` (Europe/Berlin)"
    )


@given(
    minute=st.integers(0, 3 * 365 * 24 * 60),
    length=st.integers(1, 7 * 24 * 60),
    hour=st.integers(0, 23),
)
def test_a_daily_window_agrees_with_arithmetic(minute: int, length: int, hour: int) -> None:
    now = at("2026-01-01T00:00:00") + timedelta(minutes=minute)
    window = Window(
        kind=WindowKind.ALLOW, cron=f"0 {hour} * * *", duration=timedelta(minutes=length)
    )

    begun = now.replace(hour=hour, minute=0)
    begun -= timedelta(days=1) if begun > now else timedelta(0)
    assert is_open(window, now) is (now - begun < window.duration)


@pytest.mark.parametrize(
    ("cron", "length"),
    [("0 * * * *", HOUR), ("* * * * *", MINUTE), ("*/15 * * * *", 15 * MINUTE)],
)
@pytest.mark.parametrize("day", CLOCKS_CHANGE)
def test_a_window_that_always_begins_anew_has_no_hole_when_the_clocks_change(
    cron: str, length: timedelta, day: datetime
) -> None:
    window = Window(kind=WindowKind.DENY, cron=cron, duration=length, time_zone="Europe/Berlin")

    assert [n for n in range(240) if not is_open(window, day + n * MINUTE)] == []


def test_an_extra_replica_waits_for_the_time_of_changes_too() -> None:
    windows = '  windows: [{kind: allow, cron: "0 3 * * *", duration: 1h}]\n'
    first = "{strategy: startFirst}"
    fleet = a_fleet_of(fleet=windows, chat=spread(2, update=first))

    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", update=first)})
    fleet.rest(3)

    assert set(fleet.texts().values()) == {"one"}
    assert len(fleet.texts()) == 2
    assert fleet.because() == {"window"}
