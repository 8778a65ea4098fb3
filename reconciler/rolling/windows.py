"""When what runs may be changed by plan: allowed and denied times, in any time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from schemas.guards import Window, WindowKind


def closed(windows: Iterable[Window], now: datetime) -> str | None:
    """Say why no planned change is made at `now` (aware); None: it may be. `deny` wins."""
    all_windows = tuple(windows)
    for window in all_windows:
        if window.kind is WindowKind.DENY and is_open(window, now):
            return f"`{window.cron}` ({window.time_zone}) denies changes now"
    allowing = [window for window in all_windows if window.kind is WindowKind.ALLOW]
    if allowing and not any(is_open(window, now) for window in allowing):
        times = ", ".join(f"`{window.cron}` ({window.time_zone})" for window in allowing)
        return f"changes are made only in {times}"
    return None


def is_open(window: Window, now: datetime) -> bool:
    """Whether a moment lies within a window: at or after a begin, and before it is over.

    A begin that a moment lies within is sought by the clock on the wall there, and counted in time
    that passes. What daylight saving time skips or repeats is up to cronsim, which does as Debian's
    cron does; forwards, for backwards it forgets the second of two equal hours.
    """
    earliest = now.astimezone(UTC).replace(microsecond=0) - window.duration
    there = earliest.astimezone(ZoneInfo(window.time_zone))
    begin = next(CronSim(window.cron, there), None)
    return begin is not None and begin.astimezone(UTC) <= now
