"""The built-in templates as they stand: no parameter of theirs can change a document's shape."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.observing.builtin import builtin_templates
from reconciler.observing.snapshot import Snapshot, TemplateBundle
from reconciler.observing.templates import catalogue
from reconciler.rendering.bundle import parts_of
from reconciler.rendering.sandbox import STRUCTURED, Sandbox, is_fragment
from reconciler.rendering.values import UnwritableError, as_json
from schemas.names import TemplateName
from schemas.yaml_text import read_yaml
from tests.unit.reconciler.rendering.test_shape import TEXTS

FOUND = catalogue(Snapshot(source=None, desired={}, builtin=builtin_templates()))
PLAIN = "harmless"


def test_every_built_in_template_is_whole() -> None:
    assert FOUND.broken == {}
    assert len(FOUND.usable) >= 6


@cache
def sandbox_of(name: TemplateName) -> Sandbox:
    parts = parts_of(FOUND.usable[name])
    return Sandbox(parts.folder, parts.sources)


def texts_of(bundle: TemplateBundle) -> list[str]:
    """Parameters that take any text at all, by the template's schema."""
    properties: Any = bundle.template.parameters["properties"]
    return sorted(
        name
        for name, schema in properties.items()
        if schema.get("type") == "string" and "enum" not in schema
    )


def context_of(bundle: TemplateBundle, parameter: str, text: str) -> dict[str, object]:
    properties: Any = bundle.template.parameters["properties"]
    stand_ins: dict[str, object] = {
        "string": PLAIN,
        "integer": 1,
        "number": 0.5,
        "boolean": True,
        "array": [],
        "object": {},
    }
    params = {
        name: schema.get("default", stand_ins[schema.get("type", "string")])
        for name, schema in properties.items()
    }
    return {
        "params": {**params, parameter: text},
        "deployment": {"name": "chat", "labels": {}},
        "replica": {"name": "chat-0", "index": 0},
        "node": {"name": "alpha", "labels": {}},
        "ports": {port.name: 20000 + n for n, port in enumerate(bundle.template.ports)},
        "gpus": [{"uuid": "GPU-0", "memory_mib": 46068}],
        "resources": {"cpu_milli": 1000, "cpus": 1.0, "memory_mib": 1024, "disk_mib": 0},
    }


CASES = [
    (name, parameter)
    for name, bundle in sorted(FOUND.usable.items())
    for parameter in texts_of(bundle)
]


def shapes(name: TemplateName, parameter: str, text: str) -> Iterator[object]:
    sandbox = sandbox_of(name)
    context = context_of(FOUND.usable[name], parameter, text)
    for path in sorted(sandbox.sources):
        if path.endswith(STRUCTURED) and not is_fragment(path):
            reading = read_yaml(sandbox.render(path, context), path=path)
            assert reading.problems == ()
            yield shape(reading.value)


def shape(node: object) -> object:
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items()}
    return [shape(value) for value in node] if isinstance(node, list) else type(node)


@settings(max_examples=100)
@given(st.sampled_from(CASES), TEXTS.filter(bool))
def test_a_hostile_text_leaves_the_shape_as_it_is(
    case: tuple[TemplateName, str], text: str
) -> None:
    try:
        as_json(text)
    except UnwritableError:
        return
    assert list(shapes(*case, text)) == list(shapes(*case, PLAIN))
