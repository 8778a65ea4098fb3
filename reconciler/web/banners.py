"""What holds back the whole fleet, so that nobody looks for the reason in one deployment. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from reconciler.observing.causes import REMOVALS_FIX, is_of_removals
from reconciler.rolling.failover import mass_loss
from reconciler.rolling.guards import forgotten
from reconciler.web.facts import Facts
from reconciler.web.rollout_views import BannerView
from reconciler.web.words import utc
from schemas.leader import Leader
from schemas.problem import REPOSITORY, Problem
from schemas.quantity import format_duration

# Each kind of them.
BANNERS: Final = ("leaderless", "frozen", "massLoss", "suspended", "removals", "window")

_REMOVALS_FIX: Final = f"{REMOVALS_FIX[0].upper()}{REMOVALS_FIX[1:]}."


def banners(facts: Facts) -> tuple[BannerView, ...]:
    """Say each of them, the worst first."""
    return tuple(_banners(facts))


def _banners(facts: Facts) -> Iterator[BannerView]:
    fleet = facts.observed.fleet
    leader, lease, renewed = facts.observed.leads, facts.observed.lease, facts.renewed
    if facts.is_leaderless and leader and lease and renewed:
        yield BannerView(kind="leaderless", text=_leaderless(leader, lease, renewed))
    if frozen := facts.observed.frozen or forgotten(facts.observed.decision):
        yield BannerView(kind="frozen", text=f"{frozen_text(frozen[0])}{_way_out(frozen[0])}")
    if many := mass_loss(facts.nodes, fleet.timings.lost):
        end = (
            "It ends once they are back; if they are really gone, take their records out of nodes/."
        )
        text = f"Nothing is moved away from lost nodes: {many}. {end}"
        yield BannerView(kind="massLoss", text=text)
    if fleet.suspend:
        text = "The fleet is suspended: nothing is changed until fleet.yaml says otherwise."
        yield BannerView(kind="suspended", text=text)
    if facts.removals:
        text = f"Removals are held: {facts.removals}. {_REMOVALS_FIX}"
        yield BannerView(kind="removals", text=text)
    if facts.closed:
        yield BannerView(kind="window", text=f"Planned changes wait: {facts.closed}.")


def frozen_text(problem: Problem) -> str:
    """Say why nothing may change: a file is broken, or what is wrong with the whole repository."""
    what = problem.what if problem.place == REPOSITORY else f"{problem.place} is broken"
    return f"Nothing may change: {what}.{f' {_REMOVALS_FIX}' if is_of_removals(problem) else ''}"


def _way_out(problem: Problem) -> str:
    """What ends it, where no file is to be mended: with a broken one it stands beside it."""
    if problem.place != REPOSITORY or is_of_removals(problem):
        return ""
    return f" {problem.fix[0].upper()}{problem.fix[1:]}."


def _leaderless(leader: Leader, lease: timedelta, renewed: datetime) -> str:
    """Say who led. The moment is absolute, so that the text stays as it is."""
    heard = f"was last heard of at {utc(renewed)} (lease {format_duration(lease)})"
    return f"Nobody decides: {leader.holder} led, and {heard}."
