"""What a plan must leave alone: frozen and absent replicas."""

from __future__ import annotations

from dataclasses import replace

from reconciler.placing.engine import plan
from reconciler.placing.plan import Bound
from schemas.names import ReplicaName
from schemas.node import Duty
from tests.builders import a_need, a_node

CHAT_0, CHAT_1 = ReplicaName("chat-0"), ReplicaName("chat-1")


def test_a_frozen_replica_stays_on_a_node_that_is_drained() -> None:
    nodes = (a_node("alpha"), a_node("beta"))
    first = plan((a_need("chat"),), nodes, ())
    home = first.placements[0].node
    drained = tuple(replace(n, duty=Duty.DRAINING) if n.name == home else n for n in nodes)

    free = plan((a_need("chat"),), drained, first.placements)
    held = plan((a_need("chat"),), drained, first.placements, Bound(frozen=frozenset({CHAT_0})))

    assert free.placements[0].node != home
    assert held == first


def test_a_frozen_replica_stays_though_fewer_are_asked_for_and_needs_changed() -> None:
    nodes = (a_node("alpha"),)
    first = plan((a_need("chat", replicas=2),), nodes, ())
    fewer = a_need("chat", replicas=1, priority=7)

    held = plan((fewer,), nodes, first.placements, Bound(frozen=frozenset({CHAT_0, CHAT_1})))

    assert held.placements == first.placements


def test_a_frozen_replica_stays_though_nobody_asks_for_its_deployment_any_more() -> None:
    nodes = (a_node("alpha"),)
    first = plan((a_need("chat"), a_need("web")), nodes, ())

    held = plan((a_need("web"),), nodes, first.placements, Bound(frozen=frozenset({CHAT_0})))

    assert held == first


def test_an_absent_replica_gets_no_place_and_no_refusal() -> None:
    nodes = (a_node("alpha"),)
    first = plan((a_need("chat", replicas=2),), nodes, ())

    without = plan(
        (a_need("chat", replicas=2),), nodes, first.placements, Bound(absent=frozenset({CHAT_1}))
    )

    assert [one.replica for one in without.placements] == [CHAT_0]
    assert without.refusals == ()


def test_the_room_of_a_frozen_replica_is_given_to_nobody_else() -> None:
    small = a_node("alpha")
    room = small.room.memory_mib
    big = a_need("big", resources=replace(a_need().resources, memory_mib=room - 10))
    first = plan((big,), (small,), ())
    smaller = replace(big, resources=replace(big.resources, memory_mib=10))
    other = a_need("other", resources=replace(big.resources, memory_mib=100))

    held = plan(
        (smaller, other),
        (small,),
        first.placements,
        Bound(frozen=frozenset({ReplicaName("big-0")})),
    )

    assert [one.replica for one in held.placements] == ["big-0"]
    assert [one.replica for one in held.refusals] == ["other-0"]
