"""Every condition in every state: what all of them say, and of which nobody knows since when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any, Final, TypeAlias

from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.deployments import Deployment, deployment_conditions
from reconciler.conditions.nodes import Host, node_conditions
from reconciler.conditions.replicas import Replica, absent_conditions, replica_conditions
from reconciler.conditions.since import Since
from reconciler.observing.duties import Duties
from reconciler.observing.node import Freshness
from schemas.assignment import Phase
from schemas.fleet import Timings
from schemas.heartbeat import ReplicaState
from schemas.names import NodeName
from schemas.node import Duty
from tests.builders import A_MOMENT, a_node, a_replica_report
from tests.unit.reconciler.web.fleets import a_hold

ALPHA = NodeName("alpha")
HOLD = a_hold("gate", "waits for chat-1 to be ready", "chat-0")
# All that can be known of since when.
SINCE = Since(
    phases={("chat", phase): A_MOMENT for phase in Phase},
    sound={"chat": A_MOMENT},
    waits={("chat-0", "gate"): A_MOMENT},
    held={"chat": A_MOMENT},
    unplaced={"chat": A_MOMENT},
)

Found: TypeAlias = tuple[str, Condition]


def hosts() -> Iterator[Found]:
    texts = ("", "it is ill")
    for freshness, duty, suspended, docker, disk, left in product(
        Freshness, Duty, (False, True), texts, texts, ((), ("chat-0",))
    ):
        node = a_node(
            freshness=freshness, suspended=suspended, runtime_error=docker, disk_pressure=disk
        )
        known = Host(
            node=node,
            duty=duty,
            seen_at=None if freshness is Freshness.UNSEEN else A_MOMENT,
            back_at=A_MOMENT,
            left=left,
            timings=Timings(),
            duties=Duties(admitted=A_MOMENT, cordoned=A_MOMENT, draining=A_MOMENT),
            source="c",
            docker_since=A_MOMENT,
            disk_since=A_MOMENT,
        )
        yield from (("node", one) for one in node_conditions(known))


def replicas() -> Iterator[tuple[Condition, ...]]:
    reports = [None, *(a_replica_report(state=state, since=A_MOMENT) for state in ReplicaState)]
    for freshness, report, is_current, hold in product(
        Freshness, reports, (False, True), (None, HOLD)
    ):
        if report is None and is_current:
            continue
        yield replica_conditions(
            Replica(
                node=ALPHA,
                freshness=freshness,
                report=report,
                is_current=is_current,
                hold=hold,
                held_since=A_MOMENT if hold else None,
                told_at=A_MOMENT,
                silent_since=A_MOMENT + timedelta(seconds=90),
                source="c",
            )
        )


def absent() -> Iterator[Found]:
    for hold, why in ((HOLD, ""), (None, "no room"), (None, "")):
        since = A_MOMENT if hold or why else None
        yield from (("absent", one) for one in absent_conditions(hold, why, since))


def deployments() -> Iterator[Found]:
    alone: list[tuple[tuple[Condition, ...], ...]] = [(), *((one,) for one in replicas())]
    texts = ("", "it is so")
    for ours, wanted, phase, lacking, broken, holds in product(
        alone, (0, 1, 2), Phase, texts, texts, ((), (HOLD,))
    ):
        fields: dict[str, Any] = {"lacking": lacking if wanted > len(ours) else ""}
        known = Deployment(
            name="chat",
            wanted=wanted,
            replicas=ours,
            phase=phase,
            broken=broken,
            holds=holds,
            **fields,
        )
        yield from (("deployment", one) for one in deployment_conditions(known, SINCE))


def everything() -> Iterator[Found]:
    yield from hosts()
    yield from (("replica", one) for each in replicas() for one in each)
    yield from absent()
    yield from deployments()


EVERYTHING: Final = tuple(everything())

# Of these nobody knows since when though all is known that Git tells, and why.
UNKNOWN: Final = {
    # No heartbeat says since when: the ref of a node has only the newest one.
    "node Ready=False TwoMachines",
    "replica Ready=Unknown NodeContested",
    "replica Progressing=Unknown NodeContested",
    "replica Degraded=Unknown NodeContested",
    "deployment Ready=Unknown NodeContested",
    "deployment Ready=False NodeContested",
    "deployment Degraded=Unknown NodeContested",
    # That a hold or a want is over leaves no trace of its own in the log.
    "node HeldDown=False NotHeldDown",
    "replica Held=False NotHeld",
    "absent Held=False NotHeld",
    "deployment Held=False NotHeld",
    "deployment Pending=False Placed",
    "deployment Ready=True NoReplicas",
    # Nothing was decided of it yet, or there is nothing that could be ill.
    "absent Ready=False NoNode",
    "absent Pending=True NotPlacedYet",
    "deployment Ready=False NoNode",
    "deployment Degraded=False Well",
}
COULD_BE: Final = {
    "node": "Ready Late Lost Cordoned Draining DiskPressure HeldDown",
    "replica": "Ready Progressing Degraded Held",
    "absent": "Ready Pending Held",
    "deployment": "Ready Progressing Degraded Stalled Pending Held",
}


def name_of(what: str, one: Condition) -> str:
    return f"{what} {one.type}={one.status} {one.reason}"


def test_every_kind_of_condition_is_among_them() -> None:
    found = {(what, str(one.type)) for what, one in EVERYTHING}

    assert found == {(what, kind) for what, kinds in COULD_BE.items() for kind in kinds.split()}


def test_every_one_has_a_word_and_a_clause() -> None:
    silent = {name_of(what, one) for what, one in EVERYTHING if not one.reason or not one.message}

    assert silent == set()


def test_since_when_is_unknown_only_where_nothing_tells_it() -> None:
    unknown = {name_of(what, one) for what, one in EVERYTHING if one.since is None}

    assert unknown == UNKNOWN


def test_a_commit_is_told_of_what_main_says_and_of_what_runs_from_it() -> None:
    told = {(what, str(one.type)) for what, one in EVERYTHING if one.observed_revision}

    assert told == {
        *(("node", kind) for kind in ("Cordoned", "Draining")),
        *(("replica", kind) for kind in COULD_BE["replica"].split()),
        *(("deployment", kind) for kind in COULD_BE["deployment"].split()),
    }


def test_all_states_of_a_condition_are_seen() -> None:
    found = {(str(one.type), str(one.status)) for _, one in EVERYTHING}
    never = {
        *((kind, Status.UNKNOWN) for kind in ("Stalled", "Pending", "Held", "HeldDown")),
        *((kind, Status.UNKNOWN) for kind in ("Cordoned", "Draining")),
    }

    assert found == set(product(map(str, ConditionType), map(str, Status))) - never
