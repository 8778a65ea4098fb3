"""need_of: which document's word counts."""

from __future__ import annotations

import pytest

from reconciler.placing.needs import need_of
from schemas.deployment import Deployment, ResourceRequest, VolumeMoves
from schemas.fleet import Fleet, PortRange
from schemas.names import DeploymentName, FleetName, TemplateName
from schemas.problem import Place
from schemas.resources import GpuNeed, PlacementRules, Resources, Sharing, Strategy
from schemas.template import Template, TemplatePort


def a_fleet(strategy: Strategy | None = None) -> Fleet:
    return Fleet(name=FleetName("f"), strategy=strategy, ports=PortRange(first=100, last=200))


def a_template(gpus: GpuNeed | None = None, volumes: tuple[str, ...] = ()) -> Template:
    return Template(
        name=TemplateName("t"),
        description="",
        parameters={"properties": {"image": {"type": "string", "default": "base:1"}}},
        resources=Resources(cpu_milli=500, memory_mib=256, disk_mib=10),
        gpus=gpus,
        ports=(TemplatePort(name="http", container=80), TemplatePort(name="grpc", container=81)),
        volumes=volumes,
        place=Place(path="t"),
    )


def a_deployment(**changes: object) -> Deployment:
    words = {"name": DeploymentName("d"), "template": TemplateName("t"), "place": Place(path="d")}
    return Deployment(**(words | changes))  # type: ignore[arg-type]


def test_takes_each_amount_from_the_deployment_where_it_names_one() -> None:
    request = ResourceRequest(memory_mib=512)

    need = need_of(a_fleet(), a_template(), a_deployment(resources=request))

    assert need.resources == Resources(cpu_milli=500, memory_mib=512, disk_mib=10)


def test_zero_is_a_word_too() -> None:
    need = need_of(a_fleet(), a_template(), a_deployment(resources=ResourceRequest(disk_mib=0)))

    assert need.resources.disk_mib == 0


def test_what_the_deployment_leaves_open_about_gpus_the_template_says() -> None:
    template = a_template(GpuNeed(memory_mib=8000, vendor="nvidia", compute_capability=(7, 0)))
    asked = ResourceRequest(gpus=GpuNeed(count=2, memory_mib=16000))

    need = need_of(a_fleet(), template, a_deployment(resources=asked))

    assert need.gpus == GpuNeed(
        count=2, memory_mib=16000, vendor="nvidia", compute_capability=(7, 0)
    )


def test_sharing_is_the_deployments_word_when_it_speaks_of_gpus() -> None:
    template = a_template(GpuNeed(memory_mib=8000, sharing=Sharing.SHARED))

    need = need_of(
        a_fleet(), template, a_deployment(resources=ResourceRequest(gpus=GpuNeed(count=1)))
    )

    assert need.gpus == GpuNeed(memory_mib=8000, sharing=Sharing.EXCLUSIVE)


def test_a_count_of_zero_runs_without_gpu() -> None:
    asked = ResourceRequest(gpus=GpuNeed(count=0))

    need = need_of(a_fleet(), a_template(GpuNeed()), a_deployment(resources=asked))

    assert need.gpus is None


@pytest.mark.parametrize(
    ("said", "fleets", "gpus", "expected"),
    [
        pytest.param(None, None, GpuNeed(), Strategy.PACK, id="gpus pack"),
        pytest.param(None, None, None, Strategy.SPREAD, id="the rest spreads"),
        pytest.param(None, Strategy.PACK, None, Strategy.PACK, id="the fleet's word"),
        pytest.param(Strategy.SPREAD, Strategy.PACK, GpuNeed(), Strategy.SPREAD, id="its own"),
    ],
)
def test_strategy(
    said: Strategy | None, fleets: Strategy | None, gpus: GpuNeed | None, expected: Strategy
) -> None:
    rules = PlacementRules(strategy=said)

    need = need_of(a_fleet(fleets), a_template(gpus), a_deployment(placement=rules))

    assert need.strategy is expected


def test_every_port_of_the_template_is_auto_unless_fixed() -> None:
    need = need_of(a_fleet(), a_template(), a_deployment(ports={"http": 8080}))

    assert need.ports == {"http": 8080, "grpc": None}
    assert need.auto_ports == PortRange(first=100, last=200)


@pytest.mark.parametrize(
    ("volumes", "moves", "has_data", "pinned"),
    [
        pytest.param((), VolumeMoves.STAY, False, False, id="no volume"),
        pytest.param(("data",), VolumeMoves.STAY, True, True, id="volume"),
        pytest.param(("data",), VolumeMoves.LOSE, True, False, id="volume that may be lost"),
    ],
)
def test_volumes_hold_data_and_pin(
    *, volumes: tuple[str, ...], moves: VolumeMoves, has_data: bool, pinned: bool
) -> None:
    need = need_of(a_fleet(), a_template(volumes=volumes), a_deployment(on_move=moves))

    assert (need.has_data, need.pinned) == (has_data, pinned)


@pytest.mark.parametrize(
    ("parameters", "image"),
    [
        pytest.param({}, "base:1", id="default"),
        pytest.param({"image": "own:2"}, "own:2", id="named"),
        pytest.param({"image": 3}, "", id="no text"),
    ],
)
def test_image(parameters: dict[str, object], image: str) -> None:
    assert need_of(a_fleet(), a_template(), a_deployment(parameters=parameters)).image == image
