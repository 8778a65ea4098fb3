"""What fits: every amount and version at its edge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.observing.node import Freshness, Node
from reconciler.placing.engine import plan
from reconciler.placing.plan import Need
from schemas.names import DeploymentName, NodeName
from schemas.node import Duty
from schemas.resources import GpuNeed, Neighbourhood, PlacementRules, Resources, Sharing, Taint
from tests.unit.placing.build import (
    a_gpu,
    a_gpu_node,
    a_need,
    a_node,
    a_ruled,
    changed_node,
    where,
    why_not,
)

SHARED = Sharing.SHARED


def edges(exact: int) -> list[object]:
    return [
        pytest.param(exact - 1, True, id="one below"),
        pytest.param(exact, True, id="exact"),
        pytest.param(exact + 1, False, id="one above"),
    ]


def fits(need: Need, node: Node) -> bool:
    made = plan((need,), (node,), ())
    assert len(made.placements) + len(made.refusals) == need.replicas
    return not made.refusals


@pytest.mark.parametrize(("amount", "expected"), edges(8000))
def test_cpu(*, amount: int, expected: bool) -> None:
    assert fits(a_need(resources=Resources(cpu_milli=amount)), a_node()) is expected


@pytest.mark.parametrize(("amount", "expected"), edges(32768))
def test_memory(*, amount: int, expected: bool) -> None:
    assert fits(a_need(resources=Resources(memory_mib=amount)), a_node()) is expected


@pytest.mark.parametrize(("amount", "expected"), edges(100_000))
def test_disk(*, amount: int, expected: bool) -> None:
    assert fits(a_need(resources=Resources(disk_mib=amount)), a_node()) is expected


@pytest.mark.parametrize("sharing", list(Sharing))
@pytest.mark.parametrize(("amount", "expected"), edges(20_000))
def test_gpu_memory_less_what_is_foreign(*, sharing: Sharing, amount: int, expected: bool) -> None:
    node = a_node(gpus=(a_gpu(free_mib=20_000),))

    assert fits(a_need(gpus=GpuNeed(memory_mib=amount, sharing=sharing)), node) is expected


@pytest.mark.parametrize(("amount", "expected"), edges(12_000))
def test_two_share_one_gpu_by_memory(*, amount: int, expected: bool) -> None:
    need = a_need(replicas=2, gpus=GpuNeed(memory_mib=amount, sharing=SHARED))

    assert fits(need, a_gpu_node()) is expected


@pytest.mark.parametrize(("count", "expected"), edges(2))
def test_gpu_count(*, count: int, expected: bool) -> None:
    assert fits(a_need(gpus=GpuNeed(count=count)), a_gpu_node(gpus=2)) is expected


def test_several_gpus_are_of_one_model() -> None:
    mixed = a_node(gpus=(a_gpu("A"), a_gpu("B", model="NVIDIA T4")))
    equal = a_node(gpus=(a_gpu("A"), a_gpu("B", model="NVIDIA T4"), a_gpu("C")))

    assert not fits(a_need(gpus=GpuNeed(count=2)), mixed)
    made = plan((a_need(gpus=GpuNeed(count=2)),), (equal,), ())
    assert [share.uuid for share in made.placements[0].gpus] == ["A", "C"]


def test_who_wants_a_gpu_alone_and_who_shares_do_not_meet() -> None:
    alone = a_need("alone", gpus=GpuNeed())
    shares = a_need("shares", gpus=GpuNeed(memory_mib=1, sharing=SHARED))

    made = plan((alone, shares), (a_gpu_node(),), ())

    assert len(made.placements) == 1
    assert len(made.refusals) == 1


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        pytest.param(GpuNeed(vendor="nvidia"), True, id="vendor"),
        pytest.param(GpuNeed(vendor="NVIDIA"), True, id="vendor without case"),
        pytest.param(GpuNeed(vendor="amd"), False, id="other vendor"),
        pytest.param(GpuNeed(model="*a10*"), True, id="model pattern without case"),
        pytest.param(GpuNeed(model="a10"), False, id="a pattern is of the whole name"),
        pytest.param(GpuNeed(compute_capability=(8, 5)), True, id="capability below"),
        pytest.param(GpuNeed(compute_capability=(8, 6)), True, id="capability exact"),
        pytest.param(GpuNeed(compute_capability=(8, 7)), False, id="capability above"),
        pytest.param(GpuNeed(compute_capability=(9, 0)), False, id="major above"),
        pytest.param(GpuNeed(driver=(550, 54, 13)), True, id="driver below"),
        pytest.param(GpuNeed(driver=(550, 54, 14)), True, id="driver exact"),
        pytest.param(GpuNeed(driver=(550, 54, 15)), False, id="driver above"),
        pytest.param(GpuNeed(driver=(550, 54)), True, id="driver short"),
        pytest.param(GpuNeed(cuda=(12, 4)), True, id="cuda exact"),
        pytest.param(GpuNeed(cuda=(12, 4, 0)), True, id="cuda long"),
        pytest.param(GpuNeed(cuda=(12, 10)), False, id="versions are numbers, not text"),
    ],
)
def test_kind_of_gpu(*, need: GpuNeed, expected: bool) -> None:
    assert fits(a_need(gpus=need), a_gpu_node()) is expected


@pytest.mark.parametrize(
    "need",
    [GpuNeed(compute_capability=(1, 0)), GpuNeed(driver=(1,)), GpuNeed(cuda=(1,))],
)
def test_what_is_unknown_meets_no_minimum(need: GpuNeed) -> None:
    node = a_node(gpus=(a_gpu(compute_capability=(), driver=(), cuda=()),))

    assert not fits(a_need(gpus=need), node)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"freshness": Freshness.RETURNING}, "back after it was lost, and held down for a while"),
        ({"freshness": Freshness.CONTESTED}, "two machines speak under its name"),
        ({"freshness": Freshness.LATE}, "late: its heartbeats are overdue"),
        ({"freshness": Freshness.LOST}, "lost: silent for long"),
        ({"freshness": Freshness.UNSEEN}, "has never been heard of"),
        ({"duty": Duty.CORDONED}, "cordoned"),
        ({"duty": Duty.DRAINING}, "draining"),
        ({"runtime_error": "no daemon"}, "Docker cannot start anything: no daemon"),
        ({"disk_pressure": "97 %"}, "its disk is nearly full (DiskPressure)"),
    ],
)
def test_who_gets_nothing_new(changes: dict[str, object], reason: str) -> None:
    made = plan((a_need(),), (changed_node(changes),), ())

    assert why_not(made) == {"chat-0": (reason,)}


@pytest.mark.parametrize(
    ("replicas", "expected"), [pytest.param(4, True, id="last"), pytest.param(5, False, id="over")]
)
def test_auto_ports_run_out(*, replicas: int, expected: bool) -> None:
    assert fits(a_need(replicas=replicas, ports={"http": None}), a_node()) is expected


def test_auto_ports_avoid_what_is_used_and_what_someone_names() -> None:
    auto = a_need("auto", ports={"http": None, "rpc": None})
    fixed = a_need("fixed", ports={"http": 20002})

    made = plan((auto, fixed), (a_node(ports=frozenset({20000})),), ())

    assert [dict(one.ports) for one in made.placements] == [
        {"http": 20001, "rpc": 20003},
        {"http": 20002},
    ]


def test_a_fixed_port_is_given_once_a_node() -> None:
    made = plan((a_need(replicas=3, ports={"http": 80}),), (a_node("a"), a_node("b")), ())

    assert set(where(made).values()) == {"a", "b"}
    assert why_not(made) == {
        "chat-2": ("port 80 (http) is taken by chat-0", "port 80 (http) is taken by chat-1")
    }


def test_an_empty_fleet_says_so() -> None:
    made = plan((a_need(),), (), ())

    assert why_not(made) == {"chat-0": ("the fleet has no node",)}
    assert made.refusals[0].hint == "add a node"


def test_reasons_are_grouped_and_tell_the_largest() -> None:
    small = a_node("b", gpus=(a_gpu("B", free_mib=12 * 1024),))
    large = a_node("c", gpus=(a_gpu("C", free_mib=16 * 1024),))
    need = a_need(gpus=GpuNeed(memory_mib=20 * 1024, sharing=SHARED))

    made = plan((need,), (a_node("a", duty=Duty.CORDONED), small, large, a_node("d")), ())

    refusal = made.refusals[0]
    assert [(reason.text, reason.nodes) for reason in refusal.reasons] == [
        ("needs 20 GiB on one GPU, largest free 16 GiB", ("b", "c")),
        ("no GPU", ("a", "d")),
    ]
    assert refusal.hint == "it would fit on c with at most 16 GiB of GPU memory"


def test_the_hint_names_the_one_thing_in_the_way() -> None:
    made = plan((a_need(),), (a_node("a", duty=Duty.CORDONED),), ())

    assert made.refusals[0].hint == "a would take it but for: cordoned"


def test_a_node_that_is_full_and_forbidden_says_both_and_room_is_no_hint() -> None:
    """A node with one of chat, which must be apart from itself, and too little memory besides."""
    apart = PlacementRules(apart=(Neighbourhood(deployments=(DeploymentName("chat"),)),))
    need = a_need(replicas=2, rules=apart, resources=Resources(cpu_milli=1, memory_mib=20_000))

    made = plan((need,), (a_node("a"),), ())

    text = "needs 19.53 GiB of memory, 12.47 GiB free, and must be apart from chat over miaas/node"
    assert why_not(made) == {"chat-1": (text,)}
    assert made.refusals[0].hint == ""


@pytest.mark.parametrize(
    ("node", "rules", "hint"),
    [
        pytest.param({"duty": Duty.CORDONED}, {}, "", id="cordoned, and the port is taken"),
        pytest.param({"room": Resources(cpu_milli=500, memory_mib=9000)}, {}, "", id="small"),
        pytest.param(
            {},
            {"near": (Neighbourhood(deployments=(DeploymentName("x"),)),)},
            "",
            id="a rule, and the port is taken",
        ),
    ],
)
def test_a_hint_is_enough_by_itself(
    node: dict[str, object], rules: dict[str, object], hint: str
) -> None:
    need = a_need(ports={"http": 80}, rules=PlacementRules(**rules))  # type: ignore[arg-type]
    taken = a_node("a", ports=frozenset({80}), **node)
    free = replace(taken, ports=frozenset())

    assert plan((need,), (taken,), ()).refusals[0].hint == hint
    assert plan((need,), (free,), ()).refusals[0].hint != ""


def test_a_rule_is_no_hint_where_another_forbids_the_node_as_well() -> None:
    names = (DeploymentName("x"), DeploymentName("y"))
    near = tuple(Neighbourhood(deployments=(name,)) for name in names)

    both = plan((a_need(rules=PlacementRules(near=near)),), (a_node("a"),), ())
    one = plan((a_need(rules=PlacementRules(near=near[:1])),), (a_node("a"),), ())

    assert both.refusals[0].hint == ""
    assert (
        one.refusals[0].hint == "there is room but for the rule: must be near x, which runs nowhere"
    )


def test_a_gang_points_at_the_member_that_is_in_the_way() -> None:
    one = a_ruled("one", gang="red")
    two = a_ruled("two", gang="red", pin=(NodeName("nix"),))
    tainted = a_node("b", taints=(Taint(key="dedicated"),))

    made = plan((one, two), (a_node("a"), tainted), ())

    whole = "gang red is placed whole or not at all"
    assert why_not(made) == {
        "one-0": (f"{whole}, and there is no place for two",),
        "two-0": (whole, "pinned to nix"),
    }
    assert [refusal.hint for refusal in made.refusals] == [
        "what helps two",
        "a would take it but for: pinned to nix",
    ]


def test_a_gang_of_which_each_would_fit_alone_says_so() -> None:
    node = a_node("a", room=Resources(cpu_milli=1500, memory_mib=9000, disk_mib=9000))

    made = plan((a_ruled("one", gang="red"), a_ruled("two", gang="red")), (node,), ())

    text = "gang red is placed whole or not at all; each of it would fit alone"
    assert why_not(made) == {"one-0": (text,), "two-0": (text,)}
    assert {refusal.hint for refusal in made.refusals} == {""}


def test_mig_instances_are_gpus() -> None:
    slices = tuple(a_gpu(f"MIG-{n}", memory_mib=10_000, free_mib=10_000) for n in range(7))

    made = plan((a_need(replicas=7, gpus=GpuNeed(memory_mib=9000)),), (a_node(gpus=slices),), ())

    assert sorted(one.gpus[0].uuid for one in made.placements) == [s.uuid for s in slices]
    assert {one.gpus[0].memory_mib for one in made.placements} == {10_000}


def test_an_image_that_is_there_decides_between_equals() -> None:
    nodes = (a_node("a"), a_node("b", images=frozenset({"vllm:1"})))

    assert where(plan((a_need(image="vllm:1"),), nodes, ())) == {"chat-0": "b"}


def test_why_tells_terms_and_runners_up() -> None:
    made = plan((a_need(),), (a_node("a"), a_node("b")), ())

    why = made.placements[0].why
    assert why.score == pytest.approx(sum(t.value * t.weight for t in why.terms), abs=0.01)
    assert [one.node for one in why.runners_up] == ["b"]


def test_nodes_that_shrank_keep_what_they_have_and_get_nothing() -> None:
    need = a_need(replicas=2)
    before = plan((need,), (a_node(),), ()).placements
    shrunk = a_node(room=Resources(cpu_milli=1500, memory_mib=32768, disk_mib=1))

    made = plan((replace(need, replicas=3),), (shrunk,), before)

    assert made.placements == before
    assert why_not(made) == {"chat-2": ("needs 1 CPUs, -0.5 free",)}
