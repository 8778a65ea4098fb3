"""Brakes of the whole fleet: how much may go at once, and when anything may be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from schemas.page import Page
from schemas.quantity import duration, format_duration
from schemas.rollout import Portion, read_portion, write_portion
from schemas.shape import unless

# Below this share of a small fleet, taking two things away in one commit would need a word.
LEAST_REMOVALS: Final = 3
# A window longer than a week could as well be none.
WINDOW_MAX: Final = timedelta(days=7)
_ANY_MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """How much may happen at once.

    max_removals: how many running deployments a commit may remove; of a share at least three.
    evacuations_per_minute: from how many lost nodes work is moved away in a minute. One: a fault
        that takes nodes one after the other is seen by a person before it took many.
    """

    max_removals: Portion = field(default=Portion(percent=30))
    evacuations_per_minute: int = 1


class WindowKind(StrEnum):
    """Whether changes are made only then, or not then."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time that comes again and again. cron: when it begins, five fields, in `time_zone`."""

    kind: WindowKind
    cron: str
    duration: timedelta
    time_zone: str = "UTC"


def read_guards(plain: Mapping[str, Any]) -> Guards:
    """Read spec.guards of fleet.yaml."""
    usual = Guards()
    return Guards(
        max_removals=read_portion(plain.get("maxRemovals", write_portion(usual.max_removals))),
        evacuations_per_minute=plain.get("evacuationsPerMinute", usual.evacuations_per_minute),
    )


def write_guards(guards: Guards) -> dict[str, Any]:
    """Write spec.guards, without what equals the defaults."""
    usual = Guards()
    written = {
        "maxRemovals": unless(write_portion(guards.max_removals), "30%"),
        "evacuationsPerMinute": unless(guards.evacuations_per_minute, usual.evacuations_per_minute),
    }
    return {key: value for key, value in written.items() if value is not None}


def read_window(plain: Mapping[str, Any]) -> Window:
    """Read one entry of spec.windows."""
    return Window(
        kind=WindowKind(plain["kind"]),
        cron=plain["cron"],
        duration=duration(plain["duration"]),
        time_zone=plain.get("timeZone", "UTC"),
    )


def write_window(window: Window) -> dict[str, Any]:
    """Write one entry of spec.windows."""
    head = {
        "kind": window.kind.value,
        "cron": window.cron,
        "duration": format_duration(window.duration),
    }
    return head | ({} if window.time_zone == "UTC" else {"timeZone": window.time_zone})


def check_windows(page: Page) -> None:
    """Refuse windows that no clock understands, and those that are empty or longer than a week."""
    for index, entry in page.entries("spec", "windows"):
        keys = ("spec", "windows", index)
        try:
            next(CronSim(entry["cron"], _ANY_MOMENT), None)
        except CronSimError as error:
            what = f"the cron expression {entry['cron']!r} cannot be used: {error}"
            page.refuse((*keys, "cron"), (what, "write five fields, like `0 22 * * 1-5`"))
        if not timedelta(0) < duration(entry["duration"]) <= WINDOW_MAX:
            what = f"a window of {entry['duration']} is not from 1s to 7d"
            page.refuse((*keys, "duration"), (what, "write how long it is, like 6h"))
        zone = entry.get("timeZone", "UTC")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            what = f"there is no time zone {zone!r}"
            page.refuse((*keys, "timeZone"), (what, "write its IANA name, like Europe/Berlin"))
