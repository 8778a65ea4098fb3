"""What becomes of the work of a node that falls silent, and the brakes on that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.observing.read import Reader
from reconciler.observing.snapshot import Snapshot
from schemas.names import NodeName
from tests.unit.reconciler.world import deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

MINUTE = timedelta(minutes=1)
LOST = timedelta(minutes=5)
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


def lose(fleet: Fleet, *names: str) -> None:
    """Let nodes fall silent."""
    fleet.silent |= set(names)


def test_the_work_of_a_lost_node_starts_elsewhere_and_nothing_else_moves() -> None:
    fleet = a_fleet_of(chat=spread(3))
    homes = fleet.homes()
    lose(fleet, homes["chat-1"])

    fleet.wait(LOST - MINUTE)
    assert fleet.homes() == homes

    fleet.wait(2 * MINUTE)
    fleet.rest(2)
    now = fleet.homes()
    assert now["chat-1"] != homes["chat-1"]
    assert {k: v for k, v in now.items() if k != "chat-1"} == {
        k: v for k, v in homes.items() if k != "chat-1"
    }


@pytest.mark.parametrize(
    ("disconnect", "minutes", "moves"),
    [
        pytest.param("{}", 6, True, id="by default"),
        pytest.param("{replace: false}", 60, False, id="not to be replaced"),
        pytest.param("{loseAfter: 10m}", 9, False, id="one below"),
        pytest.param("{loseAfter: 10m}", 11, True, id="one above"),
        pytest.param("{loseAfter: 2m}", 3, True, id="sooner than the fleet"),
    ],
)
def test_a_deployment_says_how_long_silence_is_borne(
    disconnect: str, minutes: int, moves: bool
) -> None:
    fleet = a_fleet_of(chat=spread(1, disconnect=disconnect))
    home = fleet.homes()["chat-0"]
    lose(fleet, home)

    fleet.wait(minutes * MINUTE)

    assert (fleet.homes()["chat-0"] != home) is moves


def test_what_has_volumes_stays_with_its_node_unless_it_says_otherwise() -> None:
    fleet = a_fleet_of(volumes=True, chat=spread(1))
    home = fleet.homes()["chat-0"]
    lose(fleet, home)
    fleet.wait(20 * MINUTE)
    assert fleet.homes()["chat-0"] == home

    fleet.world.commit({"deployments/chat.yaml": spread(1, volumes="{onMove: lose}")})
    fleet.wait(2 * MINUTE)
    assert fleet.homes()["chat-0"] != home


def test_where_no_other_node_takes_it_it_stays_where_it_was() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1, resources="{cpu: 10}"))
    home = fleet.homes()["chat-0"]
    others = [name for name in ("alpha", "beta", "gamma") if name != home]
    fleet.world.commit({f"nodes/{name}.yaml": node(name, duty="cordoned") for name in others})
    lose(fleet, home)

    fleet.wait(20 * MINUTE)

    assert fleet.homes()["chat-0"] == home
    hold = fleet.decision().holds[0]
    assert (hold.reason, hold.text) == ("lost", f"{home} is lost, and no other node takes it")


@pytest.mark.parametrize(
    ("count", "moves"),
    [
        pytest.param(1, True, id="one"),
        pytest.param(4, True, id="half of eight"),
        pytest.param(5, False, id="more than 55 percent"),
        pytest.param(8, False, id="all"),
    ],
)
def test_when_many_are_lost_at_once_nothing_moves(count: int, moves: bool) -> None:
    fleet = a_fleet_of(*NAMES, chat=spread(8))
    homes = fleet.homes()
    lose(fleet, *NAMES[:count])

    fleet.wait(LOST + 10 * MINUTE)

    assert (fleet.homes() != homes) is moves
    assert ("massLoss" in fleet.because()) is not moves


def test_whose_heartbeat_cannot_be_read_is_as_good_as_silent_in_a_mass_loss() -> None:
    """One that is read again is enough to move everything, if the others do not count (2776)."""
    fleet = a_fleet_of(*NAMES, chat=spread(3))
    homes = fleet.homes()
    others = sorted(set(NAMES) - set(homes.values()))
    lose(fleet, *homes.values(), *others[:2])
    for name in others[:2]:
        fleet.world.push_heartbeat(name, b"{}")

    fleet.wait(LOST + 10 * MINUTE)

    assert fleet.homes() == homes
    reasons = {one.text for one in fleet.decision().holds}
    assert reasons == {"5 of 8 nodes are silent or cannot be read, so the fault is probably ours"}


def test_two_of_three_are_no_mass_but_two_of_two_are() -> None:
    small = a_fleet_of("alpha", "beta", chat=spread(2))
    lose(small, "alpha", "beta")
    larger = a_fleet_of("alpha", "beta", "gamma", chat=spread(3))
    lose(larger, "alpha", "beta")

    before = small.homes()
    small.wait(LOST + 10 * MINUTE)
    larger.wait(LOST + 10 * MINUTE)

    assert small.homes() == before
    assert set(larger.homes().values()) == {"gamma"}


def test_one_node_a_minute_is_evacuated() -> None:
    fleet = a_fleet_of(*NAMES, chat=spread(8))
    lose(fleet, "alpha", "beta", "gamma")

    fleet.wait(LOST + timedelta(seconds=15))
    left = [set(fleet.homes().values()) & fleet.silent]
    for _ in range(4):
        fleet.wait(timedelta(seconds=60))
        left.append(set(fleet.homes().values()) & fleet.silent)

    assert [len(one) for one in left] == [2, 1, 0, 0, 0]


def test_a_fleet_may_evacuate_more_at_once() -> None:
    guards = "  guards: {evacuationsPerMinute: 3}\n"
    fleet = a_fleet_of(*NAMES, fleet=guards, chat=spread(8))
    lose(fleet, "alpha", "beta", "gamma")

    fleet.wait(LOST + timedelta(seconds=15))

    assert not set(fleet.homes().values()) & fleet.silent


def test_what_nobody_looked_at_is_not_lost() -> None:
    fleet = a_fleet_of(chat=spread(3))
    homes = fleet.homes()
    lose(fleet, homes["chat-0"])
    fleet.wait(4 * MINUTE)
    fleet.world.clock.pass_by(timedelta(hours=6))
    memory = fleet.world.memory.after_a_gap(fleet.world.clock.now, timedelta(seconds=90))
    fleet.world.memory = memory

    fleet.wait(4 * MINUTE)
    assert fleet.homes() == homes

    fleet.wait(2 * MINUTE)
    assert fleet.homes() != homes


def test_what_was_read_before_a_long_stop_is_not_lost_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process stood still between reading and deciding, and its nodes did not (seed 919)."""
    fleet = a_fleet_of(chat=spread(3))
    homes = fleet.homes()
    read = Reader.read

    def slow(reader: Reader) -> Snapshot:
        snapshot = read(reader)
        fleet.world.clock.pass_by(LOST - MINUTE)
        return snapshot

    fleet.world.pass_once()  # has heard all that was said so far
    with monkeypatch.context() as stopped:
        stopped.setattr(Reader, "read", slow)
        fleet.world.pass_once()
    lose(fleet, homes["chat-0"])

    fleet.wait(2 * MINUTE)
    assert fleet.homes() == homes

    fleet.wait(4 * MINUTE)
    assert fleet.homes() != homes


def test_a_node_that_comes_and_goes_moves_its_work_ever_more_seldom() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(2))
    moves, before = 0, fleet.homes()
    for flap in range(60):
        fleet.silent = {"alpha"} if flap % 2 else set()
        fleet.wait(LOST + MINUTE)
        fleet.rest(1)
        now = fleet.homes()
        moves += sum(now[name] != before[name] for name in now)
        before = now

    assert moves <= 6


def test_a_drained_node_gives_its_work_away_one_by_one() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(4))
    fleet.world.commit({"nodes/alpha.yaml": node("alpha", duty="draining")})

    left = []
    for _ in range(5):
        fleet.step()
        left.append(list(fleet.homes().values()).count("alpha"))

    assert left == [1, 0, 0, 0, 0]


def test_who_is_drained_while_the_fleet_is_suspended_keeps_its_work() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(2))
    homes = fleet.homes()
    head = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: test}\nspec: {suspend: true}\n"
    fleet.world.commit({"nodes/alpha.yaml": node("alpha", duty="draining"), "fleet.yaml": head})

    fleet.rest(3)

    assert fleet.homes() == homes


def names_of(count: int) -> list[str]:
    return [f"app-{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("count", "gone", "held"),
    [
        pytest.param(2, 2, False, id="all of two"),
        pytest.param(10, 3, False, id="exact"),
        pytest.param(10, 4, True, id="one above"),
        pytest.param(20, 6, False, id="thirty percent"),
        pytest.param(20, 7, True, id="more than thirty percent"),
    ],
)
def test_a_commit_that_removes_too_much_is_held(count: int, gone: int, held: bool) -> None:
    texts = {name: spread(1).replace("name: chat", f"name: {name}") for name in names_of(count)}
    fleet = a_fleet_of("alpha", **texts)
    fleet.world.commit({f"deployments/{name}.yaml": None for name in names_of(gone)})

    fleet.rest(2)

    running = fleet.world.decide().observed.assignments[NodeName("alpha")].replicas
    assert len(running) == (count if held else count - gone)
    problems = " ".join(map(str, fleet.world.decide().problems))
    assert ("Miaas-Allow-Removals: yes" in problems) is held


def test_a_broken_node_does_not_let_go_what_the_guard_holds() -> None:
    texts = {name: spread(1).replace("name: chat", f"name: {name}") for name in names_of(4)}
    fleet = a_fleet_of("alpha", "beta", **texts)
    homes = [fleet.homes(name) for name in names_of(4)]
    fleet.world.commit({f"deployments/{name}.yaml": None for name in names_of(4)})
    fleet.rest(2)

    # What runs there is held by that alone, and so fewer than four would seem to go.
    fleet.world.commit({f"nodes/{homes[0]['app-0-0']}.yaml": "kind: Nod\n"})
    fleet.rest(2)

    assert [fleet.homes(name) for name in names_of(4)] == homes


def test_a_trailer_or_a_setting_allows_to_remove_much() -> None:
    texts = {name: spread(1).replace("name: chat", f"name: {name}") for name in names_of(10)}
    removal: dict[str, None] = {f"deployments/{name}.yaml": None for name in names_of(10)}
    by_trailer, by_setting = a_fleet_of("alpha", **texts), a_fleet_of("alpha", **texts)
    head = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: test}\n"

    by_trailer.world.commit(removal, message="Clear out\n\nMiaas-Allow-Removals: yes\n")
    by_setting.world.commit(
        {**removal, "fleet.yaml": head + "spec: {guards: {maxRemovals: 100%}}\n"}
    )

    for fleet in (by_trailer, by_setting):
        fleet.rest(2)
        assert fleet.world.decide().observed.assignments[NodeName("alpha")].replicas == ()


def test_what_no_other_node_takes_keeps_no_other_lost_node_waiting() -> None:
    where = "{require: [{key: miaas/node, operator: In, values: [beta, gamma]}]}"
    fleet = a_fleet_of(
        *NAMES[:5],
        chat=deployment("chat", placement=where),
        big=deployment("big", placement="{pin: [alpha]}"),
    )
    home = fleet.homes()["chat-0"]
    fleet.silent |= {"alpha", home}

    fleet.wait(7 * MINUTE)

    assert fleet.homes()["chat-0"] in {"beta", "gamma"} - {home}
    assert fleet.homes("big") == {"big-0": "alpha"}
    (hold,) = fleet.decision("big").holds
    assert hold.text == "alpha is lost, and no other node takes it"


@pytest.mark.parametrize("first", [1, 2])
def test_those_that_vanish_together_spoke_last_at_different_times(first: int) -> None:
    fleet = a_fleet_of(*NAMES[:5], chat=spread(5))
    homes = fleet.homes()

    fleet.silent |= set(NAMES[:first])
    fleet.rest(2)
    fleet.silent |= set(NAMES[:3])
    fleet.rest(40)

    assert fleet.homes() == homes
    assert "massLoss" in fleet.because()
