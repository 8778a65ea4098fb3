"""Who keeps failing on one node leaves it, once in a version, and only where others do well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.decide import decide_with
from reconciler.placing.plan import Placement
from reconciler.placing.rebalance import Move
from schemas.assignment import Phase, Rescheduled
from schemas.fleet import Timings
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import WEB_COMPOSE, deployment, node
from tests.unit.rolling.fleet import POLL, Fleet, a_fleet_of, spread

FAILS = ReplicaState.FAILED
# Until a replica that begins to fail has failed for a minute, and is moved in the pass after.
A_MINUTE = int(timedelta(minutes=1) / POLL)
ENOUGH = A_MINUTE + 1
# Until a node that falls silent is late.
LATE = int(Timings().late / POLL) + 1


def moved(fleet: Fleet) -> tuple[Rescheduled, ...]:
    return fleet.world.decide().observed.decision.rescheduled


def fails(fleet: Fleet, *replicas: str) -> None:
    """Let replicas fail wherever they run, from now on."""
    fleet.states = dict.fromkeys(replicas, FAILS)
    fleet.obey()


def test_it_leaves_for_another_node_and_says_why() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fails(fleet, "chat-0")

    fleet.rest(A_MINUTE)
    assert fleet.homes()["chat-0"] == home
    fleet.step()

    other = fleet.homes()["chat-0"]
    assert other != home
    (told,) = moved(fleet)
    assert (told.replica, told.node) == ("chat-0", home)
    assignments = fleet.world.decide().observed.assignments.values()
    (why,) = (one.why.text for each in assignments for one in each.replicas)
    assert why == f"moved from {home}: it kept failing there"
    reason = f"Reason: chat-0 could not stay on {home}: it kept failing there\n"
    assert any(reason in message for message in fleet.world.history())


def test_it_leaves_once_and_then_stays_where_it_fails() -> None:
    fleet = a_fleet_of(chat=spread(1))
    home = fleet.homes()["chat-0"]
    fails(fleet, "chat-0")

    fleet.rest(ENOUGH)
    other = fleet.homes()["chat-0"]
    for _ in range(20):
        fleet.step()
        assert fleet.homes() == {"chat-0": other}

    assert other != home
    assert len(moved(fleet)) == 1


def test_in_another_version_it_may_leave_again() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    fails(fleet, "chat-0")
    fleet.rest(ENOUGH)
    fleet.states = {}
    fleet.world.commit({"deployments/chat.yaml": spread(1, text="two")})
    fleet.rest()
    assert fleet.phase() is Phase.SETTLED
    assert moved(fleet) == ()
    home = fleet.homes()["chat-0"]

    fails(fleet, "chat-0")
    fleet.rest(ENOUGH)

    assert fleet.homes()["chat-0"] != home


def test_one_that_holds_its_grant_stops_where_it_was_before_it_starts_elsewhere() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1, disconnect="{stopAfter: 2m, loseAfter: 4m}"))
    home = fleet.homes()["chat-0"]
    fails(fleet, "chat-0")
    fleet.agents[home].stops = False

    fleet.rest(2 * ENOUGH)
    assert fleet.homes() == {}
    fleet.agents[home].stops = True
    fleet.rest(3)

    assert fleet.homes()["chat-0"] not in {"", home}


def test_those_that_fail_together_leave_one_a_minute() -> None:
    names = ("a", "b", "c")
    fleet = a_fleet_of(**{name: deployment(name) for name in names})
    fails(fleet, *(f"{name}-0" for name in names))

    fleet.rest(A_MINUTE)

    counts = []
    for _ in range(2 * A_MINUTE + 1):
        fleet.step()
        counts.append(len(moved(fleet)))

    assert counts == [1] * A_MINUTE + [2] * A_MINUTE + [3]


@pytest.mark.parametrize(
    ("spec", "failing"),
    [
        pytest.param({"disconnect": "{replace: false}"}, ("chat-0",), id="people do not want it"),
        pytest.param({"placement": "{pin: [alpha]}"}, ("chat-0",), id="no other node may have it"),
        pytest.param({"suspend": "true"}, ("chat-0",), id="suspended"),
    ],
)
def test_it_stays(spec: dict[str, str], failing: tuple[str, ...]) -> None:
    fleet = a_fleet_of("alpha", "beta", chat=deployment("chat", **spec))
    before = fleet.homes()
    fails(fleet, *failing)

    fleet.rest(2 * ENOUGH)

    assert fleet.homes() == before
    assert moved(fleet) == ()


def test_what_most_replicas_do_is_no_fault_of_a_node() -> None:
    fleet = a_fleet_of(chat=spread(3))
    before = fleet.homes()
    fails(fleet, "chat-0", "chat-1", "chat-2")

    fleet.rest(2 * ENOUGH)

    assert fleet.homes() == before


def test_volumes_tie_it_to_its_node() -> None:
    fleet = a_fleet_of("alpha", "beta", volumes=True, chat=spread(1))
    before = fleet.homes()
    fails(fleet, "chat-0")

    fleet.rest(2 * ENOUGH)

    assert fleet.homes() == before


def test_a_node_whose_docker_does_not_answer_is_waited_for() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.agents[home].docker = "does not answer"
    fails(fleet, "chat-0")

    fleet.rest(2 * ENOUGH)

    assert fleet.homes() == {"chat-0": home}


def test_what_its_node_said_before_a_pause_is_no_reason_until_it_says_it_again() -> None:
    """Seed 4180."""
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fails(fleet, "chat-0")
    fleet.silent.add(home)
    fleet.world.memory = replace(fleet.world.memory, paused=True)

    fleet.rest(ENOUGH)
    assert fleet.homes() == {"chat-0": home}
    fleet.silent.clear()
    fleet.obey()
    fleet.step()

    assert fleet.homes()["chat-0"] != home


def test_nobody_leaves_while_most_nodes_are_silent() -> None:
    """It may fail for what it needs on one of them."""
    fleet = a_fleet_of("alpha", "beta", "gamma", "delta", "eta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.silent |= set(sorted(fleet.agents.keys() - {home})[:3])
    fleet.rest(LATE)
    fails(fleet, "chat-0")

    fleet.rest(2 * ENOUGH)
    assert fleet.homes() == {"chat-0": home}
    fleet.silent.clear()
    fleet.rest(2)

    assert fleet.homes()["chat-0"] != home


def test_a_version_that_never_ran_anywhere_is_not_carried_around() -> None:
    fleet = a_fleet_of("alpha", "beta")
    fleet.states = {"chat-0": FAILS}
    fleet.world.commit({"deployments/chat.yaml": spread(1)})
    fleet.rest(2)
    before = fleet.homes()

    fleet.rest(2 * ENOUGH)

    assert fleet.phase() is Phase.STALLED
    assert fleet.homes() == before


def test_one_of_a_first_version_leaves_where_the_others_do_well() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states = {"wide-1": FAILS}
    fleet.world.commit({"deployments/wide.yaml": deployment("wide", replicas=3)})
    fleet.rest(2)
    before = fleet.homes("wide")

    fleet.rest(2 * ENOUGH)

    after = fleet.homes("wide")
    assert {name for name in before if before[name] != after[name]} == {"wide-1"}


def test_where_no_other_node_has_room_it_stays_and_goes_when_one_has() -> None:
    wide = spread(1, resources="{memory: 40GiB}")
    fleet = a_fleet_of("alpha", chat=wide)
    fails(fleet, "chat-0")
    fleet.rest(ENOUGH)
    assert fleet.homes() == {"chat-0": "alpha"}

    fleet.agents["beta"] = type(fleet.agents["alpha"])("beta")
    fleet.world.commit({"nodes/beta.yaml": node("beta")})
    fleet.say("beta")
    fleet.rest(3)

    assert fleet.homes() == {"chat-0": "beta"}


def test_one_that_finds_no_other_node_keeps_nobody_from_leaving() -> None:
    names = ("a", "b", "c", "d", "e")
    texts = {name: deployment(name, placement="{pin: [alpha]}") for name in names[:-1]}
    fleet = a_fleet_of(
        "alpha", "beta", **texts, e=deployment("e", placement="{pin: [alpha, beta]}")
    )
    before = fleet.homes("e")
    fails(fleet, *(f"{name}-0" for name in names))

    fleet.rest(3 * ENOUGH)

    assert fleet.homes("e") != before
    assert [one.replica for one in moved(fleet)] == ["e-0"]


def test_the_story_tells_of_it() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fails(fleet, "chat-0")
    fleet.rest(A_MINUTE)
    fleet.world.clock.pass_by(POLL)

    outcome = fleet.world.pass_once()

    assert outcome.commit is not None
    message = fleet.world.client.show(outcome.commit).message
    assert f"moved from {home}: it kept failing there" in message


def a_fleet_whose_rollout_failed() -> Fleet:
    """chat-0 keeps failing on its node, also in the old version; chat-2 serves on for it."""
    update = "{strategy: startFirst}"
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(2, update=update))
    fails(fleet, "chat-0")
    fleet.world.commit({"deployments/chat.yaml": spread(2, text="two", update=update)})
    fleet.rest(A_MINUTE)
    assert fleet.phase() is Phase.ROLLED_BACK
    assert len(set(fleet.homes().values())) == 3
    return fleet


def ports(fleet: Fleet) -> list[tuple[str, int]]:
    """Every port that is promised, with its node."""
    assignments = fleet.world.decide().observed.assignments
    return [
        (node, port)
        for node, each in assignments.items()
        for one in each.replicas
        for port in one.ports.values()
    ]


def test_it_takes_no_port_of_the_extra_replica_that_serves_on_for_it() -> None:
    fleet = a_fleet_whose_rollout_failed()
    home = fleet.homes()["chat-0"]

    fleet.rest(ENOUGH)

    assert fleet.homes()["chat-0"] != home
    assert len(ports(fleet)) == len(set(ports(fleet))) == 3


def test_nor_of_one_that_should_leave_and_is_held() -> None:
    sick = deployment("sick", placement="{pin: [gamma, delta]}")
    fleet = a_fleet_of(chat=spread(3), sick=sick)
    home, other = fleet.homes("sick")["sick-0"], fleet.homes()["chat-2"]
    assert {home, other} == {"gamma", "delta"}
    fleet.world.commit({"deployments/chat.yaml": spread(1, suspend="true")})
    fails(fleet, "sick-0")

    fleet.rest(ENOUGH)

    assert set(fleet.homes()) == {"chat-0", "chat-1", "chat-2"}
    assert fleet.homes("sick") == {"sick-0": other}
    assert len(ports(fleet)) == len(set(ports(fleet))) == 4


def test_a_move_to_where_no_room_is_left_is_not_made() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(2))
    result = fleet.world.decide()
    one, other = result.previous
    crowded = replace(one, node=other.node, ports=other.ports)
    free = replace(crowded, ports={"http": other.ports["http"] + 1})

    def moved_to(place: Placement) -> Placement:
        move = Move(replica=one.replica, was_on=one.node, to=place, gain=1.0, why="to gain")
        decided = decide_with(result, (move,), fleet.world.renderer)
        return next(it for it in decided.plan.placements if it.replica == one.replica)

    assert moved_to(free) == free
    assert moved_to(crowded) == one


def a_template_that_asks_for(expression: str) -> dict[str, str]:
    text = WEB_COMPOSE.replace("TEXT: {{ params.text }}", f"TEXT: {{{{ {expression} }}}}")
    return {"templates/web/compose.yaml.j2": text}


def test_no_node_takes_it_on_which_it_cannot_be_rendered() -> None:
    """It stays as it is, and no pass ends in it (seed 8054)."""
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.world.commit(a_template_that_asks_for(f"{{'{home}': 'x'}}[node.name]"))
    fleet.rest()
    fails(fleet, "chat-0")

    fleet.rest(ENOUGH)

    assert fleet.homes() == {"chat-0": home}
    assert moved(fleet) == ()
    assert fleet.world.decide().held == {}


def test_one_that_left_and_is_still_to_start_waits_while_it_cannot_be_rendered() -> None:
    names = ("alpha", "beta")
    plain = {f"nodes/{name}.yaml": node(name) for name in names}
    labelled = {
        path: text.replace("}", ", labels: {room: one}}", 1) for path, text in plain.items()
    }
    fleet = a_fleet_of(*names, chat=spread(1, disconnect="{stopAfter: 2m, loseAfter: 4m}"))
    fleet.world.commit({**labelled, **a_template_that_asks_for("node.labels.room")})
    fleet.rest()
    home = fleet.homes()["chat-0"]
    fails(fleet, "chat-0")
    fleet.agents[home].stops = False
    fleet.rest(2 * ENOUGH)
    assert fleet.homes() == {}

    fleet.world.commit(plain)
    fleet.agents[home].stops = True
    fleet.rest(3)
    assert fleet.homes() == {}
    assert "chat" in fleet.world.decide().held

    fleet.world.commit(labelled)
    fleet.rest(3)
    assert fleet.homes()["chat-0"] not in {"", home}
