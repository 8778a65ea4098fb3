"""What the page shows at this moment: the newest view, and how old it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.web.views import FleetView
from reconciler.web.words import age

# Three looks that brought nothing: one lost answer of a Git server is no event.
_PATIENCE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest view, or None before the first. Replaced as a whole, never changed.

    looked_at: when Git last answered. error: why it does not, since then; empty when it does.
    every: time between two looks.
    """

    view: FleetView | None = None
    looked_at: datetime | None = None
    error: str = ""
    every: timedelta = timedelta(seconds=5)

    def is_stale(self, now: datetime) -> bool:
        """Whether what is shown may no longer be true."""
        return self.looked_at is None or now - self.looked_at > self.every * _PATIENCE

    def status(self, now: datetime) -> str:
        """Say in a word how trustworthy the view is: `starting`, `stale` or `ok`."""
        if self.view is None:
            return "starting"
        return "stale" if self.is_stale(now) else "ok"

    def told(self, now: datetime) -> str:
        """Say in a sentence how old the view is."""
        if self.view is None:
            return "Git has not been read yet."
        return f"Git last answered {age(self.looked_at, now)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class LookView:
    """When and what the answer was made from. status: `ok`, `stale` or `starting`.

    at: when Git last answered. source: the commit that people made. decided: the reconciler's
    newest decision. leader: which of several reconcilers decides; empty: none is elected, the
    lease is free, or nobody has been heard of for too long. leading_since: since when, by its own
    clock. leader_renewed: when who leads, or led, was last heard of; null: nobody leads. error: why
    Git does not answer; empty when it does.
    """

    status: str
    at: datetime | None
    source: str
    decided: str
    leader: str
    leading_since: datetime | None
    leader_renewed: datetime | None
    error: str


def look_view(latest: Latest, now: datetime) -> LookView:
    """Say when and what an answer is made from."""
    return LookView(
        status=latest.status(now),
        at=latest.looked_at,
        source=latest.view.source if latest.view else "",
        decided=latest.view.decided if latest.view else "",
        leader=latest.view.leader if latest.view else "",
        leading_since=latest.view.leading_since if latest.view else None,
        leader_renewed=latest.view.leader_renewed if latest.view else None,
        error=latest.error,
    )
