from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.observing.node import Freshness
from reconciler.web.overview import fleet_view
from reconciler.web.views import NodeState, NodeView, Sync
from schemas.heartbeat import RuntimeReport
from schemas.names import NodeName
from schemas.node import Duty
from schemas.problem import Place, Problem
from tests.builders import (
    a_gpu_report,
    a_heartbeat,
    a_node,
    a_record,
    a_share,
    an_assigned_replica,
    an_assignment,
)
from tests.unit.reconciler.web.fleets import a_quiet_fleet, an_observed, facts_of


def the_node(facts: Any, name: str = "alpha") -> NodeView:
    return fleet_view(facts).nodes_by_name[name]


@pytest.mark.parametrize(
    ("freshness", "state", "why"),
    [
        (Freshness.READY, NodeState.READY, "speaks, and takes work"),
        (Freshness.LATE, NodeState.LATE, "no heartbeat for more than 90 seconds"),
        (Freshness.LOST, NodeState.LOST, "no heartbeat for more than 5 minutes"),
        (Freshness.UNSEEN, NodeState.UNSEEN, "no heartbeat of it ever arrived"),
    ],
)
def test_the_state_of_a_node_is_its_freshness(
    freshness: Freshness, state: NodeState, why: str
) -> None:
    seen = the_node(replace(a_quiet_fleet(), nodes=(a_node(freshness=freshness),)))

    assert (seen.mark.state, seen.mark.why) == (state, why)


@pytest.mark.parametrize(
    ("beat", "why"),
    [
        ({"runtime": RuntimeReport(error="no answer")}, "Docker: no answer"),
        ({"gpus": (a_gpu_report(sickness="lost"),)}, "GPU 0: lost"),
        ({"problems": ("the disk is full",)}, "the disk is full"),
    ],
)
def test_a_node_that_complains_is_degraded_and_says_so(beat: dict[str, Any], why: str) -> None:
    facts = a_quiet_fleet()
    observed = replace(facts.observed, heartbeats=(a_heartbeat(**beat),))

    seen = the_node(replace(facts, observed=observed))

    assert (seen.mark.state, seen.mark.why) == (NodeState.DEGRADED, why)
    assert seen.problems == (why,)


def test_a_card_that_is_only_told_of_or_slowed_down_is_no_complaint() -> None:
    told = a_gpu_report(0, vendor="amd", withheld="told only")
    gpus = (told, a_gpu_report(1, throttles=("heat",)))
    observed = replace(a_quiet_fleet().observed, heartbeats=(a_heartbeat(gpus=gpus),))

    seen = the_node(replace(a_quiet_fleet(), observed=observed))

    assert seen.problems == ()
    assert [(gpu.withheld, gpu.throttles) for gpu in seen.gpus] == [
        ("told only", ()),
        ("", ("heat",)),
    ]


def test_a_node_without_a_document_says_what_is_missing() -> None:
    seen = the_node(facts_of(an_observed(heartbeats=(a_heartbeat("stray"),))), "stray")

    assert seen.mark.state is NodeState.NOT_ADMITTED
    assert seen.mark.why == "it gets nothing until nodes/stray.yaml is committed"


def test_a_node_without_a_document_that_is_silent_says_how_it_leaves_the_screen() -> None:
    strange = {NodeName("stray"): Freshness.LOST}
    facts = facts_of(an_observed(heartbeats=(a_heartbeat("stray"),)), unadmitted=strange)

    seen = the_node(facts, "stray")

    assert seen.mark.state is NodeState.NOT_ADMITTED
    assert seen.mark.why == (
        "no record, and silent for more than 5 minutes; if gone for good: "
        "git push STATE :refs/miaas/nodes/stray"
    )


@pytest.mark.parametrize("runs", [True, False])
def test_a_node_without_record_and_heartbeat_is_shown_while_it_has_something_to_run(
    runs: bool,
) -> None:
    replicas = (an_assigned_replica(),) if runs else ()
    told = {NodeName("gone"): an_assignment("gone", replicas=replicas)}

    seen = fleet_view(facts_of(an_observed(assignments=told)))

    assert ("gone" in seen.nodes_by_name) is runs


def test_a_heartbeat_that_cannot_be_read_is_told() -> None:
    problem = Problem(Place("refs/miaas/nodes/alpha/heartbeat.json"), "no JSON", "upgrade it")
    facts = facts_of(
        an_observed(records=(a_record(),), unreadable={NodeName("alpha"): (problem,)}),
        a_node(freshness=Freshness.UNSEEN),
    )

    assert the_node(facts).mark.why == "its heartbeat cannot be understood: no JSON"


@pytest.mark.parametrize(
    ("duty", "words"), [(Duty.CORDONED, "cordoned"), (Duty.DRAINING, "draining")]
)
def test_the_duty_is_said_in_words(duty: Duty, words: str) -> None:
    facts = a_quiet_fleet()
    observed = replace(facts.observed, records=(a_record(duty=duty),))

    seen = the_node(replace(facts, observed=observed))

    assert seen.duty == duty
    assert seen.mark.why.startswith(words)


@pytest.mark.parametrize(
    ("told", "taken_up", "state", "why"),
    [
        (3, 3, Sync.SYNCED, "it has taken up its newest assignment"),
        (3, 2, Sync.OUT_OF_SYNC, "it is 1 assignment behind"),
        (3, 0, Sync.OUT_OF_SYNC, "it is 3 assignments behind"),
        (4098, 1, Sync.OUT_OF_SYNC, "it has taken up no assignment since the state was restored"),
    ],
)
def test_sync_of_a_node_compares_generations(
    told: int, taken_up: int, state: Sync, why: str
) -> None:
    alpha = NodeName("alpha")
    facts = facts_of(
        an_observed(
            records=(a_record(),),
            heartbeats=(a_heartbeat(generation=taken_up),),
            assignments={alpha: an_assignment(generation=told)},
        ),
        a_node(),
    )

    seen = the_node(facts)

    assert (seen.sync.state, seen.sync.why) == (state, why)


def test_what_is_promised_of_a_gpu_is_the_sum_of_its_replicas() -> None:
    shares = (a_share(memory_mib=10_000),), (a_share(memory_mib=6_000),)
    replicas = tuple(
        an_assigned_replica(name, gpus=gpus)
        for name, gpus in zip(("chat", "code"), shares, strict=True)
    )
    facts = facts_of(
        an_observed(
            records=(a_record(),),
            heartbeats=(a_heartbeat(cards=("l40s", "l40s")),),
            assignments={NodeName("alpha"): an_assignment(replicas=replicas)},
        ),
        a_node(cards=("l40s", "l40s")),
    )

    seen = the_node(facts)

    assert [(g.promised_mib, g.replicas) for g in seen.gpus] == [
        (16_000, ("chat-0", "code-0")),
        (0, ()),
    ]
    assert seen.promised.cpu_milli == 200


def test_order_of_the_input_never_matters() -> None:
    names = ("beta", "alpha", "gamma")
    facts = facts_of(
        an_observed(
            records=tuple(a_record(name) for name in names),
            heartbeats=tuple(a_heartbeat(name) for name in names),
        ),
        *(a_node(name) for name in names),
    )

    assert [node.name for node in fleet_view(facts).nodes] == sorted(names)
