"""What is said where a leader is elected and nobody hears of it any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from reconciler.cli.explain_texts import explanation
from reconciler.cli.steps import remarks_of
from reconciler.decide import Pass, decide
from reconciler.observing.snapshot import Snapshot
from reconciler.rendering.port import Renderer
from reconciler.rolling.marks import Memory
from reconciler.web.looker import Looker
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView, Level
from schemas.layout import LEADER_FILE, LEADER_REF
from schemas.leader import Leader, dump_leader
from schemas.names import CommitId
from tests.builders import A_MOMENT
from tests.unit.reconciler.cli.screens import a_terminal
from tests.unit.reconciler.web.fleets import NOW, a_leaderless_fleet
from tests.unit.reconciler.web.pages import a_page, seen
from tests.unit.reconciler.world import FLEET, InlineRenderer, World, a_world

ELECTING = FLEET + "spec: {leader: {lease: 60s}}\n"
LATER = timedelta(minutes=10)


@dataclass(slots=True)
class Watched:
    """A fleet that elects a leader, and a page that looks at it."""

    world: World = field(default_factory=lambda: a_world(files={"fleet.yaml": ELECTING}))
    looker: Looker = field(init=False)

    def __post_init__(self) -> None:
        self.looker = Looker(self.world.snapshot, InlineRenderer())

    def lead(self, at: datetime, *, seconds: int = 60, released: bool = False) -> CommitId:
        """Renew the lease, at a time by the clock of who leads."""
        lease = Leader(
            holder="one",
            term=1,
            sequence=1,
            lease_seconds=seconds,
            since=A_MOMENT,
            released=released,
        )
        client = self.world.client
        tree = client.write(None, {LEADER_FILE: dump_leader(lease).encode()})
        made = client.commit(tree, parent=None, message="lease", at=at)
        client.push_own(LEADER_REF, made)
        return made

    def look(self, after: timedelta = timedelta(0)) -> FleetView:
        """Look at it, so long after a moment by the clock of who looks."""
        return self.looker.look(lambda: A_MOMENT + after)


def kinds(view: FleetView) -> list[str]:
    return [one.kind for one in view.banners if one.kind == "leaderless"]


def test_a_lease_is_as_old_as_its_commit() -> None:
    watched = Watched()
    watched.lead(A_MOMENT - LATER)

    assert watched.world.snapshot().renewed == A_MOMENT - LATER


def test_a_leader_that_died_before_the_first_look_is_told() -> None:
    watched = Watched()
    watched.lead(A_MOMENT - LATER)

    view = watched.look()

    assert (view.verdict.level, view.verdict.text) == (
        Level.BAD,
        "Nobody decides: one led, and was last heard of at 2026-01-05 11:50:00 UTC (lease 1m).",
    )
    assert (view.leader, view.leading_since, view.term) == ("", None, 1)
    assert view.leader_renewed == A_MOMENT - LATER


def test_a_leader_that_dies_is_told_though_git_stands_still() -> None:
    watched = Watched()
    watched.lead(A_MOMENT)

    told = [kinds(watched.look(timedelta(seconds=after))) for after in (0, 60, 180, 181)]

    assert told == [[], [], [], ["leaderless"]]


def test_once_its_ref_moved_the_clock_of_who_leads_does_not_count() -> None:
    watched = Watched()
    watched.lead(A_MOMENT - timedelta(days=1))
    before = watched.look()
    watched.lead(A_MOMENT - timedelta(days=1) + LATER)

    after = watched.look(LATER)

    assert (kinds(before), before.leader) == (["leaderless"], "")
    assert (kinds(after), after.leader, after.leader_renewed) == ([], "one", A_MOMENT + LATER)
    assert kinds(watched.look(LATER + timedelta(seconds=180))) == []
    assert kinds(watched.look(LATER + timedelta(seconds=181))) == ["leaderless"]


def test_a_renewal_costs_no_decision() -> None:
    watched, decided = Watched(), []

    def count(snapshot: Snapshot, now: datetime, memory: Memory, renderer: Renderer) -> Pass:
        decided.append(now)
        return decide(snapshot, now, memory, renderer)

    looker = Looker(watched.world.snapshot, InlineRenderer(), count)
    views = []
    for after in (timedelta(0), timedelta(seconds=20)):
        watched.lead(A_MOMENT + after)
        views.append(looker.look(lambda: A_MOMENT + after))  # noqa: B023 - called at once

    assert len(decided) == 1
    assert views[1].leader_renewed == A_MOMENT + timedelta(seconds=20)


def test_a_clock_ahead_is_no_word_from_the_future() -> None:
    watched = Watched()
    watched.lead(A_MOMENT + LATER)

    assert watched.look().leader_renewed == A_MOMENT
    assert kinds(watched.look(timedelta(seconds=181))) == ["leaderless"]


def test_who_had_a_longer_lease_may_not_have_read_the_new_one() -> None:
    watched = Watched()
    watched.lead(A_MOMENT - LATER, seconds=600)

    assert kinds(watched.look()) == []


def _free(watched: Watched) -> None:
    watched.lead(A_MOMENT - LATER, released=True)


def _ended(watched: Watched) -> None:
    watched.lead(A_MOMENT - LATER)
    watched.world.commit({"fleet.yaml": FLEET})


def _not_begun(_watched: Watched) -> None:
    """Nobody took the lease yet."""


@pytest.mark.parametrize("become", [_free, _ended, _not_begun])
def test_a_lease_that_nobody_holds_is_of_nobody_who_died(
    become: Callable[[Watched], None],
) -> None:
    watched = Watched()
    become(watched)

    view = watched.look()

    assert kinds(view) == []
    assert (view.leader, view.leader_renewed) == ("", None)


def test_a_dead_leader_is_told_on_every_page_once_and_to_programs() -> None:
    page = a_page(a_leaderless_fleet())

    overview = seen(page, "/").text

    assert overview.count("Nobody decides: one led") == 2, "the title, and the verdict"
    assert "leads since" not in overview
    assert "Nobody decides: one led" in seen(page, "/nodes/alpha").text
    metrics = page.get("/metrics").text
    then = (NOW - timedelta(hours=1)).timestamp()
    assert f"miaas_leader_renewed_timestamp_seconds {then:.15g}\n" in metrics
    assert "miaas_leader_since" not in metrics
    look = page.get("/health").json
    assert (look["status"], look["leader"], look["leadingSince"], look["leaderRenewed"]) == (
        "ok",
        "",
        None,
        "2026-01-05T11:00:30Z",
    )


def test_what_is_explained_begins_with_it() -> None:
    view = fleet_view(a_leaderless_fleet())
    chat = view.deployments_by_name["chat"]

    first, second, *_ = explanation(view, chat, frozenset({"chat-0"}), a_terminal()).splitlines()

    assert first.startswith("Nobody decides: one led, and was last heard of at 2026-01-05 11:00:30")
    assert second == "chat: 1 wanted, 1 placed"


def test_a_plan_says_it_first() -> None:
    watched = Watched()
    watched.lead(A_MOMENT - LATER)
    watched.world.commit({"fleet.yaml": ELECTING.replace("{leader", "{suspend: true, leader")})

    leaderless, suspended = remarks_of(watched.world.decide(), A_MOMENT)

    assert leaderless.startswith("Nobody decides: one led")
    assert suspended.startswith("The fleet is suspended")
