"""What runs: when it stays, when it goes, and what is told when it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness
from reconciler.placing.engine import plan
from reconciler.placing.plan import Keep, Placement
from schemas.names import DeploymentName, NodeName
from schemas.node import Duty
from schemas.resources import (
    Expression,
    GpuNeed,
    Neighbourhood,
    Operator,
    PlacementRules,
    Preemption,
    Resources,
    Sharing,
    Spread,
    Strategy,
    Taint,
)
from tests.unit.placing.build import (
    a_gpu,
    a_gpu_node,
    a_need,
    a_node,
    a_placement,
    a_ruled,
    changed_node,
    where,
    why_not,
)

X86 = Expression(key="miaas/arch", operator=Operator.IN, values=("arm64",))


def settled(node: str = "b") -> tuple[Placement, ...]:
    return (a_placement("chat-0", node),)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"duty": Duty.CORDONED},
        {"freshness": Freshness.RETURNING},
        {"freshness": Freshness.CONTESTED},
        {"freshness": Freshness.LATE},
        {"freshness": Freshness.LOST},
        {"freshness": Freshness.UNSEEN},
        {"runtime_error": "no daemon"},
        {"disk_pressure": "97 %"},
        {"taints": (Taint(key="new"),)},
    ],
)
def test_what_runs_stays_verbatim(changes: dict[str, object]) -> None:
    made = plan(
        (a_need(),), (a_node("a"), replace(changed_node(changes), name=NodeName("b"))), settled()
    )

    assert made.placements == settled()
    assert made.refusals == ()


@pytest.mark.parametrize(
    "rules",
    [
        PlacementRules(pin=(NodeName("a"),)),
        PlacementRules(require=(replace(X86, operator=Operator.NOT_IN, key="zone"),)),
    ],
)
def test_who_is_no_longer_admitted_goes(rules: PlacementRules) -> None:
    labels = {"zone": "arm64"}
    nodes = (a_node("a"), a_node("b", labels=labels))

    assert where(plan((a_need(rules=rules),), nodes, settled())) == {"chat-0": "a"}


def test_drain_moves() -> None:
    nodes = (a_node("a"), a_node("b", duty=Duty.DRAINING))

    assert where(plan((a_need(),), nodes, settled())) == {"chat-0": "a"}


def test_a_drain_with_nowhere_to_go_empties_and_says_why() -> None:
    made = plan((a_need(),), (a_node("b", duty=Duty.DRAINING),), settled())

    assert made.placements == ()
    assert why_not(made) == {"chat-0": ("draining",)}


def test_a_node_without_record_loses_its_replicas() -> None:
    assert where(plan((a_need(pinned=True),), (a_node("a"),), settled("gone"))) == {"chat-0": "a"}


@pytest.mark.parametrize("duty", [Duty.DRAINING, Duty.ACTIVE])
def test_volumes_hold_a_replica_and_the_refusal_says_so(duty: Duty) -> None:
    pin = () if duty is Duty.DRAINING else (NodeName("a"),)
    need = a_need(pinned=True, rules=PlacementRules(pin=pin))

    made = plan((need,), (a_node("a"), a_node("b", duty=duty)), settled())

    assert where(made) == {"chat-0": "b"}
    assert "its volumes tie it to this node" in why_not(made)["chat-0"][0]


def test_new_numbers_that_fit_in_place_stay() -> None:
    need = a_need(resources=Resources(cpu_milli=8000))

    made = plan((need,), (a_node("a"), a_node("b")), settled())

    assert where(made) == {"chat-0": "b"}
    assert made.placements[0].resources == Resources(cpu_milli=8000)


def test_new_numbers_that_do_not_fit_in_place_move() -> None:
    big = a_node("a", room=Resources(cpu_milli=9000, memory_mib=9000))

    made = plan((a_need(resources=Resources(cpu_milli=8001)),), (big, a_node("b")), settled())

    assert where(made) == {"chat-0": "a"}


def test_new_numbers_that_fit_nowhere_leave_it_as_it_was() -> None:
    made = plan((a_need(resources=Resources(cpu_milli=8001)),), (a_node("b"),), settled())

    assert made.placements == settled()
    assert why_not(made)["chat-0"][0].startswith("needs 8.001 CPUs, 8 free; it stays as it was")


def test_who_grows_does_not_take_the_place_of_an_equal() -> None:
    before = (a_placement("chat-0", "a"), a_placement("other-0", "a"))
    room = Resources(cpu_milli=2500, memory_mib=9000)
    needs = (a_need(resources=Resources(cpu_milli=2000, memory_mib=1024)), a_need("other"))

    made = plan(needs, (a_node("a", room=room), a_node("b")), before)

    assert where(made) == {"chat-0": "b", "other-0": "a"}


def test_a_gpu_that_is_sick_is_left_for_another_of_the_node_or_elsewhere() -> None:
    need = a_need(gpus=GpuNeed())
    before = plan((need,), (a_gpu_node("a"),), ()).placements
    sick = a_node("a", gpus=(a_gpu("NEW"),), sick_gpus={before[0].gpus[0].uuid: "fatal ECC"})

    made = plan((need,), (sick,), before)

    assert made.placements[0].gpus[0].uuid == "NEW"


def test_a_shared_gpu_is_kept_when_its_memory_grows_within_it() -> None:
    need = a_need(gpus=GpuNeed(memory_mib=4000, sharing=Sharing.SHARED))
    before = plan((need,), (a_gpu_node("a", gpus=2),), ()).placements
    grown = replace(need, gpus=GpuNeed(memory_mib=24_000, sharing=Sharing.SHARED))

    made = plan((grown,), (a_gpu_node("a", gpus=2),), before)

    assert [s.uuid for s in made.placements[0].gpus] == [s.uuid for s in before[0].gpus]
    assert made.placements[0].gpus[0].memory_mib == 24_000


def test_ports_stick_and_foreign_use_gives_another() -> None:
    need = a_need(ports={"http": None})
    before = (a_placement("chat-0", "b", ports={"http": 20002}),)

    kept = plan((need,), (a_node("b"),), before)
    moved = plan((replace(need, ports={"http": 20003}),), (a_node("b"),), before)

    assert kept.placements[0].ports == {"http": 20002}
    assert moved.placements[0].ports == {"http": 20003}


def test_a_lost_fixed_port_moves() -> None:
    need = a_need(ports={"http": 80})
    before = (a_placement("chat-0", "b", ports={"http": 80}),)
    nodes = (a_node("a"), a_node("b", ports=frozenset({80})))

    assert where(plan((need,), nodes, before)) == {"chat-0": "a"}


def test_fewer_replicas_drop_the_highest_numbers() -> None:
    before = plan((a_need(replicas=3),), (a_node("a"),), ()).placements

    assert plan((a_need(replicas=1),), (a_node("a"),), before).placements == before[:1]


def test_keep_is_verbatim_and_counted() -> None:
    before = (a_placement("old-0", "a", resources=Resources(cpu_milli=7001)),)

    made = plan((Keep(deployment=DeploymentName("old")), a_need()), (a_node("a"),), before)

    assert made.placements == before
    assert why_not(made) == {"chat-0": ("needs 1 CPUs, 0.999 free",)}


def test_the_important_go_first() -> None:
    tight = a_node("a", room=Resources(cpu_milli=1000, memory_mib=2000))

    made = plan((a_need("early"), a_need("late", priority=1)), (tight,), ())

    assert where(made) == {"late-0": "a"}


@pytest.mark.parametrize(("priority", "goes"), [(1, "strong-0"), (0, "chat-0"), (-1, "chat-0")])
def test_preemption_is_strictly_downwards(priority: int, goes: str) -> None:
    tight = a_node("b", room=Resources(cpu_milli=1000, memory_mib=2000))
    strong = a_need(
        "strong",
        priority=priority,
        rules=PlacementRules(preemption=Preemption.LOWER_PRIORITY),
    )

    made = plan((a_need(), strong), (tight,), settled())

    assert where(made) == {goes: "b"}
    if priority == 1:
        assert why_not(made)["chat-0"][0] == "gave way to strong-0, which is more important"


def test_preemption_takes_one_victim_rather_than_two() -> None:
    room = Resources(cpu_milli=2000, memory_mib=9000)
    before = (
        a_placement("one-0", "a", resources=Resources(cpu_milli=1000)),
        a_placement("two-0", "a", resources=Resources(cpu_milli=1000)),
        a_placement("big-0", "b", resources=Resources(cpu_milli=2000)),
    )
    needs = tuple(
        a_need(name, resources=Resources(cpu_milli=cpu))
        for name, cpu in (("one", 1000), ("two", 1000), ("big", 2000))
    )
    rules = PlacementRules(preemption=Preemption.LOWER_PRIORITY)
    strong = a_need("strong", priority=9, resources=Resources(cpu_milli=2000), rules=rules)

    made = plan((*needs, strong), (a_node("a", room=room), a_node("b", room=room)), before)

    assert where(made) == {"one-0": "a", "two-0": "a", "strong-0": "b"}


def test_near_follows_and_a_pair_that_waits_for_each_other_goes_together() -> None:
    near_b = (Neighbourhood(deployments=(DeploymentName("b"),)),)
    near_a = (Neighbourhood(deployments=(DeploymentName("a"),)),)
    nodes = (a_node("n1"), a_node("n2"))

    one_way = plan((a_ruled("a", near=near_b), a_need("b")), nodes, ())
    both = plan((a_ruled("a", near=near_b), a_ruled("b", near=near_a)), nodes, ())

    assert len(set(where(one_way).values())) == 1
    assert len(where(one_way)) == 2
    assert len(set(where(both).values())) == 1
    assert len(where(both)) == 2


def test_nobody_pushes_out_whom_it_has_to_be_near() -> None:
    """Nobody ever came to an end with that: the one was put back, and pushed out again."""
    room = Resources(cpu_milli=2000, memory_mib=9000)
    nodes = (a_node("n1", room=room), a_node("n2", room=room))
    half = Resources(cpu_milli=1001)
    rules = PlacementRules(
        preemption=Preemption.LOWER_PRIORITY,
        near=(Neighbourhood(deployments=(DeploymentName("db"),)),),
        pin=frozenset({NodeName("n1")}),
    )
    strong = a_need("strong", priority=9, resources=half, rules=rules)
    before = (a_placement("db-0", "n1", resources=half),)

    made = plan((a_need("db", resources=half), strong), nodes, before)

    assert where(made) == {"db-0": "n1"}
    assert why_not(made)["strong-0"]


def test_near_someone_who_runs_nowhere_is_refused() -> None:
    near = (Neighbourhood(deployments=(DeploymentName("ghost"),)),)

    made = plan((a_ruled(near=near),), (a_node("a"),), ())

    assert why_not(made) == {"chat-0": ("must be near ghost, which runs nowhere",)}


def test_apart_binds_both_sides() -> None:
    apart = (Neighbourhood(deployments=(DeploymentName("b"),)),)

    made = plan((a_ruled("a", apart=apart), a_need("b", replicas=2)), (a_node("n"),), ())

    assert where(made) == {"a-0": "n"}
    assert why_not(made) == {
        "b-0": ("must be apart from a over miaas/node",),
        "b-1": ("must be apart from a over miaas/node",),
    }


def test_apart_from_itself_is_one_a_domain() -> None:
    zones = [a_node(f"n{i}", labels={"zone": z}) for i, z in enumerate("aab")]
    apart = (Neighbourhood(deployments=(DeploymentName("chat"),), over="zone"),)

    made = plan((a_ruled(replicas=3, apart=apart),), tuple(zones), ())

    assert len(made.placements) == 2
    assert "must be apart from chat over zone" in why_not(made)["chat-2"]


@pytest.mark.parametrize(("skew", "placed"), [(1, 3), (2, 4), (3, 5)])
def test_spread_holds_its_skew_when_a_zone_is_full(skew: int, placed: int) -> None:
    tiny = Resources(cpu_milli=1000, memory_mib=2000)
    nodes = (
        a_node("n1", labels={"zone": "a"}),
        a_node("n2", labels={"zone": "b"}, room=tiny),
    )
    need = a_ruled(replicas=6, spread=(Spread(over="zone", max_skew=skew),))

    assert len(plan((need,), nodes, ()).placements) == placed


def test_a_gang_is_whole_or_absent() -> None:
    tight = a_node("a", room=Resources(cpu_milli=2500, memory_mib=9000))
    red = (a_ruled("one", gang="red"), a_ruled("two", replicas=2, gang="red"))

    made = plan((*red, a_need("zoo", replicas=2)), (tight,), ())

    assert where(made) == {"zoo-0": "a", "zoo-1": "a"}
    assert why_not(made)["one-0"][0] == "gang red is placed whole or not at all"


def test_strategies_pack_and_level() -> None:
    nodes = (a_gpu_node("a"), a_gpu_node("b"))
    gpus = GpuNeed(memory_mib=10_000, sharing=Sharing.SHARED)

    pack = plan((a_need(replicas=2, gpus=gpus, strategy=Strategy.PACK),), nodes, ())
    level = plan((a_need(replicas=2, strategy=Strategy.SPREAD),), nodes, ())

    assert len(set(where(pack).values())) == 1
    assert len(set(where(level).values())) == 2


def test_without_gpu_goes_where_no_gpu_is_lost() -> None:
    busy = a_need("train", replicas=1, gpus=GpuNeed(memory_mib=8000, sharing=Sharing.SHARED))
    plain = a_need("web", strategy=Strategy.PACK)

    made = plan((busy, plain), (a_gpu_node("a"), a_node("b")), ())

    assert where(made) == {"train-0": "a", "web-0": "b"}


def test_who_has_to_move_goes_before_an_equal_newcomer() -> None:
    before = plan((a_need("hello", ports={"http": 8080}),), (a_node("b"),), ())
    to_a = PlacementRules(pin=(NodeName("a"),))
    needs = tuple(
        a_need(name, ports={"http": 8080}, rules=to_a) for name in ("a-newcomer", "hello")
    )

    made = plan(needs, (a_node("a"), a_node("b")), before.placements)

    assert where(made) == {"hello-0": "a"}
    assert why_not(made) == {
        "a-newcomer-0": ("pinned to a", "port 8080 (http) is taken by hello-0")
    }
