"""What a node is worth: freshness by our own clock, room by what is left of the host."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.observing.inventory import Sighting, judge, notices, sight, unadmitted
from reconciler.observing.node import Freshness, Node
from reconciler.observing.snapshot import Observed
from schemas.assignment import Decision
from schemas.fleet import Timings
from schemas.heartbeat import Heartbeat, RuntimeReport
from schemas.names import NodeName, ReplicaName
from schemas.node import Duty
from schemas.problem import Place, Problem
from schemas.resources import Resources
from tests.builders import (
    A_MOMENT,
    GIB,
    a_fleet,
    a_gpu_report,
    a_gpu_uuid,
    a_heartbeat,
    a_host,
    a_record,
)

ALPHA, BETA = NodeName("alpha"), NodeName("beta")
SECOND = timedelta(seconds=1)


def observed(*beats: Heartbeat, **fields: Any) -> Observed:
    ours: dict[str, Any] = {
        "source": None,
        "fleet": a_fleet(),
        "deployments": (),
        "templates": {},
        "records": (a_record(),),
        "heartbeats": beats,
        "assignments": {},
        "decision": Decision(),
        "held": {},
        "problems": (),
    }
    return Observed(**{**ours, **fields})


def judged(*beats: Heartbeat, age: timedelta = timedelta(0), **fields: Any) -> Node:
    sightings = sight({}, beats, A_MOMENT, Timings())
    return judge(observed(*beats, **fields), A_MOMENT + age, sightings)[0]


@pytest.mark.parametrize(
    ("age", "freshness"),
    [
        pytest.param(timedelta(0), Freshness.READY, id="now"),
        pytest.param(timedelta(seconds=90) - SECOND, Freshness.READY, id="before late"),
        pytest.param(timedelta(seconds=90), Freshness.LATE, id="late"),
        pytest.param(timedelta(minutes=5) - SECOND, Freshness.LATE, id="before lost"),
        pytest.param(timedelta(minutes=5), Freshness.LOST, id="lost"),
        pytest.param(-timedelta(hours=1), Freshness.READY, id="our clock was set back"),
    ],
)
def test_a_nodes_freshness_is_its_silence(age: timedelta, freshness: Freshness) -> None:
    assert judged(a_heartbeat(), age=age).freshness is freshness


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=9999)])
def test_the_nodes_own_clock_has_no_say(skew: timedelta) -> None:
    beat = a_heartbeat(sent_at=A_MOMENT + skew)

    assert judged(beat).freshness is Freshness.READY


def test_a_node_that_never_spoke_is_unseen() -> None:
    assert judged() == Node(name=ALPHA, freshness=Freshness.UNSEEN, labels={"miaas/node": "alpha"})


def test_a_node_whose_heartbeat_cannot_be_read_is_late() -> None:
    problems = (Problem(Place("x"), "odd", "mend it"),)

    assert judged(unreadable={ALPHA: problems}).freshness is Freshness.LATE


@pytest.mark.parametrize(
    ("incarnation", "sequence", "is_news"),
    [
        pytest.param("first", 6, True, id="next"),
        pytest.param("first", 5, False, id="the same"),
        pytest.param("first", 4, False, id="an old one replayed"),
        pytest.param("second", 1, True, id="after a boot"),
    ],
)
def test_only_a_newer_heartbeat_is_news(incarnation: str, sequence: int, is_news: bool) -> None:
    before = {ALPHA: Sighting("first", 5, A_MOMENT)}
    now = A_MOMENT + 60 * SECOND
    beat = a_heartbeat(incarnation=incarnation, sequence=sequence)

    found = sight(before, (beat,), now, Timings())

    assert found[ALPHA].seen_at == (now if is_news else A_MOMENT)


def test_a_sighting_from_the_future_counts_from_now() -> None:
    before = {ALPHA: Sighting("first", 5, A_MOMENT + timedelta(hours=1))}
    beat = a_heartbeat(incarnation="first", sequence=5)

    assert sight(before, (beat,), A_MOMENT, Timings())[ALPHA].seen_at == A_MOMENT


def test_who_sends_no_heartbeat_any_more_is_forgotten() -> None:
    assert sight({ALPHA: Sighting("first", 5, A_MOMENT)}, (), A_MOMENT, Timings()) == {}


@pytest.mark.parametrize(("seconds", "is_lost"), [(99.9, False), (100, True)])
def test_whose_heartbeat_cannot_be_read_is_remembered_and_grows_old(
    seconds: float, is_lost: bool
) -> None:
    before = {ALPHA: Sighting("first", 5, A_MOMENT)}
    now = A_MOMENT + seconds * SECOND

    mute = sight(before, (), now, Timings(lost=100 * SECOND), (ALPHA, BETA))
    again = sight(mute, (a_heartbeat(incarnation="first", sequence=6),), now, Timings())

    assert mute == {ALPHA: replace(before[ALPHA], is_lost=is_lost)}
    assert again[ALPHA].back_at == (now if is_lost else None)


@pytest.mark.parametrize(
    ("host", "reserved", "room"),
    [
        pytest.param({}, Resources(), (16_000, 64 * GIB, 500 * GIB), id="all of it"),
        pytest.param(
            {},
            Resources(cpu_milli=1000, memory_mib=GIB, disk_mib=GIB),
            (15_000, 63 * GIB, 499 * GIB),
            id="reserved",
        ),
        pytest.param(
            {"foreign_memory_mib": 2 * GIB, "foreign_disk_mib": 3 * GIB},
            Resources(),
            (16_000, 62 * GIB, 497 * GIB),
            id="foreign",
        ),
        pytest.param(
            {"foreign_memory_mib": 2 * GIB},
            Resources(memory_mib=3 * GIB),
            (16_000, 61 * GIB, 500 * GIB),
            id="foreign within what is reserved",
        ),
        pytest.param(
            {},
            Resources(cpu_milli=10**6, memory_mib=10**9, disk_mib=10**9),
            (0, 0, 0),
            id="never less",
        ),
    ],
)
def test_room_is_the_host_less_what_is_not_ours(
    host: dict[str, int], reserved: Resources, room: tuple[int, int, int]
) -> None:
    cpu, memory, disk = room

    found = judged(a_heartbeat(host=a_host(**host)), fleet=a_fleet(reserved=reserved)).room

    assert found == Resources(cpu_milli=cpu, memory_mib=memory, disk_mib=disk)


def test_the_nodes_word_on_what_is_reserved_wins_over_the_fleets() -> None:
    fleet = a_fleet(reserved=Resources(cpu_milli=8000))
    records = (a_record(reserved=Resources(cpu_milli=500)),)

    assert judged(a_heartbeat(), fleet=fleet, records=records).room.cpu_milli == 15_500


def test_gpus_are_given_out_less_foreign_memory_and_without_the_sick_and_withheld() -> None:
    reports = (
        a_gpu_report(0, foreign_mib=1000),
        a_gpu_report(1, sickness="pending remap"),
        a_gpu_report(2, foreign_mib=10**6),
        a_gpu_report(3, vendor="amd", withheld="only told of"),
        a_gpu_report(4, throttles=("heat",)),
    )

    found = judged(a_heartbeat(gpus=reports))

    assert {gpu.uuid: gpu.free_mib for gpu in found.gpus} == {
        a_gpu_uuid(0): 46068 - 1000,
        a_gpu_uuid(2): 0,
        a_gpu_uuid(4): 46068,
    }
    assert found.sick_gpus == {a_gpu_uuid(1): "pending remap", a_gpu_uuid(3): "only told of"}


def test_the_record_and_the_heartbeat_together_make_the_node() -> None:
    record = a_record(labels={"rack": "r1", "miaas/os": "lie"}, duty=Duty.DRAINING)
    beat = a_heartbeat(
        runtime=RuntimeReport(error="docker does not answer"),
        images=("a:1",),
        volumes=(ReplicaName("chat-0"), ReplicaName("gone-3")),
        host=a_host(ports=(22, 80)),
        problems=("no GPU driver", "DiskPressure: 3 GiB are free"),
    )

    found = judged(beat, records=(record,))

    assert found == Node(
        name=ALPHA,
        duty=Duty.DRAINING,
        labels={"rack": "r1", "miaas/node": "alpha", "miaas/os": "linux", "miaas/arch": "amd64"},
        room=Resources(cpu_milli=16_000, memory_mib=64 * GIB, disk_mib=500 * GIB),
        ports=frozenset({22, 80}),
        images=frozenset({"a:1"}),
        volumes=frozenset({ReplicaName("chat-0"), ReplicaName("gone-3")}),
        runtime_error="docker does not answer",
        disk_pressure="3 GiB are free",
        incarnation=beat.incarnation,
    )


def test_a_node_that_nobody_admitted_is_reported_and_is_no_node() -> None:
    seen = observed(a_heartbeat("stranger"))

    assert [node.name for node in judge(seen, A_MOMENT, {})] == [ALPHA]
    assert [str(notice) for notice in notices(seen, unadmitted(seen, A_MOMENT, {}))] == [
        "refs/miaas/nodes/stranger/heartbeat.json: the node 'stranger' sends heartbeats and nobody "
        "admitted it. Fix: commit nodes/stranger.yaml, or stop its agent"
    ]


@pytest.mark.parametrize(
    ("age", "freshness", "words"),
    [
        pytest.param(timedelta(seconds=299), Freshness.LATE, "sends heartbeats", id="late"),
        pytest.param(timedelta(minutes=5), Freshness.LOST, "no heartbeat for more", id="lost"),
    ],
)
def test_a_node_without_a_record_that_is_silent_for_long_is_said_to_be(
    age: timedelta, freshness: Freshness, words: str
) -> None:
    seen = observed(a_heartbeat("stranger"))
    sightings = sight({}, seen.heartbeats, A_MOMENT, seen.fleet.timings)

    strange = unadmitted(seen, A_MOMENT + age, sightings)

    (notice,) = notices(seen, strange)
    assert strange == {NodeName("stranger"): freshness}
    assert words in notice.what
    assert ("git push STATE :refs/miaas/nodes/stranger" in notice.fix) is (freshness == "lost")
