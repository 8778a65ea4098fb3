"""template.yaml: what a template needs to know and what it brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.marks import NO_MARKS, Marks
from schemas.names import TemplateName
from schemas.page import Page, open_page
from schemas.parameter_schema import vet
from schemas.problem import Place
from schemas.resources import GpuNeed, Resources
from schemas.shape import (
    check_gpus,
    present,
    read_gpus,
    read_resources,
    unless,
    write_document,
    write_gpus,
    write_resources,
)
from schemas.template_probes import TemplateProbe, check_probes, read_probe, write_probe


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePort:
    """A port that a template serves: its name and the number inside the container."""

    name: str
    container: int
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A parsed template.yaml. Holding one means that it is valid.

    parameters: a JSON Schema (draft 2020-12) of type object; its `default`s are filled in.
    resources, gpus: what a replica needs unless the deployment says otherwise. gpus None: no GPU.
    probes: what the agent asks a replica; it is ready when all of them are answered well.
    volumes: names of the volumes that hold data; any of them ties a replica to its node.
    marks: where each value stands in the file.
    """

    name: TemplateName
    description: str
    parameters: Mapping[str, object]
    resources: Resources = field(default_factory=Resources)
    gpus: GpuNeed | None = None
    ports: tuple[TemplatePort, ...] = ()
    probes: tuple[TemplateProbe, ...] = ()
    volumes: tuple[str, ...] = ()
    place: Place
    marks: Marks = field(default=NO_MARKS, compare=False, repr=False)


NO_PARAMETERS: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}


def parse_template(text: str, *, path: str) -> Template:
    """Read template.yaml.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    page = open_page(text, path=path, schema="template")
    check_gpus(page)
    _check_port_names(page)
    _check_parameters(page)
    check_probes(page)
    page.close()
    spec = page.get("spec")
    resources = spec.get("resources", {})
    return Template(
        name=TemplateName(page.get("metadata", "name")),
        description=spec["description"],
        parameters=spec.get("parameters", NO_PARAMETERS),
        resources=read_resources(resources),
        gpus=read_gpus(resources["gpus"]) if "gpus" in resources else None,
        ports=tuple(TemplatePort(**port) for port in spec.get("ports", [])),
        probes=tuple(read_probe(probe) for probe in spec.get("probes", [])),
        volumes=tuple(spec.get("volumes", [])),
        place=Place(path),
        marks=page.marks,
    )


def dump_template(template: Template) -> str:
    """Write template.yaml, without what equals the defaults."""
    gpus = {} if template.gpus is None else {"gpus": write_gpus(template.gpus)}
    spec = {
        "description": template.description,
        "parameters": unless(template.parameters, NO_PARAMETERS),
        "resources": write_resources(template.resources) | gpus,
        "ports": [_write_port(port) for port in template.ports],
        "probes": [write_probe(probe) for probe in template.probes],
        "volumes": list(template.volumes),
    }
    return write_document("Template", {"name": template.name}, spec)


def _write_port(port: TemplatePort) -> dict[str, Any]:
    path = unless(port.path, "/")
    return present({"name": port.name, "container": port.container, "path": path})


def _check_parameters(page: Page) -> None:
    schema = page.get("spec", "parameters") if page.sound("spec", "parameters") else None
    if schema is not None:
        page.take(vet(schema))


def _check_port_names(page: Page) -> None:
    seen: set[str] = set()
    for index, port in page.entries("spec", "ports"):
        if port["name"] in seen:
            said = f"a port named {port['name']!r} stands here a second time", "name it otherwise"
            page.refuse(("spec", "ports", index, "name"), said)
        seen.add(port["name"])
