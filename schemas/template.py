"""template.yaml: what a template needs to know and what it brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.names import TemplateName
from schemas.problem import Place
from schemas.resources import GpuNeed, Resources


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
    volumes: names of the volumes that hold data; any of them ties a replica to its node.
    """

    name: TemplateName
    description: str
    parameters: Mapping[str, object]
    resources: Resources = field(default_factory=Resources)
    gpus: GpuNeed | None = None
    ports: tuple[TemplatePort, ...] = ()
    volumes: tuple[str, ...] = ()
    place: Place
