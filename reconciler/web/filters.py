"""Words for templates: amounts, ages and the icon of each state."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from flask import Flask

from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.deployments import hold_text
from reconciler.web import words
from reconciler.web.replicas import homes
from reconciler.web.scores import points, two_digits
from reconciler.web.views import Health, Level, NodeState, Sync
from schemas.assignment import Phase

# The kind of icon and colour of each state. The word always stands beside it.
_TONES: Final[dict[str, str]] = {
    Sync.SYNCED: "good",
    Sync.OUT_OF_SYNC: "busy",
    Health.HEALTHY: "good",
    Health.PROGRESSING: "busy",
    Health.DEGRADED: "bad",
    Health.MISSING: "bad",
    Health.UNKNOWN: "unknown",
    NodeState.READY: "good",
    NodeState.HELD_DOWN: "busy",
    NodeState.CONTESTED: "bad",
    NodeState.LATE: "unknown",
    NodeState.LOST: "bad",
    NodeState.UNSEEN: "unknown",
    NodeState.NOT_ADMITTED: "busy",
    **dict.fromkeys((Phase.ROLLING, "RollingOut", "Held"), "busy"),
    **dict.fromkeys(("Cordoned", "Draining", "Drained", "Suspended"), "busy"),
    **dict.fromkeys((Phase.STALLED, Phase.ROLLED_BACK, "Stalled", "RolledBack"), "bad"),
    Phase.SETTLED: "good",
    Level.GOOD: "good",
    Level.BUSY: "busy",
    Level.BAD: "bad",
    Level.EMPTY: "unknown",
}
_WORDS: Final[dict[str, str]] = {
    Sync.OUT_OF_SYNC: "Out of sync",
    NodeState.NOT_ADMITTED: "Not admitted",
    NodeState.HELD_DOWN: "Held down",
    Phase.SETTLED: "Settled",
    Phase.ROLLING: "Rolling out",
    Phase.STALLED: "Stalled",
    Phase.ROLLED_BACK: "Rolled back",
    "RollingOut": "Rolling out",
    "RolledBack": "Rolled back",
}
# What a condition means if it is so. One that is not so is well, but for readiness.
_CONDITION_TONES: Final[dict[str, str]] = {
    ConditionType.READY: "good",
    ConditionType.DEGRADED: "bad",
    ConditionType.STALLED: "bad",
    ConditionType.LOST: "bad",
    ConditionType.DISK_PRESSURE: "bad",
}


def install(app: Flask) -> None:
    """Give the templates their words."""
    app.jinja_env.filters.update(
        age=_age,
        utc=words.utc,
        iso=words.iso,
        memory=words.memory,
        cores=words.cores,
        number=words.thousandths,
        points=points,
        two_digits=two_digits,
        tone=tone,
        condition_tone=condition_tone,
        homes=homes,
        hold=lambda one: hold_text(one.replicas, one.text),
        lasting=lambda then, now: words.span(now - then),
        since=since,
        word=word,
        link=link,
    )


def tone(state: str) -> str:
    """Name the tone of a state; one that is not known is never shown as good."""
    return _TONES.get(state, "unknown")


def word(state: str) -> str:
    """Write a state as people say it."""
    return _WORDS.get(state, str(state))


def condition_tone(one: Condition) -> str:
    """Name the tone of a condition. One that says nothing special has none: it is plain text."""
    if one.status is Status.UNKNOWN:
        return "unknown"
    if one.status is Status.TRUE:
        return _CONDITION_TONES.get(one.type, "busy")
    return "bad" if one.type is ConditionType.READY else ""


def since(conditions: tuple[Condition, ...], kind: str) -> datetime | None:
    """Since when a condition is as it is; None: nobody knows, or there is no such condition."""
    return next((one.since for one in conditions if one.type == kind), None)


def link(url: str) -> str:
    """Let through what is a web address, and nothing that could run: `javascript:` ends here."""
    return url if urlsplit(url).scheme in ("http", "https") else ""


def _age(then: datetime | None, now: datetime) -> str:
    return words.age(then, now)
