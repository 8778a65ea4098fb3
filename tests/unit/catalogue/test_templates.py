"""What every built-in template promises, whatever it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from reconciler.rendering.port import Renderer
from schemas.layout import COMPOSE_FILE, COMPOSE_TEMPLATE
from schemas.policy import check
from tests.unit.catalogue.cases import CASES, Case
from tests.unit.catalogue.shelf import NAMES, ROOT, Keep, bundle, compose_of, job, rendered

GOLDEN = ROOT / "tests" / "golden" / "templates"

by_case = pytest.mark.parametrize("case", CASES, ids=str)
by_name = pytest.mark.parametrize("name", NAMES)


@by_name
def test_every_template_has_its_own_name_a_description_and_a_case(name: str) -> None:
    template = bundle(name).template

    assert template.name == name
    assert template.description.endswith(".")
    assert any(case.template == name for case in CASES)


@by_name
def test_parameters_are_a_closed_schema_with_a_word_on_each(name: str) -> None:
    parameters: Any = bundle(name).template.parameters

    jsonschema.Draft202012Validator.check_schema(parameters)
    assert parameters["additionalProperties"] is False
    assert [key for key, one in parameters["properties"].items() if not one["description"]] == []


@by_name
def test_every_parameter_is_required_or_has_a_default_that_its_own_schema_accepts(
    name: str,
) -> None:
    parameters: Any = bundle(name).template.parameters

    for key, one in parameters["properties"].items():
        assert ("default" in one) != (key in parameters.get("required", ())), key
        if "default" in one:
            jsonschema.validate(one["default"], one)
        for example in one.get("examples", ()):
            jsonschema.validate(example, one)


@by_name
def test_every_text_number_and_list_has_bounds(name: str) -> None:
    for path, one in _schemas(bundle(name).template.parameters, name):
        match one["type"]:
            case "string":
                assert one.keys() & {"pattern", "enum", "maxLength"}, path
            case "integer" | "number":
                assert one.keys() >= {"minimum", "maximum"}, path
            case "array":
                assert "maxItems" in one, path
            case kind:
                assert kind == "object", path


@by_name
def test_templates_say_what_they_need(name: str) -> None:
    resources = bundle(name).template.resources

    assert min(resources.cpu_milli, resources.memory_mib, resources.disk_mib) > 0


@by_name
def test_default_images_are_pinned(name: str) -> None:
    parameters: Any = bundle(name).template.parameters
    images = {
        key: one["default"]
        for key, one in parameters["properties"].items()
        if key.lower().endswith("image")
    }

    assert images
    assert [one for one in images.values() if not _is_pinned(one)] == []


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("redis:8.6.2", True),
        ("ghcr.io/a/b:server-cuda-b11243", True),
        ("registry.local:5000/redis", False),
        ("redis", False),
        ("redis:latest", False),
        ("ghcr.io/a/b:main", False),
    ],
)
def test_what_counts_as_pinned(image: str, *, pinned: bool) -> None:
    assert _is_pinned(image) is pinned


@by_case
def test_the_policy_passes(case: Case, renderer: Renderer) -> None:
    text = rendered(renderer, case)[COMPOSE_FILE].decode()

    assert check(text, path=COMPOSE_FILE) == ()


@by_case
def test_rendering_is_on_record(case: Case, renderer: Renderer, kept: Keep) -> None:
    files = rendered(renderer, case)

    for path in _rendered_paths(case.template):
        suffix = "yaml" if path == COMPOSE_FILE else path
        kept(GOLDEN / case.template / f"{case.name}.{suffix}", files[path].decode())


def test_no_record_is_left_of_what_is_gone() -> None:
    expected = {
        f"{case.template}/{case.name}.{'yaml' if path == COMPOSE_FILE else path}"
        for case in CASES
        for path in _rendered_paths(case.template)
    }

    found = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}

    assert found == expected


@by_case
def test_every_service_is_fenced_in_bounded_and_comes_back(case: Case, renderer: Renderer) -> None:
    needs: Any = job(case).context["resources"]

    for service in compose_of(rendered(renderer, case))["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert service["stop_grace_period"]
        check = service.get("healthcheck", {})
        assert check.get("start_period") or bundle(case.template).template.probes
        assert "start_interval" not in check, "wants Docker 25"
        assert service["logging"]["driver"] == "json-file"
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert service["deploy"]["resources"]["limits"] == {
            "cpus": needs["cpus"],
            "memory": f"{needs['memory_mib']}M",
        }


@by_case
def test_every_port_of_the_template_is_published_and_no_other(
    case: Case, renderer: Renderer
) -> None:
    services = compose_of(rendered(renderer, case))["services"]

    published = sorted(port for one in services.values() for port in one.get("ports", ()))

    ports = bundle(case.template).template.ports
    assert published == [f"{20000 + at}:{port.container}" for at, port in enumerate(ports)]


@by_case
def test_volumes_are_declared_and_mounted_and_those_with_data_are_told(
    case: Case, renderer: Renderer
) -> None:
    files = rendered(renderer, case)
    compose = compose_of(files)
    mounts = [
        mount.split(":")[0] for one in compose["services"].values() for mount in one["volumes"]
    ]

    named = {mount for mount in mounts if not mount.startswith("./")}
    own = {mount.removeprefix("./") for mount in mounts if mount.startswith("./")}

    assert named == compose["volumes"].keys()
    assert named >= set(bundle(case.template).template.volumes)
    assert own == files.keys() - {COMPOSE_FILE}


@by_case
def test_exactly_the_assigned_gpus_are_reserved_by_uuid(case: Case, renderer: Renderer) -> None:
    assigned: Any = job(case).context["gpus"]
    (service,) = compose_of(rendered(renderer, case))["services"].values()

    reserved = service["deploy"]["resources"].get("reservations")

    device = {
        "driver": "nvidia",
        "device_ids": [gpu["uuid"] for gpu in assigned],
        "capabilities": ["gpu"],
    }
    assert reserved == ({"devices": [device]} if assigned else None)
    assert len(assigned) == case.gpus


def test_llama_cpp_takes_the_image_for_what_it_was_given(renderer: Renderer) -> None:
    images = {
        case.name: compose_of(rendered(renderer, case))["services"]["server"]["image"]
        for case in CASES
        if case.template == "llama-cpp"
    }

    assert "cuda" not in images["no-gpu"]
    assert "cuda" in images["one-gpu"]
    assert images["one-gpu"] == images["two-gpus"]


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_vllm_is_as_parallel_as_it_has_gpus(gpus: int, renderer: Renderer) -> None:
    case = Case(template="vllm", name="any", parameters={"model": "a/b"}, gpus=gpus)

    command = compose_of(rendered(renderer, case))["services"]["server"]["command"]

    assert command[command.index("--tensor-parallel-size") + 1] == str(gpus)


@pytest.mark.parametrize(
    ("template", "gpus", "said"),
    [
        ("vllm", 0, "vllm_needs_at_least_one_gpu"),
        ("text-embeddings", 2, "text_embeddings_uses_one_gpu_at_most"),
    ],
)
def test_a_number_of_gpus_that_makes_no_sense_is_told_in_the_problem(
    template: str, gpus: int, said: str, renderer: Renderer
) -> None:
    case = Case(template=template, name="any", parameters={"model": "a/b"}, gpus=gpus)

    (outcome,) = renderer.render((job(case),))

    assert said in str(outcome)


def _schemas(schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every schema of a value below this one, with its path."""
    for key, one in schema.get("properties", {}).items():
        yield f"{path}.{key}", one
        yield from _schemas(one, f"{path}.{key}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from _schemas(schema["items"], f"{path}[]")


def _is_pinned(image: str) -> bool:
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return bool(colon) and re.search(r"\d", tag) is not None


def _rendered_paths(name: str) -> list[str]:
    rendered_paths = [path.removesuffix(".j2") for path in bundle(name).files if ".j2" in path]
    assert COMPOSE_TEMPLATE.removesuffix(".j2") in rendered_paths
    return rendered_paths
