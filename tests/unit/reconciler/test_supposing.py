"""What is supposed stands where it would stand, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.decide import Pass, decide
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from reconciler.rolling.marks import Memory
from reconciler.supposing import Supposed, moved_back, suppose, volumes_lost
from schemas.deployment import parse_deployment
from schemas.machine import Machine, parse_machine
from schemas.names import NodeName
from schemas.problem import BadDocumentError, Place, Problem
from tests.builders import A_MOMENT, a_gpu_report, a_heartbeat, a_host
from tests.unit.reconciler.world import World, a_small_fleet, a_world, deployment, node

GPU = "{cpu: 1, memory: 1GiB, gpus: {memory: 20GiB}}"


def a_machine(spec: str, name: str = "gamma") -> Machine:
    head = "apiVersion: miaas/v1\nkind: Machine\nmetadata: {name: " + name + "}\n"
    return parse_machine(f"{head}spec: {spec}\n", path="new.yaml")


def supposed(world: World, what: Supposed) -> Pass:
    snapshot = world.snapshot()
    changed, _ = suppose(snapshot, observe(snapshot), what, A_MOMENT)
    return decide(changed, A_MOMENT, Memory(), world.renderer)


def places(result: Pass) -> dict[str, str]:
    return {one.replica: one.node for one in result.plan.placements}


def test_what_a_lost_node_ran_goes_elsewhere() -> None:
    world = a_world(
        files=a_small_fleet(**{"deployments/chat.yaml": deployment("chat", replicas=2)})
    )
    first = world.pass_once().result
    lost = first.plan.placements[0].node

    result = supposed(world, Supposed(lost=(lost,)))

    assert {node.name for node in result.nodes} == {"alpha", "beta"} - {lost}
    assert len(places(result)) == 2
    assert lost not in places(result).values()


def test_who_is_pinned_to_a_lost_node_made_no_mistake_and_has_none() -> None:
    pinned = deployment("chat", placement="{pin: [alpha]}")
    world = a_world(files=a_small_fleet(**{"deployments/chat.yaml": pinned}))
    world.pass_once()

    result = supposed(world, Supposed(lost=(NodeName("alpha"),)))

    assert result.problems == ()
    assert places(result) == {}
    assert [one.replica for one in result.plan.refusals] == ["chat-0"]


def test_a_machine_that_says_what_it_has_takes_what_fits_nowhere_else() -> None:
    files = a_small_fleet(**{"deployments/llm.yaml": deployment("llm", resources=GPU)})
    world = a_world(files=files)
    cards = "[{model: NVIDIA L4, memory: 23034MiB, count: 2}]"
    machine = a_machine("{cpu: 8, memory: 32GiB, disk: 1TiB, gpus: " + cards + "}")
    before = world.decide()

    result = supposed(world, Supposed(machines=(machine,)))

    assert "llm-0" not in places(before)
    assert places(result)["llm-0"] == "gamma"
    (added,) = (node for node in result.nodes if node.name == "gamma")
    assert [(gpu.model, gpu.free_mib) for gpu in added.gpus] == [("NVIDIA L4", 23034)] * 2
    assert added.room.cpu_milli == 8000


def test_a_machine_like_another_is_as_large_and_empty() -> None:
    world = a_world("beta")
    busy = tuple(
        replace(a_gpu_report(number), foreign_mib=foreign, used_mib=foreign)
        for number, foreign in enumerate((600, 9000))
    )
    host = a_host(foreign_memory_mib=30_000, ports=(22, 20_000))
    world.beat("alpha", gpus=busy, host=host)

    result = supposed(world, Supposed(machines=(a_machine("{like: alpha, memory: 16GiB}"),)))

    by_name = {node.name: node for node in result.nodes}
    new, old = by_name["gamma"], by_name["alpha"]
    assert [gpu.free_mib for gpu in new.gpus] == [46068 - 600] * 2
    assert {gpu.uuid for gpu in new.gpus}.isdisjoint(gpu.uuid for gpu in old.gpus)
    assert new.room.memory_mib == 16 * 1024
    assert new.room.cpu_milli == old.room.cpu_milli
    assert new.ports == frozenset()


def test_a_deployment_is_asked_for_instead_of_the_one_of_its_name() -> None:
    world = a_world(files=a_small_fleet(**{"deployments/a/b/more.yaml": deployment("more")}))
    texts = [deployment("more", replicas=3), deployment("other")]
    asked = tuple((parse_deployment(text, path="x.yaml"), text.encode()) for text in texts)

    result = supposed(world, Supposed(deployments=asked))

    assert sorted(places(result)) == ["chat-0", "more-0", "more-1", "more-2", "other-0"]
    assert result.problems == ()


@pytest.mark.parametrize(
    ("spec", "name", "said"),
    [
        ("{like: nobody}", "gamma", "new.yaml:4:14: no node 'nobody' ever said what it has"),
        ("{like: alpha}", "beta", "new.yaml:3:18: there is a node 'beta' already"),
    ],
)
def test_a_machine_that_cannot_be_had_is_a_problem_of_its_file(
    spec: str, name: str, said: str
) -> None:
    with pytest.raises(BadDocumentError) as error:
        supposed(a_world(), Supposed(machines=(a_machine(spec, name),)))

    assert str(error.value).startswith(said)


def test_a_node_can_be_lost_and_bought_again() -> None:
    what = Supposed(lost=(NodeName("beta"),), machines=(a_machine("{like: alpha}", "beta"),))

    assert {node.name for node in supposed(a_world(), what).nodes} == {"alpha", "beta"}


def test_problems_of_what_was_put_in_name_the_file_that_it_came_from() -> None:
    text = deployment("odd", template="no-such")
    asked = ((parse_deployment(text, path="elsewhere/odd.yaml"), text.encode()),)
    snapshot: Snapshot = a_world().snapshot()

    changed, origins = suppose(snapshot, observe(snapshot), Supposed(deployments=asked), A_MOMENT)

    (problem,) = observe(changed).held[asked[0][0].name]
    assert problem.place.path == "deployments/odd.yaml"
    assert moved_back(problem, origins).place.path == "elsewhere/odd.yaml"
    other = Problem(Place("fleet.yaml", 1, 2), "what", "fix")
    assert moved_back(other, origins) == other


def test_volumes_that_are_only_on_a_lost_node_are_named() -> None:
    with_volumes = {
        "templates/web/template.yaml": a_small_fleet()["templates/web/template.yaml"]
        + "  volumes: [data]\n",
        "nodes/beta.yaml": node("beta", duty="cordoned"),
    }
    world = a_world(files={**a_small_fleet(), **with_volumes})
    world.pass_once()
    observed = observe(world.snapshot())

    assert volumes_lost(observed, Supposed(lost=(NodeName("alpha"),))) == {"alpha": ("chat-0",)}
    assert volumes_lost(observed, Supposed(lost=(NodeName("beta"),))) == {}


def test_the_first_words_of_a_supposed_machine_are_those_of_a_real_agent() -> None:
    world = a_world("beta")
    world.push_heartbeat("alpha", b"")
    world.beat("alpha", cards=("t4",))
    snapshot = world.snapshot()

    changed, _ = suppose(
        snapshot, observe(snapshot), Supposed(machines=(a_machine("{like: alpha}"),)), A_MOMENT
    )

    beats = {beat.node: beat for beat in observe(changed).heartbeats}
    assert observe(changed).unreadable == {}
    real = a_heartbeat("alpha", cards=("t4",)).gpus[0]
    assert replace(beats[NodeName("gamma")].gpus[0], uuid=real.uuid) == replace(
        real, utilisation_percent=None, temperature_c=None, power_w=None
    )
