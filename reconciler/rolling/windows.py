"""When what runs may be changed by plan: allowed and denied times, in any time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
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

    The begin is sought backwards by the clock on the wall there. What daylight saving time skips or
    repeats is up to cronsim, which does as Debian's cron does.
    """
    there = now.astimezone(ZoneInfo(window.time_zone)).replace(microsecond=0)
    # Backwards it looks before a moment, and `now` may be a begin itself.
    last = next(CronSim(window.cron, there + timedelta(seconds=1), reverse=True), None)
    return last is not None and now - last < window.duration
