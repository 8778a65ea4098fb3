"""What a machine says that is ill, or lies: it costs that machine alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.observing.bounds import LOST_MAX
from reconciler.observing.read import Reader
from reconciler.rolling.marks import Memory
from schemas.heartbeat import ReplicaState
from schemas.names import CommitId, NodeName, ReplicaName
from tests.builders import a_replica_report
from tests.unit.reconciler.world import node
from tests.unit.rolling.fleet import POLL, Agent, Fleet, a_fleet_of, spread
from tests.unit.rolling.test_grants import (
    FENCED,
    MINUTE,
    a_singleton,
    copies,
    fence,
    moved_since,
    restore,
)
from tests.unit.rolling.test_two_copies import obey

CHAT = ReplicaName("chat-0")
STRANGER = "mallory"
ODD = "boom\x00 \x1b[2J\x1b]0;owned\x07"


def claim(fleet: Fleet, epoch: int) -> None:
    """Say, as somebody whom nobody admitted, that it runs chat-0 under a grant."""
    fleet.world.beat(STRANGER, sequence=1_000, replicas=(a_replica_report(CHAT, epoch=epoch),))


def epoch(fleet: Fleet) -> int:
    found = fence(fleet)
    assert found is not None
    return found.epoch


def somebody_else(fleet: Fleet) -> str:
    return next(name for name in fleet.agents if name != fleet.homes()["chat-0"])


@pytest.mark.parametrize("claimed", [1, 2, 7, LOST_MAX, 2**53])
def test_a_stranger_takes_a_singleton_from_nobody(claimed: int) -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]

    for _ in range(4):
        claim(fleet, claimed)
        fleet.step()

    assert (fleet.homes()["chat-0"], epoch(fleet), copies(fleet)) == (home, 1, 1)


def test_nor_does_it_stand_in_the_way_of_a_move() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})

    for _ in range(4):
        claim(fleet, 7)
        fleet.step()

    assert fleet.homes()["chat-0"] not in {home, STRANGER}
    assert copies(fleet) == 1


def test_nor_does_what_it_says_to_obey_make_the_state_look_restored() -> None:
    fleet = a_singleton()

    fleet.world.beat(
        STRANGER, sequence=1, generation=5, accepted_generation=5, accepted=CommitId("1" * 40)
    )
    fleet.step()

    assert fleet.world.decide().memory.restored_at is None


@pytest.mark.parametrize("claimed", [2, 7, LOST_MAX])
def test_a_node_takes_a_singleton_from_no_node_that_has_it(claimed: int) -> None:
    fleet = a_singleton()
    home, liar = fleet.homes()["chat-0"], somebody_else(fleet)

    for _ in range(4):
        fleet.agents[liar].running = {CHAT: a_replica_report(CHAT, epoch=claimed)}
        fleet.say(liar)
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        fleet.obey(*(name for name in fleet.agents if name != liar))

    assert (fleet.homes()["chat-0"], epoch(fleet)) == (home, 1)


def test_not_even_after_a_restore() -> None:
    fleet = a_singleton()
    home, liar = fleet.homes()["chat-0"], somebody_else(fleet)
    backup = dict(fleet.world.server.refs)
    fleet.change("other")
    fleet.rest(3)
    restore(fleet, backup)
    fleet.agents[liar].running = {CHAT: a_replica_report(CHAT, epoch=9)}

    for _ in range(3):
        fleet.say()
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()

    assert fleet.world.decide().memory.restored_at is not None
    assert fleet.homes()["chat-0"] == home


def test_after_a_restore_a_grant_counts_of_which_the_backup_knows_nothing() -> None:
    """Its node was admitted after the backup, and its record taken away since."""
    fleet = a_singleton()
    backup, _, holder = moved_since(fleet)
    fleet.world.commit({f"nodes/{holder}.yaml": None})
    restore(fleet, {ref: at for ref, at in backup.items() if holder not in ref})

    for _ in range(30):
        fleet.say()
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()

        assert fleet.homes().get("chat-0", holder) == holder


def a_site_restored_after_delta_got_it(*, was_there: bool) -> Fleet:
    """Main and state from one backup, by a reconciler without memory: delta is a stranger by then.

    was_there: whether chat-0 ran on a node of the backup, which died since.
    """
    fleet = a_singleton() if was_there else a_fleet_of("alpha", "beta", "gamma")
    home = fleet.homes().get("chat-0")
    refs, files = dict(fleet.world.server.refs), dict(fleet.world.files)
    fleet.silent = {home} if home else set()
    fleet.agents["delta"] = Agent("delta")
    fleet.say()
    onto = spread(1, disconnect=FENCED).replace("{strategy: spread}", "{pin: [delta]}")
    fleet.world.commit({"nodes/delta.yaml": node("delta"), "deployments/chat.yaml": onto})
    fleet.rest(60 if home else 4)
    assert fleet.homes() == {"chat-0": "delta"}
    if home:
        fleet.agents[home].running = {}
    fleet.world.server.refs.clear()
    fleet.world.server.refs.update(refs)
    fleet.world.files.clear()
    fleet.world.files.update(files)
    fleet.world.memory = Memory()
    fleet.world.reader = Reader(fleet.world.client, fleet.world.client, "main")
    return fleet


@pytest.mark.parametrize("was_there", [True, False])
def test_no_start_rests_on_silence_against_the_word_of_a_stranger(was_there: bool) -> None:
    fleet = a_site_restored_after_delta_got_it(was_there=was_there)
    if not was_there:
        fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED)})

    for _ in range(60):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        obey(fleet)
        assert copies(fleet) == 1

    (hold,) = fleet.world.decide().brakes.absent.values()
    assert hold.text == ("waits for delta, which nobody admitted and which says that it runs it")
    fleet.world.commit({"nodes/delta.yaml": node("delta")})
    for _ in range(60):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        obey(fleet)
        assert copies(fleet) <= 1
    assert copies(fleet) == 1


@pytest.mark.parametrize(
    "claimed",
    [
        {"generation": LOST_MAX * 2},
        {"accepted_generation": 2**53},
        {"replicas": (a_replica_report(CHAT, epoch=2**53),)},
    ],
)
def test_nobody_counts_on_from_numbers_that_nobody_can_have_given(claimed: dict[str, Any]) -> None:
    fleet = a_singleton()
    liar = somebody_else(fleet)

    fleet.world.beat(liar, sequence=1_000, **claimed)
    fleet.world.clock.pass_by(POLL)
    fleet.world.pass_once()

    found = fleet.world.decide().observed
    (problem,) = found.unreadable[NodeName(liar)]
    assert problem.what.startswith("the heartbeat names g")
    assert epoch(fleet) == 1
    assert all(one.generation < 100 for one in found.assignments.values())


def test_who_says_again_and_again_that_it_obeys_what_we_know_nothing_of_lifts_the_others_once() -> (
    None
):
    fleet = a_fleet_of(chat=spread(4))
    lifted = []
    for _ in range(5):
        fleet.world.clock.pass_by(POLL)
        fleet.obey(*sorted(set(fleet.agents) - {"alpha"}))
        told = fleet.world.decide().observed.assignments[NodeName("alpha")]
        ahead = replace(told, generation=told.generation + 1)
        fleet.agents["alpha"].told = ahead
        fleet.say("alpha")
        lifted.append(set(fleet.world.pass_once().result.changes.nodes))

    assert lifted == [set(fleet.agents), *[{"alpha"}] * 4]


def test_a_message_that_would_steer_a_terminal_is_no_part_of_the_history() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(2))
    fleet.change("chat", replicas=2, parameters="{text: two}", placement="{strategy: spread}")
    fleet.step()
    for agent in fleet.agents.values():
        agent.running = {
            name: replace(one, state=ReplicaState.FAILED, message=ODD)
            for name, one in agent.running.items()
        }
    fleet.wait(11 * MINUTE)

    told = "\n".join(fleet.world.history())
    assert "boom" in told
    assert all(sign.isprintable() or sign == "\n" for sign in told)
