"""How a node fares, row by row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.nodes import Host, is_drained, node_conditions
from reconciler.observing.duties import Duties
from reconciler.observing.node import Freshness
from schemas.fleet import Timings
from schemas.node import Duty
from tests.builders import A_MOMENT, a_node

T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN
TIMINGS = Timings()


def a_host(freshness: Freshness = Freshness.READY, **fields: Any) -> Host:
    of_node = {key: fields.pop(key) for key in ("suspended", "disk_pressure") if key in fields}
    if "runtime_error" in fields:
        of_node["runtime_error"] = fields.pop("runtime_error")
    ours: dict[str, Any] = {
        "node": a_node(freshness=freshness, **of_node),
        "duty": Duty.ACTIVE,
        "seen_at": A_MOMENT,
        "back_at": None,
        "left": (),
        "timings": TIMINGS,
    }
    return Host(**{**ours, **fields})


def conditions_of(host: Host) -> dict[ConditionType, Condition]:
    return {one.type: one for one in node_conditions(host)}


@pytest.mark.parametrize(
    ("freshness", "ready", "late", "lost", "held_down"),
    [
        (Freshness.READY, T, F, F, F),
        (Freshness.RETURNING, T, F, F, T),
        (Freshness.CONTESTED, F, F, F, F),
        (Freshness.LATE, U, T, F, F),
        (Freshness.LOST, F, T, T, F),
        (Freshness.UNSEEN, U, U, U, F),
    ],
)
def test_silence_in_conditions(
    freshness: Freshness, ready: Status, late: Status, lost: Status, held_down: Status
) -> None:
    found = conditions_of(a_host(freshness))

    assert found[ConditionType.READY].status is ready
    assert found[ConditionType.LATE].status is late
    assert found[ConditionType.LOST].status is lost
    assert found[ConditionType.HELD_DOWN].status is held_down


def test_a_silent_node_is_late_and_lost_since_its_last_word_and_a_span() -> None:
    found = conditions_of(a_host(Freshness.LOST))

    assert found[ConditionType.LATE].since == A_MOMENT + TIMINGS.late
    assert found[ConditionType.LOST].since == A_MOMENT + TIMINGS.lost
    assert found[ConditionType.READY].since == A_MOMENT + TIMINGS.lost


def test_a_node_that_came_back_is_ready_since_then() -> None:
    back = A_MOMENT + timedelta(minutes=9)

    found = conditions_of(a_host(Freshness.RETURNING, back_at=back))

    assert found[ConditionType.READY].since == back
    assert found[ConditionType.HELD_DOWN].since == back


HOUR = timedelta(hours=1)
CORDONED_AT, DRAINED_AT, ADMITTED_AT = (A_MOMENT - HOUR * number for number in (2, 1, 3))
DUTIES = Duties(admitted=ADMITTED_AT, cordoned=CORDONED_AT, draining=DRAINED_AT)
SEEN_UNTIL = A_MOMENT + TIMINGS.late
LATER = A_MOMENT + HOUR


@pytest.mark.parametrize(
    ("fields", "kind", "status", "since"),
    [
        ({}, ConditionType.CORDONED, F, CORDONED_AT),
        ({"duty": Duty.CORDONED}, ConditionType.CORDONED, T, CORDONED_AT),
        ({"duty": Duty.DRAINING}, ConditionType.CORDONED, T, CORDONED_AT),
        ({"suspended": True}, ConditionType.CORDONED, T, CORDONED_AT),
        ({}, ConditionType.DRAINING, F, DRAINED_AT),
        ({"duty": Duty.DRAINING}, ConditionType.DRAINING, T, DRAINED_AT),
        ({"duty": Duty.DRAINING, "left": ("a-0",)}, ConditionType.DRAINING, T, DRAINED_AT),
        ({"docker_since": A_MOMENT}, ConditionType.READY, T, A_MOMENT),
        ({"docker_since": A_MOMENT, "back_at": LATER}, ConditionType.READY, T, LATER),
        ({"docker_since": LATER, "back_at": A_MOMENT}, ConditionType.READY, T, LATER),
        ({"docker_since": A_MOMENT, "runtime_error": "x"}, ConditionType.READY, F, A_MOMENT),
        ({"disk_since": A_MOMENT}, ConditionType.DISK_PRESSURE, F, A_MOMENT),
        ({"disk_since": A_MOMENT, "disk_pressure": "x"}, ConditionType.DISK_PRESSURE, T, A_MOMENT),
        ({"freshness": Freshness.UNSEEN}, ConditionType.READY, U, ADMITTED_AT),
        ({"freshness": Freshness.UNSEEN}, ConditionType.LATE, U, ADMITTED_AT),
        ({"freshness": Freshness.UNSEEN}, ConditionType.LOST, U, ADMITTED_AT),
        ({"freshness": Freshness.UNSEEN}, ConditionType.DISK_PRESSURE, U, ADMITTED_AT),
        ({"freshness": Freshness.LATE}, ConditionType.DISK_PRESSURE, U, SEEN_UNTIL),
        ({"freshness": Freshness.LOST}, ConditionType.DISK_PRESSURE, U, SEEN_UNTIL),
    ],
)
def test_since_when_it_is_so(
    fields: dict[str, Any], kind: ConditionType, status: Status, since: datetime
) -> None:
    found = conditions_of(a_host(duties=DUTIES, **fields))[kind]

    assert (found.status, found.since) == (status, since)


def test_what_main_says_of_it_has_the_commit_that_says_so() -> None:
    found = node_conditions(a_host(duty=Duty.DRAINING, source="c"))

    assert {str(one.type) for one in found if one.observed_revision == "c"} == {
        "Cordoned",
        "Draining",
    }


def test_a_late_node_is_not_lost_and_nobody_says_that_its_heartbeats_arrive() -> None:
    lost = conditions_of(a_host(Freshness.LATE))[ConditionType.LOST]

    assert (lost.status, lost.reason) == (F, "NotForLong")
    assert lost.message == "it is silent, and not for more than 300 s"


def test_a_silent_docker_makes_it_not_ready() -> None:
    ready = conditions_of(a_host(runtime_error="refused"))[ConditionType.READY]

    assert (ready.status, ready.reason) == (F, "DockerDoesNotAnswer")


@pytest.mark.parametrize(
    ("fields", "draining", "reason", "drained"),
    [
        pytest.param({}, F, "NotDraining", False, id="active"),
        pytest.param({"duty": Duty.CORDONED}, F, "NotDraining", False, id="cordoned"),
        pytest.param(
            {"duty": Duty.DRAINING, "left": ("chat-0",)}, T, "Moving", False, id="has something"
        ),
        pytest.param({"duty": Duty.DRAINING}, T, "Empty", True, id="empty"),
        pytest.param(
            {"duty": Duty.DRAINING, "freshness": Freshness.LOST}, T, "NotKnown", False, id="silent"
        ),
        pytest.param(
            {"duty": Duty.DRAINING, "freshness": Freshness.CONTESTED},
            T,
            "NotKnown",
            False,
            id="two machines",
        ),
        pytest.param(
            {"duty": Duty.DRAINING, "runtime_error": "does not answer"},
            T,
            "NotKnown",
            False,
            id="its Docker tells nothing",
        ),
    ],
)
def test_a_drain_says_when_it_is_done(
    fields: dict[str, Any], draining: Status, reason: str, drained: bool
) -> None:
    host = a_host(**fields)
    found = conditions_of(host)[ConditionType.DRAINING]

    assert (found.status, found.reason) == (draining, reason)
    assert is_drained(host) is drained


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({}, F, "Active"),
        ({"duty": Duty.CORDONED}, T, "Cordoned"),
        ({"duty": Duty.DRAINING}, T, "Draining"),
        ({"suspended": True}, T, "Suspended"),
    ],
)
def test_who_takes_nothing_new_is_cordoned(
    fields: dict[str, Any], status: Status, reason: str
) -> None:
    found = conditions_of(a_host(**fields))[ConditionType.CORDONED]

    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, F),
        ({"disk_pressure": "4 % free"}, T),
        ({"disk_pressure": "4 % free", "freshness": Freshness.LOST}, U),
    ],
)
def test_a_disk_that_is_nearly_full(fields: dict[str, Any], status: Status) -> None:
    assert conditions_of(a_host(**fields))[ConditionType.DISK_PRESSURE].status is status
