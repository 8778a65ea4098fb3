"""The last look finds every kind of broken promise, and nothing in a sound plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.observing.node import Freshness
from reconciler.placing.plan import Keep, Placement, Plan
from reconciler.review import BrokenPlanError, review
from schemas.names import DeploymentName, ReplicaName
from schemas.node import Duty
from schemas.resources import Resources, Sharing
from tests.builders import a_need, a_node, a_placement, a_share

CHAT = DeploymentName("chat")


def reviewed(
    *placements: Placement,
    previous: tuple[Placement, ...] = (),
    desired: Any = None,
    node: Any = None,
) -> None:
    wanted = desired if desired is not None else (a_need("chat", replicas=9), a_need("web"))
    nodes = (node or a_node("alpha", cards=("l40s",)), a_node("beta"))
    review(Plan(placements=placements), tuple(wanted), nodes, previous)


def big(**amounts: int) -> Resources:
    return Resources(**amounts)


def test_a_sound_plan_passes() -> None:
    reviewed(a_placement("chat", 0), a_placement("chat", 1, node="beta"), a_placement("web", 0))


BREACHES = [
    pytest.param((a_placement(), a_placement(node="beta")), "placed 2 times", id="twice"),
    pytest.param((a_placement("ghost"),), "nobody asked", id="not asked for"),
    pytest.param((a_placement("web", 0), a_placement("web", 1)), "2 replicas and 1", id="too many"),
    pytest.param((a_placement(node="ghost"),), "ghost is not a node", id="no node"),
    pytest.param((a_placement(resources=big(cpu_milli=16_001)),), "16000 of cpu_milli", id="cpu"),
    pytest.param(
        (a_placement(resources=big(memory_mib=65_537)),), "65536 of memory_mib", id="memory"
    ),
    pytest.param((a_placement(resources=big(disk_mib=512_001)),), "of disk_mib", id="disk"),
    pytest.param(
        (a_placement("chat", 0, ports={"a": 80}), a_placement("chat", 1, ports={"b": 80})),
        "port 80 of alpha is promised 2 times",
        id="port",
    ),
    pytest.param(
        (a_placement("chat", 0, gpus=(a_share(),)), a_placement("chat", 1, gpus=(a_share(),))),
        "promised whole",
        id="exclusive GPU",
    ),
    pytest.param(
        (
            a_placement("chat", 0, gpus=(a_share(memory_mib=40_000),), sharing=Sharing.SHARED),
            a_placement("chat", 1, gpus=(a_share(memory_mib=6_069),), sharing=Sharing.SHARED),
        ),
        "46068 MiB free and 46069",
        id="GPU memory",
    ),
    pytest.param((a_placement(gpus=(a_share(7),)),), "no usable GPU", id="unknown GPU"),
]


@pytest.mark.parametrize(("placements", "told"), BREACHES)
def test_a_breach_is_found(placements: tuple[Placement, ...], told: str) -> None:
    with pytest.raises(BrokenPlanError, match=told):
        reviewed(*placements)


def test_a_shared_gpu_may_be_filled_exactly() -> None:
    reviewed(
        a_placement("chat", 0, gpus=(a_share(memory_mib=40_000),), sharing=Sharing.SHARED),
        a_placement("chat", 1, gpus=(a_share(memory_mib=6_068),), sharing=Sharing.SHARED),
    )


@pytest.mark.parametrize(
    "node",
    [
        a_node("alpha", freshness=Freshness.LATE),
        a_node("alpha", freshness=Freshness.LOST),
        a_node("alpha", duty=Duty.CORDONED),
        a_node("alpha", duty=Duty.DRAINING),
        a_node("alpha", disk_pressure="97 %"),
    ],
)
def test_nothing_new_goes_to_a_node_that_takes_nothing(node: object) -> None:
    with pytest.raises(BrokenPlanError, match="and got chat-0"):
        reviewed(a_placement(), node=node)

    reviewed(a_placement(), previous=(a_placement(),), node=node)


def test_a_port_that_something_else_uses_is_found() -> None:
    with pytest.raises(BrokenPlanError, match="port 80 of alpha is used"):
        reviewed(a_placement(ports={"a": 80}), node=a_node("alpha", ports=frozenset({80})))


def test_who_keeps_a_card_that_is_full_or_gone_may_get_another_port() -> None:
    """Its GPUs were not looked at before either; the whole fleet waited for that card."""
    ill = a_node("alpha")
    before = a_placement(gpus=(a_share(),), ports={"http": 80})

    reviewed(replace(before, ports={"http": 81}), previous=(before,), node=ill)
    with pytest.raises(BrokenPlanError, match="no usable GPU"):
        reviewed(replace(before, gpus=(a_share(7),)), previous=(before,), node=ill)


def test_who_stays_on_a_node_that_shrank_breaks_no_promise() -> None:
    small = a_node("alpha", room=Resources(cpu_milli=1))

    reviewed(a_placement(), previous=(a_placement(),), node=small)
    with pytest.raises(BrokenPlanError, match="of cpu_milli"):
        reviewed(
            a_placement("chat", 0),
            a_placement("chat", 1),
            previous=(a_placement("chat", 0),),
            node=small,
        )


@pytest.mark.parametrize(
    "placements",
    [
        pytest.param((), id="gone"),
        pytest.param((a_placement(node="beta"),), id="moved"),
        pytest.param((a_placement(ports={"a": 1}),), id="changed"),
        pytest.param((a_placement(), a_placement("chat", 1)), id="more of it"),
    ],
)
def test_what_is_held_stays_exactly_as_it_was(placements: tuple[Placement, ...]) -> None:
    with pytest.raises(BrokenPlanError, match="is held and would change"):
        reviewed(*placements, previous=(a_placement(),), desired=(Keep(deployment=CHAT),))

    reviewed(a_placement(), previous=(a_placement(),), desired=(Keep(deployment=CHAT),))
    assert a_placement().replica == ReplicaName("chat-0")
