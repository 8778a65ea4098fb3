"""What holds back the whole fleet, so that nobody looks for the reason in one deployment. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.observing.causes import REMOVALS_FIX
from reconciler.rolling.failover import mass_loss
from reconciler.web.facts import Facts
from reconciler.web.rollout_views import BannerView

# Each kind of them.
BANNERS: Final = ("massLoss", "suspended", "removals", "window")


def banners(facts: Facts) -> tuple[BannerView, ...]:
    """Say each of them, the worst first."""
    return tuple(_banners(facts))


def _banners(facts: Facts) -> Iterator[BannerView]:
    fleet = facts.observed.fleet
    if many := mass_loss(facts.nodes, fleet.timings.lost):
        text = f"Nothing is moved away from lost nodes: {many}."
        yield BannerView(kind="massLoss", text=text)
    if fleet.suspend:
        text = "The fleet is suspended: nothing is changed until fleet.yaml says otherwise."
        yield BannerView(kind="suspended", text=text)
    if facts.removals:
        fix = f"{REMOVALS_FIX[0].upper()}{REMOVALS_FIX[1:]}"
        yield BannerView(kind="removals", text=f"Removals are held: {facts.removals}. {fix}.")
    if facts.closed:
        yield BannerView(kind="window", text=f"Planned changes wait: {facts.closed}.")
