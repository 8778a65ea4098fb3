"""What is done meanwhile and what waits for room, in words, from changes made by hand."""

from __future__ import annotations

import pytest

from reconciler.cli.step_texts import passing_text, wait_text
from reconciler.coming import Coming, keepers, room_text, rooms
from reconciler.preview import Fate, ReplicaChange
from schemas.names import NodeName, ReplicaName, split_replica
from tests.unit.reconciler.world import deployment
from tests.unit.rolling.fleet import a_fleet_of

ALPHA, BETA = NodeName("alpha"), NodeName("beta")
WEB = ReplicaName("web-0")


def a_change(
    name: str, fate: Fate, was_on: NodeName | None = None, goes_to: NodeName | None = None
) -> ReplicaChange:
    replica = ReplicaName(name)
    return ReplicaChange(
        replica=replica,
        deployment=split_replica(replica)[0],
        fate=fate,
        was_on=was_on,
        goes_to=goes_to,
    )


ADDED = a_change("web-0", Fate.ADD, goes_to=ALPHA)
MOVED = a_change("web-0", Fate.MOVE, ALPHA, BETA)
CHANGED = a_change("web-0", Fate.CHANGE, ALPHA, ALPHA)
REMOVED = a_change("web-0", Fate.REMOVE, ALPHA)


def a_coming(ends: list[ReplicaChange], now: list[ReplicaChange], **marked: str) -> Coming:
    """What it comes to, and what is done now. marked: the one replica that is held, and so on."""
    marks = {kind: frozenset({ReplicaName(name)}) for kind, name in marked.items()}
    return Coming(
        ends={one.replica: one for one in ends},
        now={one.replica: one for one in now},
        held=marks.get("held", frozenset()),
        shrinking=marks.get("shrinking", frozenset()),
        growing=marks.get("growing", frozenset()),
        extra=marks.get("extra", frozenset()),
    )


@pytest.mark.parametrize(
    ("end", "now", "text"),
    [
        pytest.param(None, ADDED, "at once, for a while", id="an extra one"),
        pytest.param(REMOVED, CHANGED, "at once, for a while", id="goes in the end"),
        pytest.param(None, MOVED, "moves to beta at once", id="was to stay"),
        pytest.param(REMOVED, MOVED, "moves to beta at once", id="moves and goes"),
        pytest.param(CHANGED, MOVED, "at once, but on beta", id="was to change only"),
        pytest.param(MOVED, CHANGED, "at once, but on alpha", id="was to move"),
        pytest.param(None, REMOVED, "is stopped on alpha at once, for a while", id="stays"),
        pytest.param(CHANGED, REMOVED, "is stopped on alpha at once, for a while", id="stops"),
        pytest.param(MOVED, REMOVED, "is stopped on alpha at once, to start on beta", id="fence"),
    ],
)
def test_what_does_not_last_is_said(
    end: ReplicaChange | None, now: ReplicaChange, text: str
) -> None:
    seen = a_coming([end] if end else [], [now])

    assert seen.passing == (now,)
    assert seen.waiting == ()
    assert passing_text(now, seen) == text


def test_of_what_is_held_only_a_stop_is_done_meanwhile() -> None:
    assert a_coming([], [CHANGED], held="web-0").passing == ()
    assert a_coming([MOVED], [REMOVED], held="web-0").passing == (REMOVED,)
    assert a_coming([MOVED], [], held="web-0").waiting == ()


CHAT_LEAVES = a_change("chat-0", Fate.MOVE, ALPHA, BETA)
CHAT_COMES = a_change("chat-0", Fate.ADD, goes_to=ALPHA)
CHAT_STAYS = a_change("chat-0", Fate.CHANGE, ALPHA, ALPHA)
DB_GOES = a_change("db-0", Fate.REMOVE, ALPHA)
DB_COMES = a_change("db-0", Fate.ADD, goes_to=ALPHA)


@pytest.mark.parametrize(
    ("change", "seen", "text"),
    [
        pytest.param(ADDED, a_coming([], []), "waits for its place on alpha", id="for nobody"),
        pytest.param(
            ADDED,
            a_coming([CHAT_LEAVES, DB_GOES], []),
            "waits for room on alpha, which chat-0 and db-0 have for now",
            id="for two",
        ),
        pytest.param(
            ADDED,
            a_coming([CHAT_STAYS], [], shrinking="chat-0"),
            "waits for room on alpha, which chat-0 has for now",
            id="for one that shrinks",
        ),
        pytest.param(
            ADDED,
            a_coming([CHAT_STAYS], []),
            "waits for its place on alpha",
            id="as large as it was",
        ),
        pytest.param(
            ADDED,
            a_coming([CHAT_LEAVES], [CHAT_LEAVES]),
            "waits for its place on alpha",
            id="it leaves at once",
        ),
        pytest.param(
            ADDED,
            a_coming([], [CHAT_COMES]),
            "waits for room on alpha, which chat-0 has for now",
            id="for an extra one",
        ),
        pytest.param(
            CHANGED,
            a_coming([CHANGED, DB_GOES], []),
            "waits for room on alpha, which db-0 has for now",
            id="it needs more",
        ),
        pytest.param(
            REMOVED,
            a_coming([CHAT_COMES, DB_COMES], []),
            "waits to go until chat-0 and db-0 need its room on alpha",
            id="gives way",
        ),
        pytest.param(
            MOVED,
            a_coming([CHAT_STAYS], [], growing="chat-0"),
            "waits to go until chat-0 needs its room on alpha",
            id="gives way to one that grows",
        ),
        pytest.param(MOVED, a_coming([], []), "waits for its place on beta", id="moves"),
        pytest.param(REMOVED, a_coming([], []), "waits to go", id="nobody knows"),
        pytest.param(
            REMOVED,
            a_coming([CHAT_COMES], [], extra="web-0"),
            "waits to go until the others are ready",
            id="is an extra one",
        ),
    ],
)
def test_what_is_waited_for_is_said(change: ReplicaChange, seen: Coming, text: str) -> None:
    assert wait_text(change, seen) == text


def test_nobody_waits_for_itself() -> None:
    assert keepers(WEB, ALPHA, a_coming([MOVED], [])) == ()
    assert room_text("alpha", ()) == "waits for its place on alpha"


def test_where_all_is_done_or_nobody_lacks_a_node_nobody_waits_for_room() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat"))
    assert rooms(fleet.world.decide()) == {}

    fleet.change("web", resources="{cpu: 99}")
    assert rooms(fleet.world.decide()) == {}

    fleet.change("chat", suspend="true", parameters="{text: two}")
    assert rooms(fleet.world.decide()) == {}


@pytest.mark.parametrize(
    ("less", "kept_by"),
    [
        pytest.param({"ports": "{http: 9001}"}, ("chat-0",), id="another port"),
        pytest.param({"ports": "{http: 9000}", "priority": 5}, (), id="the same port"),
    ],
)
def test_a_port_is_room_too(less: dict[str, object], kept_by: tuple[str, ...]) -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat", ports="{http: 9000}"))
    fleet.world.commit(
        {
            "deployments/chat.yaml": deployment("chat", suspend="true", **less),
            "deployments/web.yaml": deployment("web", ports="{http: 9000}"),
        }
    )

    assert rooms(fleet.world.decide()).get(WEB, ()) == kept_by
