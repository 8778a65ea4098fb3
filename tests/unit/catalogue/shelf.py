"""The built-in templates, rendered as the reconciler renders them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from reconciler.observing.snapshot import TemplateBundle
from reconciler.placing.needs import need_of
from reconciler.rendering.context import job_of
from reconciler.rendering.port import Rendered, Renderer, RenderJob, Unrendered
from schemas.deployment import ResourceRequest
from schemas.layout import COMPOSE_FILE, TEMPLATE_FILE
from schemas.parameters import fill
from schemas.resources import GpuNeed
from schemas.template import parse_template
from schemas.yaml_text import read_yaml
from tests.builders import a_deployment, a_fleet, a_node, a_placement, a_share
from tests.unit.catalogue.cases import Case

ROOT: Final = Path(__file__).resolve().parents[3]
TEMPLATES: Final = ROOT / "templates"
NAMES: Final = tuple(sorted(folder.name for folder in TEMPLATES.iterdir() if folder.is_dir()))

Keep: TypeAlias = Callable[[Path, str], None]


@cache
def bundle(name: str) -> TemplateBundle:
    """Read one template with all its files."""
    folder = TEMPLATES / name
    files = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    path = f"templates/{name}/{TEMPLATE_FILE}"
    template = parse_template(files[TEMPLATE_FILE].decode(), path=path)
    return TemplateBundle(template=template, files=files)


def job(case: Case) -> RenderJob:
    """Place the case on a node with as many GPUs as it wants, and every port from 20000."""
    brought = bundle(case.template)
    asked = ResourceRequest(gpus=GpuNeed(count=case.gpus))
    deployment = a_deployment(
        "case", template=case.template, parameters=case.parameters, resources=asked
    )
    need = need_of(a_fleet(), brought.template, deployment)
    placement = a_placement(
        "case",
        resources=need.resources,
        gpus=tuple(a_share(number) for number in range(need.gpus.count if need.gpus else 0)),
        ports={port.name: 20000 + at for at, port in enumerate(brought.template.ports)},
    )
    node = a_node(cards=["l40s"] * case.gpus)
    return job_of(placement, node, deployment, brought, fill(brought.template, deployment))


def rendered(renderer: Renderer, case: Case) -> Mapping[str, bytes]:
    """Render a case, and fail with the problems if it cannot be."""
    (outcome,) = renderer.render((job(case),))
    assert isinstance(outcome, Rendered), _told(outcome)
    return outcome.files


def compose_of(files: Mapping[str, bytes]) -> Any:
    """Read the compose file of a rendered replica, as the policy reads it."""
    reading = read_yaml(files[COMPOSE_FILE].decode(), path=COMPOSE_FILE)
    assert not reading.problems, reading.problems
    return reading.value


def _told(outcome: Unrendered) -> str:
    return "\n".join(str(problem) for problem in outcome.problems)
