"""Tiny fleets against the optimum found by trying everything.

Plans of so few are tried in many orders, so being short of the optimum is rare: in 3,000 worlds it
did not happen. Marked `soak` are thousands of them; the fast part looks at some.
"""

from __future__ import annotations

import random
from functools import cache

import pytest

from reconciler.observing.node import Gpu, Node
from reconciler.placing.engine import plan
from reconciler.placing.plan import Need
from schemas.names import DeploymentName, GpuUuid, NodeName
from schemas.resources import GpuNeed, Resources, Sharing


def a_tiny_world(rng: random.Random) -> tuple[tuple[Node, ...], tuple[Need, ...]]:
    nodes = tuple(
        Node(
            name=NodeName(f"n{number}"),
            room=Resources(cpu_milli=rng.choice([2, 3, 4, 6]), memory_mib=10),
            gpus=tuple(
                Gpu(
                    uuid=GpuUuid(f"g{number}-{slot}"),
                    vendor="v",
                    model="m",
                    memory_mib=10,
                    free_mib=10,
                )
                for slot in range(rng.choice([0, 1, 2]))
            ),
        )
        for number in range(rng.randint(1, 4))
    )
    gpu = [None, None, GpuNeed(), GpuNeed(count=2)]
    gpu += [GpuNeed(memory_mib=mib, sharing=Sharing.SHARED) for mib in (3, 5, 7)]
    needs = tuple(
        Need(
            deployment=DeploymentName(f"d{number}"),
            replicas=1,
            resources=Resources(cpu_milli=rng.choice([1, 2, 3])),
            gpus=rng.choice(gpu),
        )
        for number in range(rng.randint(2, 6))
    )
    return nodes, needs


def optimum(nodes: tuple[Node, ...], needs: tuple[Need, ...]) -> int:
    """The most replicas that can be placed, by trying every node and GPU for each."""
    start = tuple((n.room.cpu_milli, tuple((10, True) for _ in n.gpus)) for n in nodes)

    @cache
    def most(left: tuple[tuple[int, tuple[tuple[int, bool], ...]], ...], place: int) -> int:
        if place == len(needs):
            return 0
        best = most(left, place + 1)
        for row, (cpu, gpus) in enumerate(left):
            if cpu >= needs[place].resources.cpu_milli:
                for after in _ways(gpus, needs[place].gpus):
                    node = (cpu - needs[place].resources.cpu_milli, tuple(sorted(after)))
                    best = max(best, 1 + most((*left[:row], node, *left[row + 1 :]), place + 1))
        return best

    return most(start, 0)


def _ways(
    gpus: tuple[tuple[int, bool], ...], need: GpuNeed | None
) -> list[tuple[tuple[int, bool], ...]]:
    if need is None:
        return [gpus]
    if need.sharing is Sharing.SHARED:
        mib = need.memory_mib or 0
        return [
            (*gpus[:slot], (free - mib, False), *gpus[slot + 1 :])
            for slot, (free, _) in enumerate(gpus)
            if free >= mib
        ]
    whole = [slot for slot, (_, untouched) in enumerate(gpus) if untouched][: need.count]
    if len(whole) < need.count:
        return []
    return [tuple((0, False) if slot in whole else gpu for slot, gpu in enumerate(gpus))]


def shortage(seed: int) -> int:
    """How many more the optimum places."""
    nodes, needs = a_tiny_world(random.Random(seed))
    return optimum(nodes, needs) - len(plan(needs, nodes, ()).placements)


@pytest.mark.parametrize("seed", range(150))
def test_as_many_as_the_optimum(seed: int) -> None:
    assert shortage(seed) == 0


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_seldom_short_of_the_optimum_over_thousands(part: int) -> None:
    short = [seed for seed in range(part * 500, part * 500 + 500) if shortage(seed)]

    print(f"short of the optimum in {len(short)} of 500 worlds: {short}")  # noqa: T201
    assert len(short) <= 5
