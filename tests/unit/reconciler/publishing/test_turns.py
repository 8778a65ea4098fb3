"""What `git log assignments` says of rollouts, waiting, grants and lost nodes."""

from __future__ import annotations

from datetime import timedelta

from reconciler.conditions.since import since_when
from reconciler.observing.trailers import trailers
from reconciler.preview import preview
from reconciler.publishing.story import message
from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from schemas.layout import ASSIGNMENTS_REF
from tests.builders import A_MOMENT
from tests.unit.reconciler.world import deployment
from tests.unit.rolling.fleet import POLL, Fleet, a_fleet_of, spread

OURS = {"Rolling", "Completed", "Stalled", "Rolled-Back", "Waits", "Granted", "Evacuated"}
FENCED = "{stopAfter: 120s, loseAfter: 5m}"


def told(text: str) -> list[str]:
    return [f"{key}: {value}" for key, value in trailers(text) if key in OURS]


def newest(fleet: Fleet) -> str:
    return fleet.world.history()[0]


def reasons(text: str) -> list[str]:
    return [value for key, value in trailers(text) if key == "Reason"]


def test_a_rollout_is_told_from_its_beginning_to_its_end() -> None:
    fleet = a_fleet_of(chat=spread(2))
    begun = len(fleet.world.history())

    fleet.world.commit({"deployments/chat.yaml": spread(2, "two")})
    fleet.rest()
    lines = [told(text) for text in reversed(fleet.world.history()[: -begun or None])]

    assert lines == [
        ["Rolling: chat", "Waits: chat-1 (gate)"],
        [],
        ["Completed: chat"],
    ]
    assert reasons(newest(fleet)) == ["every replica of chat is ready in its newest version"]


def test_a_version_that_fails_is_told_with_the_message() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states["chat-0"] = ReplicaState.FAILED

    fleet.world.commit({"deployments/chat.yaml": spread(2, "two")})
    fleet.rest(4)
    text = next(one for one in fleet.world.history() if "Rolled-Back: chat" in told(one))

    assert text.startswith("chat: roll back: change chat-0 on ")
    assert "roll chat back to its last good version: chat-0 failed: it is ill\n" in text
    assert reasons(text) == [
        "chat goes back to its last good version",
        "chat did not get ready: chat-0 failed: it is ill",
    ]


def test_a_rollback_is_told_first_among_other_changes() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two")})
    fleet.rest(2)
    fleet.change("web")
    fleet.rest(3)
    text = next(one for one in fleet.world.history() if "Rolled-Back: chat" in told(one))

    assert text.startswith("chat: roll back; 2 deployments: place 1, change 1\n")


def test_a_version_that_must_not_be_rolled_back_is_told_as_stalled() -> None:
    fleet = a_fleet_of(chat=spread(2, update="{rollback: false}"))
    fleet.states["chat-0"] = ReplicaState.FAILED

    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", update="{rollback: false}")})
    fleet.rest(4)
    text = next(one for one in fleet.world.history() if "Stalled: chat" in told(one))

    assert text.startswith("chat: stalled\n")
    assert "chat goes no further: chat-0 failed: it is ill\n" in text


def test_a_decision_that_only_makes_something_wait_says_so() -> None:
    fleet = a_fleet_of(chat=spread(1))

    fleet.change("web", dependsOn="[chat, db]")
    fleet.change("db", resources="{memory: 1TiB}")
    fleet.step()
    text = newest(fleet)

    assert "Waits: web-0 (dependency)" in told(text)
    assert "web waits for db to be ready" in reasons(text)


def test_who_waits_no_longer_is_told_too() -> None:
    fleet = a_fleet_of(chat=spread(1))
    fleet.world.commit({"deployments/chat.yaml": spread(1, suspend="true")})
    fleet.rest(3)
    waited = newest(fleet)
    fleet.world.commit({"deployments/chat.yaml": spread(1)})
    fleet.rest(3)

    assert any("Waits: chat-0 (suspended)" in told(text) for text in fleet.world.history())
    assert newest(fleet) != waited
    assert any("chat waits no longer" in reasons(text) for text in fleet.world.history())


def test_grants_and_lost_nodes_are_told() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", "delta", chat=deployment("chat"))
    fleet.change("chat", disconnect=FENCED)
    fleet.rest(4)
    (home,) = fleet.homes().values()

    fleet.silent.add(home)
    fleet.rest(25)
    history = [line for text in reversed(fleet.world.history()) for line in told(text)]
    (now,) = fleet.homes().values()

    assert f"Granted: chat-0 to {home} (epoch 1)" in history
    assert f"Evacuated: {home}" in history
    assert f"Granted: chat-0 to {now} (epoch 2)" in history
    assert now != home


def test_since_when_is_read_from_the_log() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.world.clock.now = begin = A_MOMENT + timedelta(hours=1)
    fleet.say()
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two"), "deployments/bad.yaml": "x"})
    fleet.world.pass_once()
    tip = fleet.world.client.fetch_history(ASSIGNMENTS_REF)
    assert tip is not None

    found = since_when(fleet.world.client.log(tip, 100))

    assert found.phases == {("chat", Phase.ROLLING): begin}
    assert found.waits == {("chat-1", "gate"): begin}
    assert found.held == {"bad": begin}
    home = fleet.homes()
    assert found.told[("chat-0", home["chat-0"])] == begin
    assert found.told[("chat-1", home["chat-1"])] == A_MOMENT + POLL
    assert found.sound == {"chat": A_MOMENT + POLL}
    assert since_when(()).phases == {}


def test_every_replica_that_waits_is_named_however_many_there_are() -> None:
    fleet = a_fleet_of(chat=spread(20))
    fleet.world.commit({"deployments/chat.yaml": spread(20, suspend="true")})
    fleet.step()
    tip = fleet.world.client.fetch_history(ASSIGNMENTS_REF)
    assert tip is not None

    found = since_when(fleet.world.client.log(tip, 100))

    waiting = {f"chat-{number}" for number in range(20)}
    assert {one for one, reason in found.waits if reason == "suspended"} == waiting
    assert max(map(len, newest(fleet).splitlines())) < 120


def test_where_the_log_ends_too_early_nobody_knows_since_when() -> None:
    fleet = a_fleet_of(chat=spread(1))
    fleet.world.commit({"deployments/bad.yaml": "x"})
    fleet.world.pass_once()
    tip = fleet.world.client.fetch_history(ASSIGNMENTS_REF)
    assert tip is not None

    assert since_when(fleet.world.client.log(tip, 1)).held == {}


def test_a_first_decision_tells_what_begins() -> None:
    fleet = a_fleet_of(chat=spread(1))
    fleet.change("web")
    result = fleet.world.decide()

    assert told(message(result, preview(result))) == ["Rolling: web"]
