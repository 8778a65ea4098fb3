"""A version that is rejected goes everywhere; who waits for something else holds nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import deployment
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

WAVES = "  waves: [{key: zone, operator: In, values: [first]}]\n"
ONE, TWO = "{text: one}", "{text: two}"


def in_the_first_wave(name: str) -> str:
    labels = "{zone: first}"
    return f"apiVersion: miaas/v1\nkind: Node\nmetadata: {{name: {name}, labels: {labels}}}\n"


def rejected(fleet: Fleet, replica: str = "chat-1") -> None:
    """Let a version fail on a replica, and that be over once it was rejected."""
    fleet.states[replica] = ReplicaState.FAILED
    fleet.rest(4)
    assert fleet.phase() is Phase.ROLLED_BACK
    del fleet.states[replica]


def test_it_does_not_wait_for_what_the_good_version_depended_on() -> None:
    fleet = a_fleet_of(base=deployment("base"), chat=spread(3, dependsOn="[base]"))
    fleet.rest(3)
    fleet.world.commit({"deployments/base.yaml": None, "deployments/chat.yaml": spread(3, "two")})
    fleet.step()

    rejected(fleet)
    fleet.rest(8)

    assert set(fleet.texts().values()) == {"one"}


def test_nor_for_the_wave_of_another_deployment() -> None:
    where = "{pin: [beta, gamma, delta], strategy: spread}"
    other = {"placement": "{pin: [alpha]}"}
    fleet = a_fleet_of(
        fleet=WAVES,
        a=deployment("a", **other, parameters=ONE),
        chat=deployment("chat", replicas=3, placement=where, parameters=ONE),
    )
    fleet.world.commit({"nodes/alpha.yaml": in_the_first_wave("alpha")})
    fleet.rest(3)
    fleet.change("chat", replicas=3, placement=where, parameters=TWO)
    fleet.rest(2)
    fleet.states["a-0"] = ReplicaState.STARTING
    fleet.change("a", **other, parameters=TWO)
    fleet.step()

    rejected(fleet)
    fleet.rest(4)

    assert set(fleet.texts().values()) == {"one"}


def test_nor_for_a_time_of_changes() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.rest(2)
    windows = 'spec:\n  windows: [{kind: deny, cron: "* * * * *", duration: 1h}]\n'
    text = fleet.world.files["fleet.yaml"]
    assert isinstance(text, str)
    fleet.world.commit({"fleet.yaml": text + windows})

    rejected(fleet)
    fleet.rest(8)

    assert set(fleet.texts().values()) == {"one"}


def test_nor_for_an_extra_replica_for_which_there_is_no_room() -> None:
    cpus = "{cpu: 9}"
    first = spread(3, update="{strategy: startFirst}", resources=cpus)
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=first)
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two", resources=cpus)})
    fleet.rest(2)

    rejected(fleet)
    fleet.rest(6)

    assert set(fleet.texts().values()) == {"one"}


def test_nor_for_a_lost_node_that_keeps_its_replica() -> None:
    fleet = a_fleet_of(volumes=True, chat=spread(4))
    fleet.silent.add(fleet.homes()["chat-3"])
    fleet.rest(40)
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two", update="{maxUnavailable: 2}")})

    rejected(fleet, "chat-2")
    fleet.rest(6)

    assert set(fleet.texts().values()) == {"one"}


CANARY = "{canary: 1, soak: 30m}"


def taken_back(fleet: Fleet, **spec: object) -> None:
    """Let two replicas get a version that people take back then."""
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two", **spec)})
    fleet.rest(2)
    if "update" in spec:
        fleet.wait(timedelta(minutes=31))
        fleet.step()
    assert list(fleet.texts().values()).count("two") >= 2
    fleet.world.commit({"deployments/chat.yaml": spread(4, **spec)})


def test_what_people_take_back_waits_for_no_canary() -> None:
    fleet = a_fleet_of(chat=spread(4, update=CANARY))
    taken_back(fleet, update=CANARY)
    changed = list(fleet.texts().values()).count("two")

    fleet.step()
    assert list(fleet.texts().values()).count("two") == changed - 1
    fleet.rest(6)

    assert set(fleet.texts().values()) == {"one"}
    assert fleet.phase() is Phase.SETTLED
    assert not [path for path in fleet.world.tree() if path.startswith("versions/chat/next")]


def test_nor_for_a_time_of_changes_either() -> None:
    windows = '  windows: [{kind: allow, cron: "0 12 * * *", duration: 30m}]\n'
    fleet = a_fleet_of(fleet=windows, chat=spread(4))
    taken_back(fleet)
    fleet.wait(timedelta(minutes=31))
    assert "two" in fleet.texts().values()

    fleet.rest(6)

    assert set(fleet.texts().values()) == {"one"}


def test_nor_does_what_is_taken_back_while_it_was_rejected_already() -> None:
    windows = '  windows: [{kind: allow, cron: "0 12 * * *", duration: 30m}]\n'
    fleet = a_fleet_of(fleet=windows, chat=spread(4))
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two")})
    fleet.rest(2)
    fleet.wait(timedelta(minutes=31))
    assert fleet.phase() is Phase.ROLLED_BACK
    assert "two" in fleet.texts().values()

    fleet.world.commit({"deployments/chat.yaml": spread(4)})
    fleet.rest(6)

    assert set(fleet.texts().values()) == {"one"}
    assert fleet.phase() is Phase.SETTLED


def test_what_comes_after_what_was_taken_back_waits_for_its_canary() -> None:
    fleet = a_fleet_of(chat=spread(4, update=CANARY))
    taken_back(fleet, update=CANARY)
    fleet.rest(6)

    fleet.world.commit({"deployments/chat.yaml": spread(4, "three", update=CANARY)})
    fleet.rest(4)

    assert list(fleet.texts().values()) == ["three", "one", "one", "one"]


def test_it_never_leads_to_a_version_that_asked_for_no_replicas() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(0)})
    fleet.rest(3)
    assert (fleet.phase(), fleet.texts()) == (Phase.SETTLED, {})

    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    rejected(fleet)
    fleet.rest(6)

    assert fleet.texts() == {"chat-0": "one", "chat-1": "one", "chat-2": "one"}


def test_what_was_switched_off_is_as_good_as_before_when_it_is_on_again() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(0)})
    fleet.rest(3)
    fleet.states["chat-1"] = ReplicaState.FAILED

    fleet.world.commit({"deployments/chat.yaml": spread(3)})
    fleet.rest(6)

    assert (fleet.phase(), len(fleet.texts())) == (Phase.SETTLED, 3)


def test_the_first_that_runs_has_none_to_go_back_to_and_stays() -> None:
    fleet = a_fleet_of(chat=spread(0))
    fleet.states["chat-1"] = ReplicaState.FAILED

    fleet.world.commit({"deployments/chat.yaml": spread(3)})
    fleet.rest(6)

    assert (fleet.phase(), len(fleet.texts())) == (Phase.STALLED, 3)


@pytest.fixture
def waves() -> Fleet:
    """Two deployments in two waves, and a third that the first will wait for."""
    fleet = a_fleet_of(
        fleet=WAVES,
        a=deployment("a", placement="{pin: [alpha]}", parameters=ONE),
        b=deployment("b", placement="{pin: [beta]}", parameters=ONE),
        base=deployment("base", placement="{pin: [gamma]}"),
    )
    fleet.world.commit({"nodes/alpha.yaml": in_the_first_wave("alpha")})
    fleet.rest(3)
    return fleet


def test_who_waits_for_something_else_keeps_no_later_wave_waiting(waves: Fleet) -> None:
    waves.states["base-0"] = ReplicaState.DEGRADED
    waves.rest(2)
    first = deployment("a", placement="{pin: [alpha]}", parameters=TWO, dependsOn="[base]")
    second = deployment("b", placement="{pin: [beta]}", parameters=TWO)

    waves.world.commit({"deployments/a.yaml": first, "deployments/b.yaml": second})
    waves.rest(3)

    assert (waves.texts("a"), waves.texts("b")) == ({"a-0": "one"}, {"b-0": "two"})


def test_nor_does_who_waits_for_a_lost_node() -> None:
    here = {"replicas": 2, "placement": "{pin: [alpha, beta], strategy: spread}"}
    there = {"placement": "{pin: [gamma]}"}
    fleet = a_fleet_of(
        fleet=WAVES,
        volumes=True,
        a=deployment("a", **here, parameters=ONE),
        b=deployment("b", **there, parameters=ONE),
    )
    fleet.world.commit({"nodes/alpha.yaml": in_the_first_wave("alpha")})
    fleet.silent.add("beta")
    fleet.rest(40)

    first, second = (
        deployment("a", **here, parameters=TWO),
        deployment("b", **there, parameters=TWO),
    )
    fleet.world.commit({"deployments/a.yaml": first, "deployments/b.yaml": second})
    fleet.rest(3)

    assert (fleet.texts("a"), fleet.texts("b")) == ({"a-0": "one", "a-1": "one"}, {"b-0": "two"})


def test_nobody_waits_for_a_canary_whose_new_version_no_node_takes() -> None:
    pins = "{{pin: [{}], strategy: spread}}"
    update = {"replicas": 3, "update": "{canary: 1}"}
    fleet = a_fleet_of(
        chat=deployment(
            "chat", placement=pins.format("alpha, beta, delta"), parameters=ONE, **update
        )
    )
    home = fleet.homes()["chat-0"]
    left = ", ".join(sorted({"alpha", "beta", "delta"} - {home}))

    fleet.change(
        "chat", placement=pins.format(left), resources="{cpu: 9}", parameters=TWO, **update
    )
    fleet.rest(6)

    assert fleet.texts() == {"chat-0": "one", "chat-1": "two", "chat-2": "two"}


def test_who_waits_for_an_earlier_wave_says_for_whom(waves: Fleet) -> None:
    waves.states["a-0"] = ReplicaState.STARTING
    waves.change("a", placement="{pin: [alpha]}", parameters=TWO)
    waves.rest(2)
    waves.change("b", placement="{pin: [beta]}", parameters=TWO)
    waves.rest(2)

    (hold,) = waves.decision("b").holds
    assert hold.text == "waits for a-0 on alpha, an earlier wave"
