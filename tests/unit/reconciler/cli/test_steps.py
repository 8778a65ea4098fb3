"""How a merge comes in, as `miaas plan` tells it; and what `miaas explain` names as the blocker."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cli.blockers import blockers
from reconciler.cli.plan_texts import Previewed, unsettled
from reconciler.cli.steps import remarks_of, steps_of
from reconciler.decide import Pass
from reconciler.preview import preview_of_aim
from reconciler.web.looking import facts_of
from reconciler.web.overview import fleet_view
from reconciler.web.rollout_views import HoldView
from reconciler.web.views import NodeMark, NodeState
from tests.unit.reconciler.web.fleets import a_rolling_fleet
from tests.unit.reconciler.world import FLEET, WEB_COMPOSE, deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

TWO = {"parameters": "{text: two}"}
ON_ALPHA = {"placement": "{pin: [alpha]}"}
CLOSED = "  windows: [{kind: deny, cron: '0 0 * * *', duration: 24h}]\n"


def told(fleet: Fleet) -> list[str]:
    return [step.text for step in steps_of(fleet.world.decide())]


def comes_to(result: Pass) -> dict[str, str]:
    return {one.replica: one.fate.value for one in preview_of_aim(result).replicas}


def may_land_elsewhere(result: Pass) -> tuple[str, ...]:
    shown = Previewed(preview=preview_of_aim(result), refusals=(), steps=steps_of(result))
    return unsettled(shown)


def remarks(fleet: Fleet) -> tuple[str, ...]:
    return remarks_of(fleet.world.decide(), fleet.world.clock.now)


def test_a_rollout_comes_one_at_a_time() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})

    assert told(fleet) == ["chat: chat-0 at once; chat-1, chat-2 wait for chat-0 to be ready"]


def test_canaries_come_first() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two", update="{canary: 1}")})

    assert told(fleet) == [
        "chat: chat-0 at once; chat-1, chat-2 wait for the canary chat-0 to be ready"
    ]


def test_outside_its_window_nothing_is_done_at_once() -> None:
    fleet = a_fleet_of(fleet=CLOSED, chat=spread(1))
    fleet.world.commit({"deployments/chat.yaml": spread(1, "two")})

    assert told(fleet) == ["chat: chat-0: `0 0 * * *` (UTC) denies changes now"]


def test_what_holds_the_whole_fleet_is_said_first() -> None:
    names = [f"d{number}" for number in range(5)]
    fleet = a_fleet_of(**{name: deployment(name) for name in names})
    assert remarks(fleet) == ()

    fleet.world.commit({f"deployments/{name}.yaml": None for name in names})
    (held,) = remarks(fleet)
    fleet.world.commit({"fleet.yaml": FLEET + "spec: {suspend: true}\n"})
    suspended, held_too = remarks(fleet)

    assert held.startswith("Removals are held: main removes 5 of 5 running deployments")
    assert suspended.startswith("The fleet is suspended")
    assert held_too == held


def test_a_new_deployment_waits_for_what_it_depends_on() -> None:
    fleet = a_fleet_of(chat=spread(1))
    fleet.change("web", dependsOn="[db]")
    fleet.change("db")

    assert told(fleet) == ["web: web-0 waits for db to be ready"]


def test_what_is_done_at_once_and_what_is_held_without_a_change_is_not_told() -> None:
    fleet = a_fleet_of(chat=deployment("chat"))
    fleet.change("chat", suspend="true")
    fleet.change("web")

    assert told(fleet) == []


def test_what_this_pass_does_not_start_is_not_told_as_done_at_once() -> None:
    fleet = a_fleet_of("alpha", db=deployment("db"), chat=deployment("chat", resources="{cpu: 12}"))
    new = {"replicas": 2, "resources": "{cpu: 7}", "dependsOn": "[db]", **TWO}
    fleet.world.commit(
        {
            "deployments/chat.yaml": deployment("chat", **new),
            "deployments/db.yaml": deployment("db", **TWO),
        }
    )

    (step,) = steps_of(fleet.world.decide())
    fleet.step()

    assert step.deployment == "chat"
    assert step.first == ()
    assert fleet.homes() == {"chat-0": "alpha"}


def test_an_extra_replica_is_told_as_passing_and_counts_for_nothing() -> None:
    first = {"update": "{strategy: startFirst}", "priority": 1, "resources": "{cpu: 6}"}
    fleet = a_fleet_of("alpha", chat=deployment("chat", **first))
    fleet.world.commit(
        {
            "deployments/chat.yaml": deployment("chat", **first, **TWO),
            "deployments/web.yaml": deployment("web", resources="{cpu: 6}"),
        }
    )
    result = fleet.world.decide()
    fleet.step()
    later = fleet.world.decide()
    fleet.rest()

    assert comes_to(result) == {"chat-0": "change", "web-0": "add"}
    assert result.aim.plan.refusals == ()
    assert steps_of(result)[0].text == (
        "chat: chat-1 at once, for a while; chat-0 waits for the extra replica chat-1 to be ready"
    )
    assert comes_to(later) == {"chat-0": "change", "chat-1": "remove", "web-0": "add"}
    assert [step.text for step in steps_of(later)] == [
        "chat: chat-0 at once; chat-1 waits to go until the others are ready",
        "web: web-0 waits for room on alpha, which chat-1 has for now",
    ]
    assert (fleet.homes(), fleet.homes("web")) == ({"chat-0": "alpha"}, {"web-0": "alpha"})
    assert comes_to(fleet.world.decide()) == {}


def test_an_extra_replica_without_room_is_told_as_what_the_others_wait_for() -> None:
    first = {"update": "{strategy: startFirst}", "resources": "{cpu: 12}"}
    fleet = a_fleet_of("alpha", chat=deployment("chat", **first))
    fleet.change("chat", **first, **TWO)

    assert told(fleet) == [
        "chat: chat-1: no node has room for the extra replica; "
        "chat-0 waits for the extra replica chat-1 to be ready"
    ]
    assert comes_to(fleet.world.decide()) == {"chat-0": "change"}


def test_an_extra_replica_that_cannot_be_rendered_holds_its_deployment_in_the_end_too() -> None:
    first = {"update": "{strategy: startFirst}"}
    fleet = a_fleet_of("alpha", "beta", chat=deployment("chat", **first))
    compose = "{% if replica.index %}{{ fail('no more') }}{% endif %}\n" + WEB_COMPOSE
    fleet.world.commit({"templates/web/compose.yaml.j2": compose})
    fleet.rest(3)
    fleet.world.commit({"deployments/chat.yaml": deployment("chat", **first, **TWO)})

    result = fleet.world.decide()

    assert result.held.keys() == {"chat"}
    assert comes_to(result) == {}


def test_a_fenced_move_is_told_with_the_stop_that_comes_at_once() -> None:
    fenced = deployment("chat", disconnect="{stopAfter: 2m, loseAfter: 4m}")
    fleet = a_fleet_of("alpha", "beta", chat=fenced)
    home = fleet.homes()["chat-0"]
    (other,) = {"alpha", "beta"} - {home}
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})

    said = told(fleet)
    fleet.step()

    assert fleet.homes() == {}
    assert said == [
        f"chat: chat-0 is stopped on {home} at once, to start on {other}; "
        f"chat-0 waits for {home} to stop it"
    ]


def a_full_fleet(*nodes: str, **more: str) -> tuple[Fleet, Pass]:
    """A suspended chat that is to shrink on alpha, and web that needs the room. And the plan."""
    chat = deployment("chat", resources="{cpu: 12}", **ON_ALPHA)
    fleet = a_fleet_of(*nodes, chat=chat, **more)
    less = deployment("chat", resources="{cpu: 2}", suspend="true", **ON_ALPHA, **TWO)
    web = deployment("web", resources="{cpu: 9}")
    fleet.world.commit({"deployments/chat.yaml": less, "deployments/web.yaml": web})
    return fleet, fleet.world.decide()


def test_what_waits_for_room_is_told_with_who_has_it() -> None:
    fleet, planned = a_full_fleet("alpha")
    fleet.rest(4)
    rested = fleet.world.decide()
    view = fleet_view(facts_of(rested))
    (absent,) = view.deployments_by_name["web"].absent

    assert fleet.homes("web") == {}
    for result in (planned, rested):
        assert comes_to(result) == {"chat-0": "change", "web-0": "add"}
        assert [step.text for step in steps_of(result)] == [
            "chat: chat-0: chat is suspended",
            "web: web-0 waits for room on alpha, which chat-0 has for now",
        ]
        assert may_land_elsewhere(result) == ("web-0",)
    assert (absent.goes_to, absent.kept_by) == ("alpha", ("chat-0",))
    found = blockers(view, view.deployments_by_name["web"], frozenset({"web-0"}))
    assert found[-2:] == (
        "web-0 waits for room on alpha, which chat-0 has for now",
        "  chat-0: chat is suspended",
    )


def test_who_comes_to_another_node_than_in_the_end_is_told() -> None:
    base = deployment("base", resources="{cpu: 4}", placement="{pin: [beta]}")
    fleet, result = a_full_fleet("alpha", "beta", base=base)
    fleet.step()

    assert [one.goes_to for one in preview_of_aim(result).replicas] == ["alpha", "alpha"]
    assert fleet.homes("web") == {"web-0": "beta"}
    assert steps_of(result)[-1].text == "web: web-0 at once, but on beta"
    assert may_land_elsewhere(result) == ("web-0",)


def test_who_gives_way_to_one_that_is_held_goes_only_with_it() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat", resources="{cpu: 12}", priority=-5))
    fleet.world.commit(
        {
            "deployments/db.yaml": deployment("db"),
            "deployments/web.yaml": deployment(
                "web",
                resources="{cpu: 12}",
                placement="{preemption: lowerPriority}",
                dependsOn="[db]",
            ),
        }
    )

    result = fleet.world.decide()

    assert comes_to(result) == {"chat-0": "remove", "db-0": "add", "web-0": "add"}
    assert [step.text for step in steps_of(result)] == [
        "chat: chat-0 waits to go until web-0 needs its room on alpha",
        "web: web-0 waits for db to be ready",
    ]


def test_a_blocker_is_sought_down_the_chain_and_a_circle_ends() -> None:
    view = fleet_view(a_rolling_fleet())
    web, db = view.deployments_by_name["web"], view.deployments_by_name["db"]
    circle = replace(
        view,
        deployments_by_name={**view.deployments_by_name, "db": replace(db, depends_on=("api",))},
    )
    chain = (
        "rolling: 0 of 1 ready",
        "web-0 waits for api to be ready",
        "  api is not ready: 0 of 1 ready, since 2026-01-05 11:30:30 UTC",
        "    api-0 on alpha is not ready: starting, since 2026-01-05 11:30:30 UTC",
        "    db is not ready: 0 of 1 ready, since 2026-01-05 11:56:30 UTC",
        "      db-0 on beta is not ready: degraded, since 2026-01-05 11:56:30 UTC",
    )

    assert blockers(view, web, frozenset({"web-0"})) == chain
    assert blockers(circle, web, frozenset({"web-0"})) == chain
    missing = replace(view, deployments_by_name={"web": web})
    assert blockers(missing, web, frozenset({"web-0"}))[-1] == "  api: there is no such deployment"


def test_a_silent_node_is_named_as_the_blocker() -> None:
    view = fleet_view(a_rolling_fleet())
    text = "beta was not heard of lately"
    hold = HoldView(reason="silent", text=text, replicas=("db-0",), since=None)
    db = replace(view.deployments_by_name["db"], holds=(hold,))
    late = NodeMark(state=NodeState.LATE, why="no heartbeat for more than 90 seconds")
    nodes = {"beta": replace(view.nodes_by_name["beta"], mark=late)}

    found = blockers(replace(view, nodes_by_name=nodes), db, frozenset({"db-0"}))

    assert found == (
        "db-0: beta was not heard of lately",
        "  beta: Late, no heartbeat for more than 90 seconds",
    )
