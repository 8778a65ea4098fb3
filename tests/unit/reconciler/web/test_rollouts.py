"""What the page and the API show of rollouts, of what waits, and of brakes of the whole fleet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.conditions.condition import ConditionType
from reconciler.observing.node import Freshness
from reconciler.web.banners import BANNERS
from reconciler.web.looker import Looker
from reconciler.web.overview import fleet_view
from reconciler.web.search import matching
from reconciler.web.views import Health, Level, NodeState, Sync
from reconciler.web.words import iso, utc
from schemas.assignment import Phase
from schemas.layout import FLEET_FILE
from schemas.problem import Place, Problem
from tests.builders import A_MOMENT, a_fleet, a_node
from tests.unit.reconciler.web.fleets import (
    NOW,
    a_busy_fleet,
    a_leaderless_fleet,
    a_quiet_fleet,
    a_rolling_fleet,
)
from tests.unit.reconciler.web.pages import a_page
from tests.unit.reconciler.world import deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

VIEW = fleet_view(a_rolling_fleet())
OF = VIEW.deployments_by_name


def seen(fleet: Fleet) -> Looker:
    world = fleet.world
    return Looker(world.reader.read, world.renderer, history=world.reader.history)


def test_a_rollout_says_how_far_it_is_and_what_it_waits_for() -> None:
    chat = OF["chat"].rollout

    assert chat.phase is Phase.ROLLING
    assert chat.text == "1 of 4 ready in 3f2a91c0; chat-2, chat-3 wait for chat-1 to be ready"
    assert chat.since == NOW - timedelta(minutes=4)


def test_what_was_rolled_back_says_why_and_how_to_go_on() -> None:
    api = OF["api"]

    assert api.rollout.text == (
        "3f2a91c0 was rolled back to the last good version, 9a1b2c3d: api-0 failed: crash loop: "
        "service web exited with code 1; to go on, change it in main: another version is tried "
        "at once"
    )
    assert api.sync.state is Sync.OUT_OF_SYNC


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("rolledback", {"api"}),
        ("held", {"chat", "old", "web"}),
        ("rolling held", {"chat", "web"}),
        ("drained", {"gamma"}),
        ("suspended", {"delta"}),
    ],
)
def test_the_page_can_be_narrowed_to_them(asked: str, names: set[str]) -> None:
    shown = matching(VIEW, asked)

    assert {one.name for one in (*shown.deployments, *shown.nodes)} == names | (
        {"omega"} if asked == "held" else set()
    )


def test_what_waits_for_others_is_on_its_way_and_not_ill() -> None:
    web = OF["web"]

    assert (web.health.state, web.health.why) == (
        Health.PROGRESSING,
        "web-0 waits for api to be ready",
    )
    assert [(one.name, one.goes_to) for one in web.absent] == [("web-0", "alpha")]


def test_who_holds_what_must_not_run_twice_and_where_it_goes() -> None:
    (holder,) = OF["old"].holders

    assert (holder.node, holder.epoch, holder.moves_to) == ("beta", 3, "alpha")


def test_nodes_say_what_their_operator_wants_and_how_far_that_is() -> None:
    nodes = VIEW.nodes_by_name

    assert nodes["beta"].duty_text == "draining: 2 replicas left"
    assert nodes["gamma"].drained
    assert nodes["delta"].suspended
    assert nodes["omega"].mark.state is NodeState.HELD_DOWN
    assert nodes["omega"].held_down_until == NOW + timedelta(minutes=2)
    assert nodes["alpha"].duty_text == ""


def test_the_line_at_the_top_counts_what_failed_and_what_is_on_its_way() -> None:
    rolling = a_rolling_fleet()
    decision = rolling.observed.decision
    calm = replace(
        rolling,
        observed=replace(
            rolling.observed,
            deployments=tuple(d for d in rolling.observed.deployments if d.name == "chat"),
            heartbeats=rolling.observed.heartbeats[:1],
            assignments={
                name: replace(
                    each, replicas=tuple(r for r in each.replicas if r.deployment == "chat")
                )
                for name, each in rolling.observed.assignments.items()
                if name == "alpha"
            },
            records=rolling.observed.records[:1],
            decision=replace(
                decision, deployments=tuple(d for d in decision.deployments if d.name == "chat")
            ),
        ),
        nodes=rolling.nodes[:1],
    )

    assert VIEW.verdict.text.startswith("1 of 6 deployments not well, 2 of 6 deployments rolled")
    found = fleet_view(replace(calm, closed="")).verdict
    assert found.level is Level.BUSY
    assert "1 rolling out, 1 waiting" in found.text


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("leaderless", "Nobody decides: one led, and was last heard of at 2026-01-05 11:00:30 UTC"),
        ("frozen", "Nothing may change: fleet.yaml:1:1 is broken."),
        ("massLoss", "3 of 3 nodes are silent, so the fault is probably ours"),
        ("suspended", "The fleet is suspended"),
        ("removals", "Removals are held: main removes 9"),
        ("window", "Planned changes wait: changes are made only"),
    ],
)
def test_what_holds_the_whole_fleet_stands_on_every_page(kind: str, said: str) -> None:
    quiet = a_quiet_fleet()
    span = timedelta(hours=1)
    lost = tuple(a_node(n, freshness=Freshness.LOST, silence=span) for n in "abc")
    facts = {
        "leaderless": a_leaderless_fleet(),
        "frozen": replace(
            quiet,
            observed=replace(quiet.observed, frozen=(Problem(Place(FLEET_FILE, 1, 1), "x", "y"),)),
        ),
        "massLoss": replace(quiet, nodes=lost),
        "suspended": replace(
            quiet, observed=replace(quiet.observed, fleet=replace(a_fleet(), suspend=True))
        ),
        "removals": replace(quiet, removals="main removes 9"),
        "window": replace(quiet, closed="changes are made only at night"),
    }[kind]

    page = a_page(facts)

    assert [one.kind for one in fleet_view(facts).banners] == [kind]
    assert said in page.get("/").text
    assert said in page.get("/nodes/alpha").text
    ones = [x for x in page.get("/metrics").text.splitlines() if x.startswith("miaas_fleet_held")]
    assert [line for line in ones if line.endswith(" 1")] == [
        f'miaas_fleet_held{{kind="{kind}"}} 1'
    ]
    assert len(ones) == len(BANNERS)


def test_a_quiet_fleet_has_no_banner_and_nothing_that_waits() -> None:
    view = fleet_view(a_quiet_fleet())

    assert view.banners == ()
    assert view.exceptions == ()
    assert view.deployments_by_name["chat"].holds == ()


def test_everything_has_conditions_in_the_api() -> None:
    page = a_page(a_rolling_fleet())

    deployment_ = page.get("/api/v1/deployments/chat").json["deployment"]
    node = page.get("/api/v1/nodes/omega").json["node"]

    assert [one["type"] for one in deployment_["conditions"]] == [
        "Ready",
        "Progressing",
        "Degraded",
        "Stalled",
        "Pending",
        "Held",
    ]
    assert deployment_["replicas"][0]["conditions"][0] == {
        "type": "Ready",
        "status": "True",
        "reason": "Running",
        "message": "every service runs",
        "since": "2026-01-05T11:56:30Z",
        "observedRevision": "3f2a91c0" + "0" * 32,
    }
    assert len(node["conditions"]) == 7
    for name, one in fleet_view(a_busy_fleet()).nodes_by_name.items():
        assert bool(one.conditions) is (name != "stray")


def test_conditions_are_metrics() -> None:
    text = a_page(a_rolling_fleet()).get("/metrics").text

    assert 'miaas_deployment_condition{deployment="chat",type="Ready"} 0' in text
    assert 'miaas_deployment_condition{deployment="api",type="Stalled"} 1' in text
    assert 'miaas_node_condition{node="omega",type="HeldDown"} 1' in text
    assert 'replica="chat-0",node="alpha",type="Ready"} 1' in text
    assert 'miaas_deployment_rollout{deployment="api",state="rolledBack"} 1' in text


def test_times_stand_as_people_and_programs_read_them() -> None:
    text = a_page(a_rolling_fleet()).get("/deployments/chat").text

    assert (
        'for <time datetime="2026-01-05T11:56:30Z" title="since 2026-01-05 11:56:30 UTC">'
        "4 minutes</time>"
    ) in text


@pytest.mark.parametrize(
    ("name", "minutes", "said"),
    [
        pytest.param("beta", 30, "30 minutes ago", id="draining"),
        pytest.param("delta", 4, "4 minutes ago", id="suspended"),
    ],
)
def test_a_node_says_for_how_long_its_duty_lasts(name: str, minutes: int, said: str) -> None:
    page = a_page(a_rolling_fleet())
    moment = NOW - timedelta(minutes=minutes)

    text = page.get(f"/nodes/{name}").text
    conditions = page.get(f"/api/v1/nodes/{name}").json["node"]["conditions"]

    duty = text.partition("<dt>Duty</dt>")[2].partition("</div>")[0]
    assert f', since <time datetime="{iso(moment)}" title="{said}">{utc(moment)}</time>' in duty
    told = {one["type"]: one for one in conditions}
    kind = "Draining" if name == "beta" else "Cordoned"
    assert told[kind]["since"] == iso(moment)
    assert told[kind]["observedRevision"] == "a" * 40


def test_of_a_duty_of_which_the_history_tells_nothing_no_moment_is_shown() -> None:
    duty = a_page(a_rolling_fleet()).get("/nodes/gamma").text.partition("<dt>Duty</dt>")[2]

    assert "<time" not in duty.partition("</div>")[0]


def test_a_real_drain_is_seen_from_its_commit_on() -> None:
    fleet = a_fleet_of(chat=spread(1))
    fleet.world.clock.pass_by(timedelta(minutes=5))
    begun = fleet.world.clock.now
    fleet.world.commit({"nodes/alpha.yaml": node("alpha", duty="draining")})
    fleet.rest(4)
    fleet.world.commit({"nodes/beta.yaml": node("beta", duty="cordoned")})

    view = seen(fleet).look(lambda: fleet.world.clock.now)

    told = {
        name: {
            str(one.type): one.since
            for one in view.nodes_by_name[name].conditions
            if one.type in {ConditionType.CORDONED, ConditionType.DRAINING}
        }
        for name in ("alpha", "beta", "gamma")
    }
    assert told == {
        "alpha": {"Cordoned": begun, "Draining": begun},
        "beta": {"Cordoned": fleet.world.clock.now, "Draining": A_MOMENT},
        "gamma": {"Cordoned": A_MOMENT, "Draining": A_MOMENT},
    }


def test_a_real_rollout_is_seen_from_its_beginning_to_its_end() -> None:
    fleet = a_fleet_of(chat=spread(2))
    looker = seen(fleet)
    began = fleet.world.clock.now
    first = looker.look(lambda: began).deployments_by_name["chat"]

    fleet.world.commit({"deployments/chat.yaml": spread(2, "two")})
    fleet.world.pass_once()
    middle = looker.look(lambda: began).deployments_by_name["chat"]
    fleet.rest()
    last = looker.look(lambda: fleet.world.clock.now).deployments_by_name["chat"]

    assert first.rollout.phase is Phase.SETTLED
    assert middle.rollout.phase is Phase.ROLLING
    assert middle.rollout.since == began
    assert "chat-1 waits for" in middle.rollout.text
    assert middle.holds[0].since == began
    assert last.rollout.phase is Phase.SETTLED
    assert last.sync.state is Sync.SYNCED
    assert last.rollout.revision != first.rollout.revision


def test_held_removals_are_seen_though_their_documents_are_gone() -> None:
    names = [f"d{number}" for number in range(5)]
    fleet = a_fleet_of(**{name: deployment(name) for name in names})
    fleet.world.commit({f"deployments/{name}.yaml": None for name in names})
    fleet.rest(2)

    view = seen(fleet).look(lambda: fleet.world.clock.now)

    assert [one.kind for one in view.banners] == ["removals"]
    assert "main removes 5 of 5" in view.banners[0].text
