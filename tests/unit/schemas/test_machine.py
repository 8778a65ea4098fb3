"""A machine is whole: like another, or with all that a host must have."""

from __future__ import annotations

import pytest

from schemas.machine import Card, Machine, parse_machine
from schemas.names import NodeName
from schemas.problem import BadDocumentError, Place

HEAD = "apiVersion: miaas/v1\nkind: Machine\nmetadata: {name: new}\n"


def test_a_machine_says_what_it_has() -> None:
    spec = "{cpu: 16, memory: 64GiB, disk: 1TiB, gpus: [{model: T4, memory: 15GiB, count: 2}]}"

    machine = parse_machine(f"{HEAD}spec: {spec}\n", path="new.yaml")

    assert machine == Machine(
        name=NodeName("new"),
        cpu_milli=16_000,
        memory_mib=64 * 1024,
        disk_mib=1024 * 1024,
        gpus=(Card(model="T4", memory_mib=15 * 1024, count=2),),
        place=Place("new.yaml"),
    )


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        pytest.param("{}", "cpu and memory and disk", id="nothing"),
        pytest.param("{cpu: 4, memory: 1GiB}", "disk", id="one missing"),
        pytest.param("{cpu: 4, memory: 1GiB, disk: 1GiB}", None, id="all"),
        pytest.param("{like: alpha}", None, id="like another"),
        pytest.param("{like: alpha, memory: 1GiB}", None, id="like another but for one thing"),
    ],
)
def test_a_machine_that_is_like_no_other_has_to_say_all(spec: str, missing: str | None) -> None:
    text = f"{HEAD}spec: {spec}\n"
    if missing is None:
        parse_machine(text, path="new.yaml")
        return

    with pytest.raises(BadDocumentError) as error:
        parse_machine(text, path="new.yaml")

    (problem,) = error.value.problems
    assert problem.place == Place("new.yaml", 4, 1)
    assert problem.what == f"spec says neither what it is like nor its {missing}"
    assert problem.fix == "add `like: NODE`, or cpu, memory and disk"
