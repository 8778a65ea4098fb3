"""How one replica fares, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.conditions.condition import Condition, ConditionType, Status, is_true
from reconciler.conditions.replicas import Replica, absent_conditions, replica_conditions
from reconciler.observing.node import Freshness
from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from schemas.names import NodeName
from tests.builders import A_MOMENT, a_replica_report
from tests.unit.reconciler.web.fleets import a_hold

T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN
GATE = a_hold("gate", "waits for chat-1 to be ready", "chat-0")
COMMIT = "3f2a91c0"


def a_replica(state: ReplicaState = ReplicaState.RUNNING, **fields: Any) -> Replica:
    ours: dict[str, Any] = {
        "node": NodeName("alpha"),
        "freshness": Freshness.READY,
        "report": a_replica_report(state=state, since=A_MOMENT),
        "is_current": True,
        "source": COMMIT,
    }
    return Replica(**{**ours, **fields})


def by_type(conditions: tuple[Condition, ...]) -> dict[str, Status]:
    return {str(one.type): one.status for one in conditions}


@pytest.mark.parametrize(
    ("one", "ready", "progressing", "degraded", "reason"),
    [
        pytest.param(a_replica(), T, F, F, "Running", id="runs"),
        pytest.param(a_replica(is_current=False), F, T, F, "FilesBehind", id="older files"),
        pytest.param(a_replica(report=None, is_current=False), F, T, F, "NotReported", id="new"),
        pytest.param(a_replica(ReplicaState.PENDING), F, T, F, "Pending", id="pending"),
        pytest.param(a_replica(ReplicaState.STARTING), F, T, F, "Starting", id="starting"),
        pytest.param(a_replica(ReplicaState.STOPPING), F, T, F, "Stopping", id="stopping"),
        pytest.param(a_replica(ReplicaState.DEGRADED), F, F, T, "Degraded", id="degraded"),
        pytest.param(a_replica(ReplicaState.FAILED), F, F, T, "Failed", id="failed"),
        pytest.param(
            a_replica(ReplicaState.FAILED, is_current=False), F, F, T, "Failed", id="failed anew"
        ),
        pytest.param(a_replica(freshness=Freshness.RETURNING), T, F, F, "Running", id="back"),
        pytest.param(a_replica(freshness=Freshness.LATE), U, U, U, "NodeLate", id="late"),
        pytest.param(a_replica(freshness=Freshness.LOST), U, U, U, "NodeLost", id="lost"),
        pytest.param(
            a_replica(freshness=Freshness.CONTESTED), U, U, U, "NodeContested", id="two machines"
        ),
        pytest.param(a_replica(freshness=Freshness.UNSEEN), U, U, U, "NodeUnseen", id="unseen"),
    ],
)
def test_a_replica_is_ready_only_by_one_fresh_word_on_both(
    one: Replica, ready: Status, progressing: Status, degraded: Status, reason: str
) -> None:
    found = replica_conditions(one)

    assert by_type(found) == {
        "Ready": ready,
        "Progressing": progressing,
        "Degraded": degraded,
        "Held": F,
    }
    assert found[0].reason == reason


TOLD, SILENT = A_MOMENT + timedelta(hours=1), A_MOMENT + timedelta(hours=2)
NEW = a_replica(report=None, is_current=False)
OLDER_FILES = a_replica(is_current=False)


@pytest.mark.parametrize(
    ("one", "ready", "progressing", "degraded"),
    [
        pytest.param(a_replica(), A_MOMENT, A_MOMENT, A_MOMENT, id="by its agent's word"),
        pytest.param(NEW, TOLD, TOLD, TOLD, id="not reported since it was placed"),
        pytest.param(OLDER_FILES, TOLD, TOLD, A_MOMENT, id="behind since it was changed"),
        pytest.param(
            a_replica(ReplicaState.FAILED, is_current=False), A_MOMENT, A_MOMENT, A_MOMENT, id="ill"
        ),
        pytest.param(a_replica(freshness=Freshness.LATE), SILENT, SILENT, SILENT, id="late"),
        pytest.param(a_replica(freshness=Freshness.LOST), SILENT, SILENT, SILENT, id="lost"),
        pytest.param(a_replica(freshness=Freshness.UNSEEN), TOLD, TOLD, TOLD, id="unseen"),
        pytest.param(a_replica(freshness=Freshness.CONTESTED), None, None, None, id="contested"),
    ],
)
def test_since_when_it_is_so(
    one: Replica, ready: datetime | None, progressing: datetime | None, degraded: datetime | None
) -> None:
    known = replace(one, told_at=TOLD, silent_since=SILENT)

    found = [each.since for each in replica_conditions(known)]

    assert found == [ready, progressing, degraded, None]


@pytest.mark.parametrize(
    ("fields", "revision"),
    [
        pytest.param({}, COMMIT, id="settled"),
        pytest.param({"hold": GATE}, COMMIT, id="settled and held"),
        pytest.param({"phase": Phase.ROLLING}, COMMIT, id="rolling"),
        pytest.param({"phase": Phase.ROLLING, "hold": GATE}, "", id="still the old one"),
        pytest.param({"phase": Phase.STALLED}, COMMIT, id="stalled"),
        pytest.param({"phase": Phase.ROLLED_BACK}, "", id="the good one, of no known commit"),
        pytest.param(
            {"phase": Phase.ROLLED_BACK, "good_source": "9a1b"}, "9a1b", id="the good one"
        ),
        pytest.param(
            {"phase": Phase.ROLLED_BACK, "good_source": "9a1b", "hold": GATE}, "", id="not yet back"
        ),
        pytest.param(
            {"phase": Phase.ROLLED_BACK, "good_source": "9a1b", "is_current": False},
            "",
            id="going back",
        ),
        pytest.param({"is_current": False}, "", id="other files"),
    ],
)
def test_the_observed_revision_is_told_only_where_it_can_be(
    fields: dict[str, Any], revision: str
) -> None:
    assert {one.observed_revision for one in replica_conditions(a_replica(**fields))} == {revision}


def test_what_is_held_says_by_what_and_since_when() -> None:
    later = A_MOMENT + timedelta(minutes=1)

    held = replica_conditions(a_replica(hold=GATE, held_since=later))[-1]

    assert (held.type, held.status, held.reason) == (ConditionType.HELD, T, "Gate")
    assert (held.message, held.since) == ("waits for chat-1 to be ready", later)


@pytest.mark.parametrize(
    ("hold", "why", "reason", "is_held"),
    [
        pytest.param(a_hold("massLoss", "x", "chat-0"), "", "MassLoss", True, id="held"),
        pytest.param(None, "no room", "NoNodeFits", False, id="refused"),
        pytest.param(None, "", "NotPlacedYet", False, id="new"),
    ],
)
def test_a_replica_without_a_node_is_pending(
    hold: Any, why: str, reason: str, is_held: bool
) -> None:
    found = absent_conditions(hold, why, A_MOMENT)

    pending = next(one for one in found if one.type is ConditionType.PENDING)
    assert {one.since for one in found if one.status is T} == {A_MOMENT}
    assert found[0].since == A_MOMENT
    assert (pending.status, pending.reason) == (T, reason)
    assert is_true(found, ConditionType.HELD) is is_held
    assert not is_true(found, ConditionType.READY)
