"""Who comes back goes where its volumes stand: a preference, and each replica's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness, Node
from reconciler.placing.engine import plan
from reconciler.placing.explain import explain
from reconciler.placing.plan import Bound, Need
from reconciler.placing.rebalance import rebalance
from schemas.assignment import ScoreTerm
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.node import Duty
from schemas.resources import (
    Expression,
    GpuNeed,
    Operator,
    PlacementRules,
    Preemption,
    Preference,
    Resources,
    Strategy,
    Taint,
)
from tests.unit.placing.build import ROOM, a_gpu_node, a_need, a_node, a_placement, where, why_not

DATA = ScoreTerm(name="its data is there", value=1.0, weight=1000.0)
FILES = ScoreTerm(name="its model files are there", value=1.0, weight=1.0)
FAST = Expression(key="fast", operator=Operator.EXISTS)
PREFERS = PlacementRules(prefer=(Preference(expression=FAST),))


def holds(name: str, *replicas: str, **changes: object) -> Node:
    """A node on which volumes of these replicas stand."""
    return a_node(name, volumes=frozenset(map(ReplicaName, replicas)), **changes)


def a_database(name: str = "db", **changes: object) -> Need:
    return a_need(name, **{"has_data": True, "pinned": True, **changes})


@pytest.mark.parametrize("has_data", [True, False])
def test_volumes_decide_between_equals(*, has_data: bool) -> None:
    nodes = (a_node("a"), holds("b", "chat-0"), a_node("c"))

    made = plan((a_need(has_data=has_data),), nodes, ())

    assert where(made) == {"chat-0": "b"}
    why = made.placements[0].why
    assert (DATA if has_data else FILES) in why.terms
    assert why.score == pytest.approx(sum(t.value * t.weight for t in why.terms), abs=0.01)
    assert [one.node for one in why.runners_up] == ["a", "c"]


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize(
    ("has_data", "expected"),
    [pytest.param(True, "b", id="data"), pytest.param(False, "a", id="files of models")],
)
def test_data_outweighs_preferred_labels_and_files_of_models_do_not(
    *, has_data: bool, expected: str, strategy: Strategy
) -> None:
    liked = a_node("a")
    liked = replace(liked, labels={**liked.labels, "fast": "yes"})
    need = a_need(has_data=has_data, rules=PREFERS, strategy=strategy)

    made = plan((need,), (liked, holds("b", "chat-0")), ())

    assert where(made) == {"chat-0": expected}


@pytest.mark.parametrize(
    ("cpu_milli", "expected"),
    [
        pytest.param(799, "b", id="one below a replica"),
        pytest.param(800, "a", id="exact: the first name"),
        pytest.param(801, "a", id="one above"),
    ],
)
def test_files_of_models_are_worth_one_replica(cpu_milli: int, expected: str) -> None:
    busy = Resources(cpu_milli=cpu_milli, memory_mib=0)
    there = a_need("other", resources=busy)
    need = a_need(strategy=Strategy.SPREAD)
    nodes = (a_node("a"), holds("b", "chat-0"))

    made = plan((need, there), nodes, (a_placement("other-0", "b", resources=busy),))

    assert where(made)["chat-0"] == expected


def test_files_of_models_are_worth_more_than_an_image() -> None:
    nodes = (a_node("a", images=frozenset({"vllm:1"})), holds("b", "chat-0"))

    assert where(plan((a_need(image="vllm:1"),), nodes, ())) == {"chat-0": "b"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"room": replace(ROOM, cpu_milli=999)}, id="full"),
        pytest.param({"duty": Duty.CORDONED}, id="cordoned"),
        pytest.param({"duty": Duty.DRAINING}, id="draining"),
        pytest.param({"freshness": Freshness.LOST}, id="lost"),
        pytest.param({"freshness": Freshness.RETURNING}, id="held down"),
        pytest.param({"runtime_error": "no daemon"}, id="without Docker"),
        pytest.param({"disk_pressure": "97 %"}, id="its disk is full"),
        pytest.param({"labels": {"miaas/node": "b", "miaas/os": "other"}}, id="other labels"),
        pytest.param({"taints": (Taint(key="dedicated"),)}, id="tainted"),
        pytest.param({"ports": frozenset({80})}, id="its port is taken"),
    ],
)
def test_who_cannot_go_to_its_data_goes_elsewhere_at_once(changes: dict[str, object]) -> None:
    linux = Expression(key="miaas/os", operator=Operator.IN, values=("linux",))
    need = a_database(rules=PlacementRules(require=(linux,)), ports={"http": 80})

    made = plan((need,), (a_node("a"), holds("b", "db-0", **changes)), ())

    assert where(made) == {"db-0": "a"}
    assert DATA not in made.placements[0].why.terms


@pytest.mark.parametrize("ports", [{}, {"http": None}, {"http": 80}], ids=["none", "auto", "fixed"])
@pytest.mark.parametrize("has_data", [True, False])
def test_each_replica_goes_to_its_own_volumes(*, ports: dict[str, int], has_data: bool) -> None:
    need = a_need(replicas=5, has_data=has_data, ports=ports)
    nodes = (holds("a", "chat-4"), a_node("b"), holds("c", "chat-1"), holds("d", "chat-3"))
    nodes = (*nodes, a_node("e"))

    made = where(plan((need,), nodes, ()))

    assert {name: made[name] for name in ("chat-1", "chat-3", "chat-4")} == {
        "chat-1": "c",
        "chat-3": "d",
        "chat-4": "a",
    }
    assert len(made) == 5


def test_the_first_by_number_does_not_take_the_node_of_a_later_one() -> None:
    small = replace(ROOM, cpu_milli=1000)
    nodes = (holds("a", "chat-1", room=small), a_node("b", room=small))

    made = plan((a_need(replicas=2),), nodes, ())

    assert where(made) == {"chat-0": "b", "chat-1": "a"}


def test_who_is_more_than_its_node_can_take_goes_elsewhere() -> None:
    nodes = (a_node("a"), holds("b", "chat-0", "chat-1", room=replace(ROOM, cpu_milli=1000)))

    made = plan((a_need(replicas=2, has_data=True),), nodes, ())

    assert where(made) == {"chat-0": "b", "chat-1": "a"}


def test_volumes_of_who_is_placed_elsewhere_draw_nobody() -> None:
    nodes = (a_node("a"), a_node("b"), holds("c", "chat-0", "gone-0"))
    before = (a_placement("chat-0", "b"),)
    needs = (a_need(replicas=2, has_data=True), a_need("new", has_data=True))

    made = plan(needs, nodes, before)

    bare = tuple(replace(node, volumes=frozenset()) for node in nodes)
    assert made == plan(needs, bare, before)
    assert where(made)["chat-0"] == "b"


def test_who_has_to_leave_goes_where_it_has_been() -> None:
    nodes = (a_node("a"), holds("b", "chat-0", duty=Duty.DRAINING), holds("c", "chat-0"))

    made = plan((a_need(),), nodes, (a_placement("chat-0", "b"),))

    assert where(made) == {"chat-0": "c"}


def test_who_returns_to_its_data_goes_before_who_is_new() -> None:
    small = replace(ROOM, cpu_milli=1000)
    nodes = (holds("a", "db-0", room=small), a_node("b", room=small))

    made = plan((a_need("app"), a_database()), nodes, ())

    assert where(made) == {"app-0": "b", "db-0": "a"}


def test_importance_goes_before_data_and_who_moves_before_who_returns() -> None:
    small = replace(ROOM, cpu_milli=1000)
    home = holds("a", "db-0", room=small)

    strong = plan((a_need("app", priority=1), a_database()), (home,), ())
    leaves = a_node("z", duty=Duty.DRAINING)
    moves = plan((a_need("app"), a_database()), (home, leaves), (a_placement("app-0", "z"),))

    assert where(strong) == where(moves) == {"app-0": "a"}


@pytest.mark.parametrize(
    ("has_data", "placed"),
    [pytest.param(True, {"db-0"}, id="data"), pytest.param(False, {"db-0", "gpu-0"}, id="files")],
)
def test_who_found_its_data_is_not_sent_on_for_another(*, has_data: bool, placed: set[str]) -> None:
    small = replace(ROOM, cpu_milli=1000)
    home = replace(a_gpu_node("a", room=small), volumes=frozenset({ReplicaName("db-0")}))
    needs = (a_need("db", has_data=has_data), a_need("gpu", gpus=GpuNeed()))

    made = plan(needs, (home, a_node("b", room=small)), ())

    assert set(where(made)) == placed


def test_a_gang_with_data_is_whole_or_absent() -> None:
    gang = PlacementRules(gang="all")
    needs = (a_database(rules=gang), a_need("web", rules=gang, gpus=GpuNeed()))
    nodes = (a_node("a"), holds("b", "db-0"))

    assert where(plan(needs, nodes, ())) == {}
    assert where(plan(needs, (*nodes, a_gpu_node("c")), ())) == {"db-0": "b", "web-0": "c"}


def test_room_is_made_by_preemption_as_ever() -> None:
    small = replace(ROOM, cpu_milli=1000)
    strong = a_database(priority=1, rules=PlacementRules(preemption=Preemption.LOWER_PRIORITY))
    weak = a_need("weak")

    made = plan((strong, weak), (holds("a", "db-0", room=small),), (a_placement("weak-0", "a"),))

    assert where(made) == {"db-0": "a"}
    assert set(why_not(made)) == {"weak-0"}


def test_what_is_frozen_or_absent_is_left_alone() -> None:
    nodes = (a_node("a"), holds("b", "chat-0", "chat-1"))
    bound = Bound(
        frozen=frozenset({ReplicaName("chat-0")}), absent=frozenset({ReplicaName("chat-1")})
    )

    made = plan((a_need(replicas=2),), nodes, (a_placement("chat-0", "a"),), bound)

    assert where(made) == {"chat-0": "a"}


def test_a_plan_made_again_from_its_result_changes_nothing_whatever_volumes_stand_where() -> None:
    need = a_need(replicas=3, has_data=True)
    nodes = (a_node("a"), holds("b", "chat-2"), holds("c", "chat-0"))

    made = plan((need,), nodes, ())
    moved = tuple(replace(n, volumes=frozenset({ReplicaName("chat-1")})) for n in nodes)

    assert plan((need,), moved, made.placements).placements == made.placements


def test_explain_tells_the_term_of_the_replica_that_would_come_next() -> None:
    nodes = (a_node("a"), holds("b", "chat-1"))

    told = explain((a_need(),), nodes, (a_placement("chat-0", "a"),), DeploymentName("chat"))

    terms = {answer.node: answer.why.terms for answer in told.nodes if answer.why is not None}
    assert FILES not in terms[NodeName("a")]
    assert FILES in terms[NodeName("b")]


def test_nobody_who_runs_moves_to_volumes_that_stand_elsewhere() -> None:
    nodes = (a_node("a"), holds("b", "chat-0"))
    before = (a_placement("chat-0", "a"),)

    assert rebalance((a_need(),), nodes, before, still=frozenset(), most=1) == ()


@pytest.mark.parametrize(
    ("volumes", "moves"),
    [
        pytest.param((), ["b"], id="nothing to fetch again"),
        pytest.param(("chat-0",), [], id="files of a model"),
    ],
)
def test_a_move_is_worth_what_has_to_be_fetched_again(
    volumes: tuple[str, ...], moves: list[str]
) -> None:
    busy = Resources(cpu_milli=1200, memory_mib=0)
    needs = (a_need(strategy=Strategy.SPREAD), a_need("other", resources=busy))
    before = (a_placement("chat-0", "a"), a_placement("other-0", "a", resources=busy))

    found = rebalance(
        needs,
        (holds("a", *volumes), a_node("b")),
        before,
        still=frozenset({ReplicaName("other-0")}),
        most=1,
    )

    assert [move.to.node for move in found] == moves
