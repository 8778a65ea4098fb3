"""A plan that is remembered is the plan that would be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.observing.node import Freshness, Node
from reconciler.placing import engine, lately
from reconciler.placing.plan import FREE, Bound, Desired, Placement, Plan
from schemas.names import ReplicaName
from schemas.node import Duty
from tests.builders import a_need, a_node

NEEDS = (a_need("chat", replicas=2), a_need("web"))
NODES = (a_node("alpha"), a_node("beta"))
PLACED = engine.plan(NEEDS, NODES, ()).placements


def test_what_was_asked_lately_is_not_planned_again() -> None:
    first = lately.plan(NEEDS, NODES, PLACED)

    again = lately.plan((*NEEDS,), tuple(replace(node) for node in NODES), (*PLACED,))

    assert again is first


def test_a_node_that_has_been_silent_for_longer_is_not_planned_anew() -> None:
    quiet = replace(NODES[0], freshness=Freshness.LOST, silence=timedelta(seconds=400))
    first = lately.plan(NEEDS, (quiet, NODES[1]), PLACED)

    quieter = replace(quiet, silence=timedelta(seconds=401), incarnation="boot-2")

    assert lately.plan(NEEDS, (quieter, NODES[1]), PLACED) is first
    assert first == engine.plan(NEEDS, (quieter, NODES[1]), PLACED)


@pytest.mark.parametrize(
    ("needs", "nodes", "placed", "bound"),
    [
        pytest.param(NEEDS[:1], NODES, PLACED, FREE, id="fewer needs"),
        pytest.param(
            NEEDS, (replace(NODES[0], duty=Duty.DRAINING), NODES[1]), PLACED, FREE, id="a node"
        ),
        pytest.param(NEEDS, NODES, PLACED[1:], FREE, id="where things are"),
        pytest.param(
            NEEDS, NODES, (), Bound(absent=frozenset({ReplicaName("web-0")})), id="what is bound"
        ),
    ],
)
def test_anything_else_is_planned_anew(
    needs: tuple[Desired, ...],
    nodes: tuple[Node, ...],
    placed: tuple[Placement, ...],
    bound: Bound,
) -> None:
    lately.plan(NEEDS, NODES, PLACED)

    found: Plan = lately.plan(needs, nodes, placed, bound)

    assert found == engine.plan(needs, nodes, placed, bound)
