"""Labels, ports and explanations: the small parts that speak."""

from __future__ import annotations

import pytest

from reconciler.placing.explain import explain
from reconciler.placing.gpus import gib
from reconciler.placing.labels import described, holds
from reconciler.placing.ports import choose_ports
from schemas.fleet import PortRange
from schemas.names import DeploymentName
from schemas.node import Duty
from schemas.resources import Expression, GpuNeed, Operator
from tests.unit.placing.build import a_gpu_node, a_need, a_node

RANGE = PortRange(first=100, last=102)


@pytest.mark.parametrize(
    ("operator", "values", "labels", "expected"),
    [
        (Operator.IN, ("a", "b"), {"k": "a"}, True),
        (Operator.IN, ("a", "b"), {"k": "c"}, False),
        (Operator.IN, ("a",), {}, False),
        (Operator.NOT_IN, ("a",), {"k": "b"}, True),
        (Operator.NOT_IN, ("a",), {"k": "a"}, False),
        (Operator.NOT_IN, ("a",), {}, True),
        (Operator.EXISTS, (), {"k": ""}, True),
        (Operator.EXISTS, (), {}, False),
        (Operator.DOES_NOT_EXIST, (), {}, True),
        (Operator.DOES_NOT_EXIST, (), {"k": ""}, False),
        (Operator.GREATER_THAN, ("8",), {"k": "9"}, True),
        (Operator.GREATER_THAN, ("8",), {"k": "8"}, False),
        (Operator.GREATER_THAN, ("8",), {"k": "10"}, True),
        (Operator.GREATER_THAN, ("8",), {"k": "many"}, False),
        (Operator.GREATER_THAN, ("8",), {}, False),
        (Operator.LESS_THAN, ("8",), {"k": "7"}, True),
        (Operator.LESS_THAN, ("8",), {"k": "8"}, False),
        (Operator.LESS_THAN, ("8",), {}, False),
    ],
)
def test_expressions(
    *, operator: Operator, values: tuple[str, ...], labels: dict[str, str], expected: bool
) -> None:
    assert holds(Expression(key="k", operator=operator, values=values), labels) is expected


def test_expressions_are_told_as_people_write_them() -> None:
    zone = Expression(key="zone", operator=Operator.IN, values=("a", "b"))
    gpu = Expression(key="gpu", operator=Operator.EXISTS)
    cores = Expression(key="cores", operator=Operator.GREATER_THAN, values=("8",))

    assert [described(one) for one in (zone, gpu, cores)] == [
        "zone In [a, b]",
        "gpu Exists",
        "cores Gt 8",
    ]


@pytest.mark.parametrize(
    ("taken", "avoid", "before", "expected"),
    [
        pytest.param({}, {}, {}, 100, id="lowest"),
        pytest.param({100}, {}, {}, 101, id="lowest free"),
        pytest.param({}, {}, {"http": 102}, 102, id="as before"),
        pytest.param({102}, {}, {"http": 102}, 100, id="before is taken"),
        pytest.param({}, {}, {"http": 99}, 100, id="before is outside"),
        pytest.param({}, {100, 101}, {}, 102, id="avoids what is wanted"),
        pytest.param({}, {100, 101, 102}, {}, 100, id="takes what is wanted at last"),
    ],
)
def test_auto_ports(
    taken: set[int], avoid: set[int], before: dict[str, int], expected: int
) -> None:
    chosen = choose_ports({"http": None}, within=RANGE, taken=taken, avoid=avoid, before=before)

    assert chosen == {"http": expected}


@pytest.mark.parametrize(
    "wanted",
    [{"a": 100, "b": 100}, {"a": 101}, dict.fromkeys("abc"), {"a": 100, "b": None, "c": 102}],
)
def test_ports_that_cannot_be_had(wanted: dict[str, int | None]) -> None:
    assert choose_ports(wanted, within=RANGE, taken={101}, avoid=(), before={}) is None


@pytest.mark.parametrize(
    ("mib", "text"),
    [(0, "0 MiB"), (1023, "1023 MiB"), (1024, "1 GiB"), (1536, "1.5 GiB"), (24 * 1024, "24 GiB")],
)
def test_amounts_are_told_as_people_say_them(mib: int, text: str) -> None:
    assert gib(mib) == text


def test_every_node_answers() -> None:
    nodes = (a_gpu_node("a"), a_node("b", duty=Duty.CORDONED))
    need = a_need(gpus=GpuNeed(), replicas=2)

    told = explain((need,), nodes, (), DeploymentName("chat"))

    assert [one.replica for one in told.placements] == ["chat-0"]
    assert [one.replica for one in told.refusals] == ["chat-1"]
    assert [(one.node, one.objections) for one in told.nodes] == [
        ("a", ("needs a GPU of its own, all are in use",)),
        ("b", ("no GPU", "cordoned", "has no GPU that would do")),
    ]


def test_a_node_that_would_do_tells_its_score() -> None:
    told = explain((a_need(),), (a_node("a"), a_node("b")), (), DeploymentName("chat"))

    assert all(one.objections == () and one.why is not None for one in told.nodes)
    assert [one.replicas for one in told.nodes] == [("chat-0",), ()]
