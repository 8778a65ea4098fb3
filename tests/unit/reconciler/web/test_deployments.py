from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.observing.node import Freshness
from reconciler.web.overview import fleet_view
from reconciler.web.replicas import homes
from reconciler.web.views import DeploymentView, Health, HealthMark, Sync, SyncMark
from schemas.assignment import Decision, Reason, Refusal, Tenure
from schemas.heartbeat import ReplicaState
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.problem import Place, Problem
from tests.builders import (
    a_deployment,
    a_heartbeat,
    a_node,
    a_record,
    a_replica_report,
    a_service_report,
    an_assigned_replica,
    an_assignment,
)
from tests.unit.reconciler.web.fleets import (
    a_decision,
    a_quiet_fleet,
    an_observed,
    facts_of,
)

BROKEN = Problem(Place("deployments/chat.yaml", 4, 13), "'lots' is no number", "write a number")


def the_deployment(facts: Any, name: str = "chat") -> DeploymentView:
    return fleet_view(facts).deployments_by_name[name]


def with_observed(**fields: Any) -> Any:
    facts = a_quiet_fleet()
    return replace(facts, observed=replace(facts.observed, **fields))


def reported(**fields: Any) -> Any:
    return with_observed(heartbeats=(a_heartbeat(replicas=(a_replica_report(**fields),)),))


def test_what_runs_as_committed_is_synced_and_healthy() -> None:
    seen = the_deployment(a_quiet_fleet())

    assert seen.sync == SyncMark(state=Sync.SYNCED, why="runs what the commit asks for")
    assert seen.health == HealthMark(state=Health.HEALTHY, why="its replica runs")
    assert (seen.wanted, seen.placed, seen.healthy, seen.last_error) == (1, 1, 1, "")


@pytest.mark.parametrize(
    ("state", "health", "why"),
    [
        (ReplicaState.PENDING, Health.PROGRESSING, "chat-0: pending"),
        (ReplicaState.STARTING, Health.PROGRESSING, "chat-0: starting"),
        (ReplicaState.RUNNING, Health.HEALTHY, "its replica runs"),
        (ReplicaState.DEGRADED, Health.DEGRADED, "chat-0: degraded"),
        (ReplicaState.FAILED, Health.DEGRADED, "chat-0: failed"),
        (ReplicaState.STOPPING, Health.PROGRESSING, "chat-0: stopping"),
    ],
)
def test_health_follows_the_word_of_the_node(state: ReplicaState, health: Health, why: str) -> None:
    assert the_deployment(reported(state=state)).health == HealthMark(state=health, why=why)


def test_every_state_of_a_replica_has_a_health() -> None:
    for state in ReplicaState:
        assert the_deployment(reported(state=state)).health.state in Health


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ({"state": "exited", "health": "", "exit_code": 137}, "web is exited with code 137"),
        ({"state": "created", "health": ""}, "web is created"),
        ({"health": "unhealthy"}, "web is unhealthy"),
        ({"health": "starting"}, "web is starting"),
    ],
)
def test_a_service_that_fails_is_named(service: dict[str, Any], why: str) -> None:
    facts = reported(state=ReplicaState.DEGRADED, services=(a_service_report(**service),))

    seen = the_deployment(facts)

    assert seen.health.why == f"chat-0: {why}"
    assert seen.last_error == f"chat-0 on alpha: {why}"


def test_what_the_node_says_of_a_failure_is_the_last_error() -> None:
    seen = the_deployment(reported(state=ReplicaState.FAILED, message="no such image"))

    assert seen.last_error == "chat-0 on alpha: no such image"


@pytest.mark.parametrize("freshness", [Freshness.LATE, Freshness.LOST, Freshness.UNSEEN])
def test_a_silent_node_never_shows_its_last_word_as_good(freshness: Freshness) -> None:
    facts = replace(a_quiet_fleet(), nodes=(a_node(freshness=freshness),))

    seen = the_deployment(facts)

    assert seen.health.state is Health.UNKNOWN
    assert seen.sync.state is Sync.UNKNOWN
    assert "its last word was: running" in seen.health.why
    assert seen.healthy == 0


@pytest.mark.parametrize(
    ("observed", "sync", "why"),
    [
        pytest.param("0" * 40, Sync.OUT_OF_SYNC, "chat-0: alpha still runs an older", id="older"),
        pytest.param("", Sync.OUT_OF_SYNC, "chat-0: alpha has not started it yet", id="not yet"),
    ],
)
def test_sync_compares_what_runs_with_what_was_decided(observed: str, sync: Sync, why: str) -> None:
    seen = the_deployment(reported(observed=observed))

    assert seen.sync.state is sync
    assert seen.sync.why.startswith(why)


def test_drift_that_is_only_told_is_out_of_sync_with_its_reason() -> None:
    seen = the_deployment(reported(drifted="service web has 512 MiB, 1 GiB wanted"))

    assert seen.sync.state is Sync.OUT_OF_SYNC
    assert seen.sync.why == "chat-0: drifted: service web has 512 MiB, 1 GiB wanted"
    assert seen.health.state is Health.HEALTHY


def test_a_node_that_has_not_taken_it_up_makes_it_progressing() -> None:
    seen = the_deployment(with_observed(heartbeats=(a_heartbeat(),)))

    assert seen.health == HealthMark(
        state=Health.PROGRESSING, why="chat-0: alpha has not taken it up yet"
    )


def test_a_deployment_nobody_decided_on_is_out_of_sync_and_missing() -> None:
    facts = with_observed(deployments=(a_deployment(), a_deployment("new")))

    seen = the_deployment(facts, "new")

    assert seen.sync.why == "the reconciler has not decided on it yet"
    assert seen.health == HealthMark(
        state=Health.MISSING, why="the reconciler has not placed it yet"
    )


def test_a_newer_commit_than_the_decision_is_out_of_sync() -> None:
    seen = the_deployment(with_observed(deployments=(a_deployment(replicas=3),)))

    assert seen.sync.why == "the reconciler has not decided on its newest version yet"
    assert seen.health == HealthMark(state=Health.DEGRADED, why="2 of 3 replicas have no node")


def test_what_the_reconciler_has_yet_to_do_is_out_of_sync() -> None:
    pending = {DeploymentName("chat"): "the reconciler has yet to change 1 replica"}

    seen = the_deployment(replace(a_quiet_fleet(), pending=pending))

    assert seen.sync == SyncMark(
        state=Sync.OUT_OF_SYNC, why="the reconciler has yet to change 1 replica"
    )
    assert seen.health.state is Health.HEALTHY


def test_a_broken_document_holds_what_runs_and_is_named() -> None:
    facts = replace(with_observed(deployments=()), held={DeploymentName("chat"): (BROKEN,)})

    seen = the_deployment(facts)

    assert seen.sync.why == "its documents are broken: it stays as it last was"
    assert seen.health.state is Health.HEALTHY
    assert seen.last_error == "deployments/chat.yaml:4:13: 'lots' is no number"
    assert (seen.wanted, seen.source, seen.template) == (1, "deployments/chat.yaml", "web")


def test_a_broken_document_that_never_ran_is_missing() -> None:
    facts = facts_of(an_observed(), held={DeploymentName("chat"): (BROKEN,)})

    assert the_deployment(facts).health == HealthMark(
        state=Health.MISSING, why="its documents are broken, and it never ran"
    )


def test_a_frozen_fleet_never_looks_like_the_wish_to_remove_everything() -> None:
    frozen = Problem(Place("fleet.yaml"), "the file is missing", "write it")

    facts = with_observed(deployments=(), frozen=(frozen,))

    assert "nothing in the fleet may change" in the_deployment(facts).sync.why
    assert fleet_view(facts).verdict.text == "Nothing may change: fleet.yaml is broken."


def test_what_is_wrong_with_the_whole_repository_is_said_in_its_words_with_the_way_out() -> None:
    frozen = Problem(Place("."), "the branch is at 2, which does not follow 1", "push 1 back")

    facts = with_observed(frozen=(frozen,))

    said = "Nothing may change: the branch is at 2, which does not follow 1. Push 1 back."
    assert fleet_view(facts).verdict.text == said


def test_why_nothing_fits_is_the_reason_of_a_missing_deployment() -> None:
    refusal = Refusal(
        replica=ReplicaName("huge-0"),
        reasons=(Reason(text="needs 80 GiB", nodes=(NodeName("alpha"), NodeName("beta"))),),
        hint="ask for less",
    )
    facts = facts_of(
        an_observed(
            deployments=(a_deployment("huge"),),
            decision=Decision(deployments=(a_decision("huge"),)),
        ),
        refused={DeploymentName("huge"): (refusal,)},
    )

    seen = the_deployment(facts, "huge")

    assert seen.health == HealthMark(state=Health.MISSING, why="alpha and beta: needs 80 GiB")
    assert seen.sync.why == "1 of 1 replica has no node"
    assert [(r.replica, r.hint) for r in seen.unplaced] == [("huge-0", "ask for less")]


def test_what_runs_and_would_fit_nowhere_any_more_says_that_it_stays_and_why() -> None:
    refusal = Refusal(
        replica=ReplicaName("chat-0"),
        reasons=(Reason(text="needs 10 TiB", nodes=(NodeName("alpha"),)),),
    )
    facts = replace(a_quiet_fleet(), refused={DeploymentName("chat"): (refusal,)})

    seen = the_deployment(facts)

    why = "chat-0 stays as before: no node fits what is asked for now"
    assert seen.sync == SyncMark(state=Sync.OUT_OF_SYNC, why=why)
    assert seen.health.state is Health.HEALTHY
    assert seen.last_error == "alpha: needs 10 TiB"


def test_a_deployment_that_asks_for_nothing_is_fine() -> None:
    facts = facts_of(
        an_observed(
            deployments=(a_deployment(replicas=0),),
            decision=Decision(deployments=(a_decision(replicas=0),)),
        )
    )

    seen = the_deployment(facts)

    assert (seen.sync.state, seen.health.state) == (Sync.SYNCED, Health.HEALTHY)


@pytest.mark.parametrize("still_assigned", [True, False])
def test_what_is_no_longer_wanted_is_shown_until_it_is_gone(still_assigned: bool) -> None:
    facts = with_observed(deployments=(), decision=Decision())
    if not still_assigned:
        facts = replace(facts, observed=replace(facts.observed, assignments={}))

    seen = the_deployment(facts)

    assert seen.sync.why == "no longer wanted, and not gone yet"
    assert seen.health == HealthMark(state=Health.PROGRESSING, why="alpha has yet to stop it")


def left_on_beta(freshness: Freshness, *tenures: Tenure, epoch: int = 0) -> Any:
    """A look at a fleet that runs well, and whose replica beta had before."""
    quiet = a_quiet_fleet()
    left = a_heartbeat("beta", replicas=(a_replica_report(epoch=epoch),))
    observed = replace(
        quiet.observed,
        records=(a_record(), a_record("beta")),
        heartbeats=(*quiet.observed.heartbeats, left),
        decision=replace(quiet.observed.decision, tenures=tenures),
    )
    return replace(quiet, observed=observed, nodes=(a_node(), a_node("beta", freshness=freshness)))


@pytest.mark.parametrize("freshness", [Freshness.LATE, Freshness.LOST])
def test_what_a_silent_node_had_is_told_and_is_no_fault_of_its_deployment(
    freshness: Freshness,
) -> None:
    seen = the_deployment(left_on_beta(freshness))

    left = seen.replicas[1]
    assert (left.node, left.sync.state, left.health.state) == (
        "beta",
        Sync.UNKNOWN,
        Health.UNKNOWN,
    )
    assert left.health.why == (
        f"beta is {freshness}; it had it when last heard of, and is to stop it when it is back"
    )
    assert seen.sync == SyncMark(state=Sync.SYNCED, why="runs what the commit asks for")
    assert homes(seen.replicas) == ("alpha",)


def test_what_a_node_that_speaks_has_yet_to_stop_is_told_as_before() -> None:
    seen = the_deployment(left_on_beta(Freshness.READY))

    assert seen.sync == SyncMark(state=Sync.OUT_OF_SYNC, why="chat-0: no longer assigned to beta")
    assert seen.replicas[1].health.why == "beta has yet to stop it"
    assert homes(seen.replicas) == ("alpha", "beta")


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        pytest.param("alpha", "its grant there is over: alpha holds it", id="moved"),
        pytest.param("beta", "is to stop it when it is back", id="still its own"),
        pytest.param("", "is to stop it when it is back", id="nobody knows"),
    ],
)
def test_of_a_fenced_replica_it_says_whose_grant_is_over(holder: str, words: str) -> None:
    tenure = Tenure(
        replica=ReplicaName("chat-0"), node=NodeName(holder), incarnation="one", epoch=2
    )

    seen = the_deployment(left_on_beta(Freshness.LOST, tenure, epoch=1))

    assert seen.replicas[1].health.why.endswith(words)


def test_what_nobody_wants_and_a_lost_node_had_is_told() -> None:
    facts = left_on_beta(Freshness.LOST)
    observed = replace(facts.observed, deployments=(), decision=Decision(), assignments={})
    silent = replace(observed, heartbeats=observed.heartbeats[1:])

    seen = the_deployment(replace(facts, observed=silent))

    assert seen.health.why.startswith("chat-0: beta is lost; it had it when last heard of")


def test_a_decision_on_what_nobody_wants_and_nothing_runs_is_not_shown() -> None:
    facts = facts_of(an_observed(decision=Decision(deployments=(a_decision(),))))

    assert fleet_view(facts).deployments == ()


def test_replicas_stand_in_the_order_of_their_numbers() -> None:
    replicas = tuple(an_assigned_replica("chat", index) for index in (10, 9, 1))
    facts = facts_of(
        an_observed(
            deployments=(a_deployment(replicas=3),),
            records=(a_record(),),
            assignments={NodeName("alpha"): an_assignment(replicas=replicas)},
        ),
        a_node(),
    )

    assert [r.name for r in the_deployment(facts).replicas] == ["chat-1", "chat-9", "chat-10"]
