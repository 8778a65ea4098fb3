from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness
from reconciler.web.overview import fleet_view
from reconciler.web.views import Level
from schemas.names import DeploymentName
from schemas.problem import Place, Problem
from tests.builders import a_deployment, a_node, a_record
from tests.unit.reconciler.web.fleets import a_busy_fleet, a_quiet_fleet, an_observed, facts_of

PROBLEM = Problem(Place("nodes/alpha.yaml", 2, 1), "unknown key 'lables'", "use 'labels'")


def test_a_fleet_that_is_well_says_so_in_one_line() -> None:
    seen = fleet_view(a_quiet_fleet())

    assert seen.verdict.level is Level.GOOD
    assert seen.verdict.text == "The deployment is healthy and in sync; 1 node ready."
    assert seen.exceptions == ()


def test_an_empty_fleet_says_so() -> None:
    seen = fleet_view(facts_of(an_observed()))

    assert (seen.verdict.level, seen.verdict.text) == (Level.EMPTY, "The fleet is empty.")


def test_nodes_without_deployments_say_so() -> None:
    seen = fleet_view(facts_of(an_observed(records=(a_record(),)), a_node()))

    assert (seen.verdict.level, seen.verdict.text) == (Level.EMPTY, "1 node, no deployments.")


def test_faults_are_counted_first() -> None:
    seen = fleet_view(a_busy_fleet())

    assert seen.verdict.level is Level.BAD
    assert seen.verdict.text == (
        "5 of 10 deployments not well, 2 of 5 nodes not well, 2 problems in documents."
    )


def test_exceptions_name_the_worst_first_and_only_what_is_not_well() -> None:
    names = [one.name for one in fleet_view(a_busy_fleet()).exceptions]

    assert names == [
        *("broken", "crash", "huge", "new", "old"),
        *("chat", "gone", "past", "store"),
        *("beta", "delta", "gamma", "stray"),
    ]


def test_what_is_only_on_its_way_is_no_fault() -> None:
    pending = {DeploymentName("chat"): "the reconciler has yet to change 1 replica"}

    seen = fleet_view(replace(a_quiet_fleet(), pending=pending))

    assert (seen.verdict.level, seen.verdict.text) == (
        Level.BUSY,
        "1 of 1 deployment on the way.",
    )


@pytest.mark.parametrize("freshness", [Freshness.LATE, Freshness.LOST])
def test_a_silent_node_is_a_fault(freshness: Freshness) -> None:
    seen = fleet_view(replace(a_quiet_fleet(), nodes=(a_node(freshness=freshness),)))

    assert seen.verdict.level is Level.BAD


def test_one_problem_that_holds_many_deployments_is_told_once() -> None:
    facts = facts_of(
        an_observed(deployments=(a_deployment("a"), a_deployment("b"))),
        held={DeploymentName("a"): (PROBLEM,), DeploymentName("b"): (PROBLEM,)},
        problems=(PROBLEM,),
    )

    assert [problem.what for problem in fleet_view(facts).problems] == ["unknown key 'lables'"]


def test_a_look_that_sees_the_same_makes_the_same_view() -> None:
    assert fleet_view(a_busy_fleet()) == fleet_view(a_busy_fleet())
