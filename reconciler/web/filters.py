"""Words for templates: amounts, ages and the icon of each state."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from flask import Flask

from reconciler.web import words
from reconciler.web.scores import points, two_digits
from reconciler.web.views import Health, Level, NodeState, Sync

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
    NodeState.LATE: "unknown",
    NodeState.LOST: "bad",
    NodeState.UNSEEN: "unknown",
    NodeState.NOT_ADMITTED: "busy",
    Level.GOOD: "good",
    Level.BUSY: "busy",
    Level.BAD: "bad",
    Level.EMPTY: "unknown",
}
_WORDS: Final[dict[str, str]] = {
    Sync.OUT_OF_SYNC: "Out of sync",
    NodeState.NOT_ADMITTED: "Not admitted",
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
        word=word,
        link=link,
    )


def tone(state: str) -> str:
    """Name the tone of a state; one that is not known is never shown as good."""
    return _TONES.get(state, "unknown")


def word(state: str) -> str:
    """Write a state as people say it."""
    return _WORDS.get(state, str(state))


def link(url: str) -> str:
    """Let through what is a web address, and nothing that could run: `javascript:` ends here."""
    return url if urlsplit(url).scheme in ("http", "https") else ""


def _age(then: datetime | None, now: datetime) -> str:
    return words.age(then, now)
