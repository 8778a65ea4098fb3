"""Which commit of main brought the version that is wanted, and which the last good one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.conditions.condition import ConditionType
from reconciler.web.looker import Looker
from schemas.assignment import Phase, dump_decision, parse_decision
from schemas.heartbeat import ReplicaState
from schemas.names import CommitId
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

CHAT = "deployments/chat.yaml"


def a_fleet(*, rollback: bool = True) -> tuple[Fleet, CommitId]:
    """A fleet at rest, and the commit that brought what it runs; main went on since."""
    fleet = a_fleet_of(db=spread(1).replace("chat", "db"))
    good = put(fleet, "one", rollback=rollback)
    fleet.rest(4)
    fleet.change("web")
    fleet.rest(4)
    return fleet, good


def put(fleet: Fleet, text: str, *, rollback: bool = True) -> CommitId:
    update = "{rollback: " + str(rollback).lower() + "}"
    return fleet.world.commit({CHAT: spread(2, text, update=update)})


def fail(fleet: Fleet, *, rollback: bool = True) -> CommitId:
    """Let a second version come in that fails on one replica until it is taken back."""
    fleet.states["chat-0"] = ReplicaState.FAILED
    bad = put(fleet, "two", rollback=rollback)
    fleet.rest(4)
    del fleet.states["chat-0"]
    fleet.rest(3)
    return bad


def revisions(fleet: Fleet) -> set[str]:
    """The observed revisions of a deployment and of its replicas, on the page."""
    world = fleet.world
    looker = Looker(world.reader.read, world.renderer, history=world.reader.history)
    chat = looker.look(lambda: world.clock.now).deployments_by_name["chat"]
    everything = (chat.conditions, *(one.conditions for one in chat.replicas))
    return {
        one.observed_revision
        for each in everything
        for one in each
        if one.type is ConditionType.READY
    }


def test_what_was_rolled_back_runs_the_version_of_the_commit_before() -> None:
    fleet, good = a_fleet()
    assert revisions(fleet) == {good}

    bad = fail(fleet)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert (fleet.decision().source, fleet.decision().good_source) == (bad, good)
    assert revisions(fleet) == {good}


def test_what_was_switched_off_meanwhile_goes_back_to_the_commit_that_ran() -> None:
    fleet, good = a_fleet()
    fleet.world.commit({CHAT: spread(0)})
    fleet.rest(3)

    bad = fail(fleet)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert (fleet.decision().source, fleet.decision().good_source) == (bad, good)


def test_while_it_goes_back_nobody_says_that_it_is_back() -> None:
    fleet, good = a_fleet()
    fleet.states["chat-0"] = ReplicaState.FAILED
    put(fleet, "two")
    while fleet.phase() is not Phase.ROLLED_BACK:
        fleet.world.clock.pass_by(timedelta(seconds=15))
        fleet.say()
        fleet.world.pass_once()
        if fleet.phase() is not Phase.ROLLED_BACK:
            fleet.obey()

    assert revisions(fleet) == {"", good}


def test_who_goes_back_in_main_runs_the_version_of_the_first_commit_that_had_it() -> None:
    fleet, good = a_fleet()
    fail(fleet)

    put(fleet, "one")
    fleet.rest(4)

    assert fleet.phase() is Phase.SETTLED
    assert (fleet.decision().source, fleet.decision().good_source) == (good, None)
    assert revisions(fleet) == {good}


def test_another_try_keeps_the_good_one_until_it_is_good_itself() -> None:
    fleet, good = a_fleet()
    fail(fleet)

    third = put(fleet, "three")
    fleet.step()
    on_its_way = fleet.decision()
    fleet.rest(6)

    assert (on_its_way.phase, on_its_way.good_source) == (Phase.ROLLING, good)
    assert (fleet.decision().source, fleet.decision().good_source) == (third, None)


def test_what_stalled_keeps_the_commit_of_the_good_one() -> None:
    fleet, good = a_fleet(rollback=False)
    fleet.states["chat-0"] = ReplicaState.FAILED

    bad = put(fleet, "two", rollback=False)
    fleet.rest(4)

    assert fleet.phase() is Phase.STALLED
    assert (fleet.decision().source, fleet.decision().good_source) == (bad, good)


def test_who_goes_back_in_main_in_the_midst_of_a_rollout_asks_for_the_first_commit() -> None:
    fleet, good = a_fleet()
    put(fleet, "two")
    fleet.step()
    assert fleet.phase() is Phase.ROLLING

    put(fleet, "one")
    fleet.step()
    going_back = fleet.decision()
    fleet.rest(4)

    assert (going_back.source, going_back.good_source) == (good, good)
    assert fleet.phase() is Phase.SETTLED
    assert (fleet.decision().source, fleet.decision().good_source) == (good, None)
    assert revisions(fleet) == {good}


def test_what_was_taken_back_and_is_wanted_again_comes_with_the_later_commit() -> None:
    fleet, good = a_fleet()
    put(fleet, "two")
    fleet.rest(2)
    put(fleet, "one")
    fleet.step()

    again = put(fleet, "two")
    fleet.step()

    assert (fleet.decision().source, fleet.decision().good_source) == (again, good)


@pytest.mark.parametrize("text", ["nonsense", None])
def test_what_is_held_keeps_what_is_known_of_its_commits(text: str | None) -> None:
    fleet, good = a_fleet()
    bad = fail(fleet)

    fleet.world.commit({CHAT: "nonsense"} if text else {"templates/web/template.yaml": "nonsense"})
    fleet.rest(2)

    assert (fleet.decision().source, fleet.decision().good_source) == (bad, good)


def test_a_first_version_has_no_good_one_before_it() -> None:
    fleet = a_fleet_of(chat=spread(2))
    first = fleet.decision()

    assert (first.phase, first.good_source) == (Phase.SETTLED, None)


def test_a_decision_of_before_is_read_and_says_nothing_of_the_good_one() -> None:
    fleet, _ = a_fleet()
    fail(fleet)
    text = fleet.world.tree()["decision.json"].decode()
    old = "\n".join(line for line in text.splitlines() if "goodSource" not in line)

    found = parse_decision(old, path="decision.json")

    assert all(one.good_source is None for one in found.deployments)
    assert "goodSource" not in dump_decision(found)
