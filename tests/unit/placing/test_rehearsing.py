"""How steeply to fill in order, and how the mix is learned."""

from __future__ import annotations

import pytest

from reconciler.placing.asks import Columns, ask_of
from reconciler.placing.core import Core
from reconciler.placing.ground import Ground
from reconciler.placing.learning import KNOWN, Learner
from reconciler.placing.plan import Need
from reconciler.placing.rehearsing import LEAST, LOOSE, PART, STEEP, steepness
from reconciler.placing.trials import ORDER
from schemas.resources import Resources
from tests.builders import GIB, a_gpu_need, a_need, a_node

ENOUGH = PART * LEAST


def a_core(count: int, cards: list[str], cores: int = 8) -> Core:
    room = Resources(cpu_milli=1000 * cores, memory_mib=64 * GIB)
    nodes = (a_node(f"node-{number:03}", cards=cards, room=room) for number in range(count))
    return Core(Ground(nodes), {})


def found(core: Core, *needs: Need) -> float:
    columns = Columns(core.ground)
    asks = [core.add(ask_of(need, columns)) for need in needs]
    return steepness(core.ground, asks, {ask.shape: 1.0 for ask in asks})


@pytest.mark.parametrize(
    ("count", "cards", "need", "steep"),
    [
        pytest.param(ENOUGH, ["t4"], a_need(gpus=a_gpu_need()), STEEP, id="no difference"),
        pytest.param(ENOUGH - PART, ["t4"], a_need(gpus=a_gpu_need()), ORDER, id="a small fleet"),
        pytest.param(ENOUGH, ["t4"], a_need(), ORDER, id="nobody wants GPUs"),
        pytest.param(ENOUGH, [], a_need(gpus=a_gpu_need()), ORDER, id="no GPUs"),
    ],
)
def test_the_order_weighs(count: int, cards: list[str], need: Need, steep: float) -> None:
    assert found(a_core(count, cards), need) == steep


def test_where_cpu_is_scarce_nodes_are_not_filled_in_order() -> None:
    # Four that want little CPU waste it; one that wants much leaves room for others that do not.
    core = a_core(2 * ENOUGH, ["t4"] * 4, cores=24)
    needs = (
        a_need(
            f"wants-{cores}",
            gpus=a_gpu_need(),
            resources=Resources(cpu_milli=1000 * cores, memory_mib=64),
        )
        for cores in (1, 4, 8, 12)
    )

    assert found(core, *needs) == LOOSE


def test_a_rehearsal_changes_nothing() -> None:
    core = a_core(ENOUGH, ["t4"])

    found(core, a_need(gpus=a_gpu_need()))

    assert core.ground.log == []


@pytest.mark.parametrize(("arrived", "rehearsed"), [(KNOWN - 1, False), (2 * KNOWN, True)])
def test_it_is_rehearsed_once_the_mix_is_known(arrived: int, rehearsed: bool) -> None:
    core = a_core(3, ["t4"])
    ask = core.add(ask_of(a_need(gpus=a_gpu_need()), Columns(core.ground)))
    learner = Learner(core)

    for _ in range(arrived):
        learner.expect(ask)

    # On so few nodes a rehearsal leaves the usual weight.
    assert core.order[0] == (ORDER if rehearsed else STEEP)
    assert sum(core.mix.values()) == arrived
