"""How a deployment fares, row by row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.deployments import Deployment, deployment_conditions, hold_text
from reconciler.conditions.replicas import Replica, replica_conditions
from reconciler.conditions.since import Since
from reconciler.observing.node import Freshness
from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from schemas.names import NodeName
from tests.builders import A_MOMENT, a_replica_report
from tests.unit.reconciler.web.fleets import a_hold

T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN
LATER = A_MOMENT + timedelta(minutes=1)
RUNS, STARTS, FAILS = ReplicaState.RUNNING, ReplicaState.STARTING, ReplicaState.FAILED


def one(
    state: ReplicaState = RUNS, *, at: datetime | None = A_MOMENT, **fields: Any
) -> tuple[Condition, ...]:
    ours: dict[str, Any] = {
        "node": NodeName("alpha"),
        "freshness": Freshness.READY,
        "report": a_replica_report(state=state, since=at),
        "is_current": True,
        "source": "c",
    }
    return replica_conditions(Replica(**{**ours, **fields}))


def conditions_of(
    *replicas: tuple[Condition, ...], wanted: int = 2, since: Since | None = None, **fields: Any
) -> dict[ConditionType, Condition]:
    known = Deployment(name="chat", wanted=wanted, replicas=replicas, **fields)
    return {each.type: each for each in deployment_conditions(known, since or Since())}


SILENT = one(freshness=Freshness.LOST)


@pytest.mark.parametrize(
    ("replicas", "wanted", "status", "reason"),
    [
        pytest.param((one(), one()), 2, T, "AllReady", id="all"),
        pytest.param((one(), one(), one(STARTS)), 2, T, "AllReady", id="an extra one starts"),
        pytest.param((), 0, T, "NoReplicas", id="none wanted"),
        pytest.param((one(), one(STARTS)), 2, F, "Starting", id="one starts"),
        pytest.param((one(),), 2, F, "NoNode", id="one has no node"),
        pytest.param((one(), SILENT), 2, U, "NodeLost", id="one is silent"),
        pytest.param((SILENT, one(FAILS)), 2, F, "NodeLost", id="one is silent, one fails"),
    ],
)
def test_it_is_ready_when_all_that_is_wanted_is(
    replicas: tuple[tuple[Condition, ...], ...], wanted: int, status: Status, reason: str
) -> None:
    ready = conditions_of(*replicas, wanted=wanted)[ConditionType.READY]

    assert (ready.status, ready.reason) == (status, reason)


def test_it_is_ready_since_the_last_one_got_ready_and_ill_since_the_first() -> None:
    well = conditions_of(one(), one(at=LATER))
    ill = conditions_of(one(FAILS, at=LATER), one(FAILS))

    assert well[ConditionType.READY].since == LATER
    assert ill[ConditionType.READY].since == A_MOMENT
    assert ill[ConditionType.DEGRADED].since == A_MOMENT
    assert conditions_of(one(), one(at=None))[ConditionType.READY].since is None


LATE = one(freshness=Freshness.LATE, silent_since=LATER)
GATE = a_hold("gate", "waits", "chat-1")
SINCE = Since(
    unplaced={"chat": LATER},
    held={"chat": LATER},
    waits={("chat-1", "gate"): LATER},
    sound={"chat": LATER},
)


@pytest.mark.parametrize(
    ("replicas", "fields", "kind", "status", "since"),
    [
        pytest.param((), {"lacking": "x"}, ConditionType.READY, F, LATER, id="no node fits"),
        pytest.param((one(),), {"holds": (GATE,)}, ConditionType.READY, F, LATER, id="one waits"),
        pytest.param(
            (one(FAILS),),
            {"lacking": "x"},
            ConditionType.READY,
            F,
            A_MOMENT,
            id="ill, then lacking",
        ),
        pytest.param(
            (), {"wanted": 0, "broken": "x"}, ConditionType.READY, F, LATER, id="never ran"
        ),
        pytest.param((one(),), {}, ConditionType.READY, F, None, id="not placed yet"),
        pytest.param((LATE, LATE), {}, ConditionType.READY, U, LATER, id="silent"),
        pytest.param((one(), LATE), {}, ConditionType.DEGRADED, U, LATER, id="one is silent"),
        pytest.param((one(), one(at=LATER)), {}, ConditionType.DEGRADED, F, LATER, id="well"),
        pytest.param((one(), one()), {}, ConditionType.STALLED, F, LATER, id="sound"),
    ],
)
def test_since_when_it_is_so(
    replicas: tuple[tuple[Condition, ...], ...],
    fields: dict[str, Any],
    kind: ConditionType,
    status: Status,
    since: datetime | None,
) -> None:
    found = conditions_of(*replicas, since=SINCE, **fields)[kind]

    assert (found.status, found.since) == (status, since)


@pytest.mark.parametrize(
    ("phase", "progressing", "stalled", "reason"),
    [
        (Phase.SETTLED, F, F, "Settled"),
        (Phase.ROLLING, T, F, "RollingOut"),
        (Phase.STALLED, F, T, "Stalled"),
        (Phase.ROLLED_BACK, F, T, "RolledBack"),
    ],
)
def test_the_phase_tells_what_progresses_and_what_does_not(
    phase: Phase, progressing: Status, stalled: Status, reason: str
) -> None:
    since = Since(phases={("chat", phase): LATER})

    found = conditions_of(one(), one(), phase=phase, message="chat-0 failed", since=since)

    assert found[ConditionType.PROGRESSING].status is progressing
    assert found[ConditionType.PROGRESSING].reason == reason
    assert found[ConditionType.PROGRESSING].since == LATER
    assert found[ConditionType.STALLED].status is stalled
    if stalled is T:
        assert found[ConditionType.STALLED].message == (
            "chat-0 failed; to go on, change it in main: another version is tried at once"
        )


def test_what_no_node_fits_is_pending_and_what_is_left_degraded() -> None:
    since = Since(unplaced={"chat": LATER})

    some = conditions_of(one(), lacking="no room", since=since)
    none = conditions_of(lacking="no room", since=since)

    assert some[ConditionType.PENDING].reason == "NoNodeFits"
    assert some[ConditionType.PENDING].since == LATER
    assert some[ConditionType.DEGRADED].status is T
    assert none[ConditionType.DEGRADED].status is F


def test_what_waits_to_start_is_pending_and_held() -> None:
    hold = a_hold("dependency", "waits for db to be ready", "chat-1")
    since = Since(waits={("chat-1", "dependency"): LATER})

    found = conditions_of(one(), holds=(hold,), since=since)

    for kind in (ConditionType.PENDING, ConditionType.HELD):
        assert found[kind].status is T
        assert found[kind].reason == "Dependency"
        assert found[kind].message == "chat-1 waits for db to be ready"
        assert found[kind].since == LATER


def test_what_waits_to_be_changed_is_held_and_not_pending() -> None:
    found = conditions_of(one(), one(), holds=(a_hold("window", "changes later", "chat-1"),))

    assert found[ConditionType.PENDING].status is F
    assert found[ConditionType.HELD].message == "chat-1: changes later"


def test_broken_documents_hold_it() -> None:
    since = Since(held={"chat": LATER})

    found = conditions_of(wanted=0, broken="x.yaml:1:1: unknown key", since=since)

    assert found[ConditionType.HELD].reason == "DocumentsUnusable"
    assert found[ConditionType.HELD].since == LATER
    assert found[ConditionType.READY].status is F


def test_the_revision_is_told_only_where_all_run_the_same() -> None:
    other = one(is_current=False)

    assert conditions_of(one(), one())[ConditionType.READY].observed_revision == "c"
    assert conditions_of(one(), other)[ConditionType.READY].observed_revision == ""


@pytest.mark.parametrize(
    ("replicas", "text", "said"),
    [
        (("a-0",), "waits for b to be ready", "a-0 waits for b to be ready"),
        (("a-0", "a-1"), "waits for b to be ready", "a-0, a-1 wait for b to be ready"),
        (("a-0",), "the fleet is suspended", "a-0: the fleet is suspended"),
        (tuple(f"a-{n}" for n in range(7)), "waits for b", "7 replicas wait for b"),
        ((), "the fleet is suspended", "the fleet is suspended"),
    ],
)
def test_a_hold_in_a_sentence(replicas: tuple[str, ...], text: str, said: str) -> None:
    assert hold_text(replicas, text) == said
