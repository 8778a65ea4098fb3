"""What still fits, and which node the fleet could not lose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.observing.node import Node
from reconciler.placing.capacity import MORE_MAX, Capacity, LargestFit, capacity
from reconciler.placing.engine import plan
from reconciler.placing.plan import Need, Placement
from schemas.names import DeploymentName, NodeName
from schemas.node import Duty
from schemas.resources import PlacementRules, Resources, Sharing, Spread
from tests.builders import GIB, a_gpu_need, a_need, a_node

SHARED = a_gpu_need(memory_mib=10 * GIB, sharing=Sharing.SHARED)
BIG = Resources(cpu_milli=9_000, memory_mib=64)


def of(needs: tuple[Need, ...], nodes: tuple[Node, ...]) -> Capacity:
    return capacity(needs, nodes, placed(needs, nodes))


def placed(needs: tuple[Need, ...], nodes: tuple[Node, ...]) -> tuple[Placement, ...]:
    return plan(needs, nodes, ()).placements


def test_an_empty_fleet_has_nothing_left() -> None:
    found = of((), ())

    assert found.largest == ()
    assert (found.roomiest, found.roomiest_cpu, found.roomiest_disk) == (None, None, None)
    assert (found.room, found.critical) == ({}, ())


def test_each_model_has_its_largest() -> None:
    nodes = (a_node("alpha", cards=["t4", "t4"]), a_node("beta", cards=["l40s", "t4"]))

    found = of((a_need("llm", gpus=a_gpu_need(model="*L40S*")),), nodes)

    assert found.largest == (
        LargestFit(model="NVIDIA L40S", shared_mib=0, shared_node=None, gpus=0, gpus_node=None),
        LargestFit(
            model="Tesla T4",
            shared_mib=15360,
            shared_node=NodeName("alpha"),
            gpus=2,
            gpus_node=NodeName("alpha"),
        ),
    )


def test_pairs_of_every_model_of_a_node_are_counted() -> None:
    need = a_need("pair", replicas=0, gpus=a_gpu_need(count=2))

    found = of((need,), (a_node(cards=["t4", "l40s", "t4", "l40s", "l40s"]),))

    assert found.room == {DeploymentName("pair"): 2}


def test_each_amount_has_its_own_roomiest_node() -> None:
    sizes = {"alpha": (8, 4, 2), "beta": (2, 8, 4), "gamma": (4, 2, 8)}
    nodes = tuple(
        a_node(name, room=Resources(cpu_milli=c * 1000, memory_mib=m * GIB, disk_mib=d * GIB))
        for name, (c, m, d) in sizes.items()
    )

    found = of((), nodes)

    assert found.roomiest_cpu is not None
    assert found.roomiest is not None
    assert found.roomiest_disk is not None
    names = [each[0] for each in (found.roomiest_cpu, found.roomiest, found.roomiest_disk)]
    assert names == ["alpha", "beta", "gamma"]


def test_a_cordoned_node_has_nothing_to_give() -> None:
    found = of((a_need(),), (a_node(cards=["t4"], duty=Duty.CORDONED),))

    assert found.largest == ()
    assert found.roomiest is None
    assert found.room == {"chat": 0}


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        pytest.param({"gpus": a_gpu_need()}, 1, id="whole GPUs"),
        pytest.param({"gpus": SHARED}, 1, id="parts of GPUs"),
        pytest.param({"resources": BIG}, 0, id="too large for what is left"),
        pytest.param({"ports": {"http": 4000}}, 0, id="a fixed port"),
        pytest.param({"ports": {"http": None}}, MORE_MAX, id="any port"),
        pytest.param({}, MORE_MAX, id="more than anyone asks for"),
        pytest.param(
            {"rules": PlacementRules(pin=(NodeName("elsewhere"),))}, 0, id="pinned elsewhere"
        ),
    ],
)
def test_how_many_more_of_a_deployment_fit(fields: dict[str, object], more: int) -> None:
    need = a_need("chat", **fields)
    nodes = (a_node(cards=["t4", "t4"]),)

    found = of((need,), nodes)

    assert found.room == {"chat": more}


def test_asking_for_one_leaves_the_others_as_they_were() -> None:
    needs = (a_need("a", gpus=SHARED), a_need("b", gpus=SHARED), a_need("c", gpus=SHARED))
    nodes = (a_node(cards=["a10", "a10"]),)

    assert of(needs, nodes).room == {"a": 1, "b": 1, "c": 1}


def test_as_many_as_are_said_do_fit_and_one_more_does_not() -> None:
    need = a_need("chat", replicas=2, resources=Resources(cpu_milli=3_000, memory_mib=GIB))
    nodes = (a_node("alpha"), a_node("beta"))
    more = of((need,), nodes).room[DeploymentName("chat")]

    for extra, refused in ((more, 0), (more + 1, 1)):
        asked = replace(need, replicas=need.replicas + extra)
        made = plan((asked,), nodes, placed((need,), nodes))
        assert len(made.refusals) == refused


def test_the_nodes_that_cannot_be_lost_are_named_with_what_would_be_homeless() -> None:
    needs = (
        a_need("big", resources=BIG),
        a_need("small"),
        a_need("store", pinned=True, rules=PlacementRules(pin=(NodeName("beta"),))),
    )
    nodes = (a_node("alpha"), a_node("beta", room=Resources(cpu_milli=5000, memory_mib=GIB)))

    found = of(needs, nodes)

    assert found.critical == (("alpha", ("big-0",)), ("beta", ("store-0",)))
    assert found.tied == {"store-0"}


def test_a_zone_that_is_lost_need_not_be_kept_even_with() -> None:
    rules = PlacementRules(spread=(Spread(over="zone"),))
    need = a_need("chat", replicas=3, rules=rules)
    nodes = tuple(a_node(f"n-{zone}", labels={"zone": zone}) for zone in "abc")

    assert of((need,), nodes).critical == ()


def test_what_is_told_of_the_loss_of_a_node_is_what_the_plan_without_it_does() -> None:
    needs = (
        a_need("a", replicas=3, gpus=a_gpu_need()),
        a_need("b", replicas=2, gpus=SHARED, rules=PlacementRules(spread=(Spread(over="zone"),))),
    )
    nodes = tuple(a_node(f"n-{zone}", cards=["a10"] * 2, labels={"zone": zone}) for zone in "abc")
    before = placed(needs, nodes)

    told = dict(of(needs, nodes).critical)

    for node in nodes:
        others = tuple(one for one in nodes if one != node)
        after = {one.replica for one in plan(needs, others, before).placements}
        lost = {one.replica for one in before} - after
        assert len(told.get(node.name, ())) == len(lost)
