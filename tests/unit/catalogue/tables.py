"""The parts of the docs that are made from schemas and templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from schemas.check import schema_named
from schemas.quantity import format_cpu, format_memory
from schemas.resources import GpuNeed
from schemas.template import Template
from tests.unit.catalogue.shelf import NAMES, bundle

BEGIN: Final = "<!-- begin: made from"
END: Final = "<!-- end -->"
_SKIPPED: Final = ("apiVersion", "kind")


def with_table(page: str, table: str) -> str:
    """Put a table between the two marks of a page."""
    head, _, rest = page.partition(BEGIN)
    mark, _, rest = rest.partition("\n")
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{mark}\n{table}{END}{tail}"


def deployment_fields() -> str:
    """List every field of a deployment, from its schema."""
    root = schema_named("deployment")
    rows = "".join(
        f"| `{path}` | {_kind(one)} | {_default(one)} | {_cell(one.get('description'))} |\n"
        for path, one in _fields(root, root, "")
    )
    return f"| field | value | default | meaning |\n|---|---|---|---|\n{rows}"


def catalogue() -> str:
    """List the templates, and below that the parameters of each."""
    templates = [bundle(name).template for name in NAMES]
    rows = "".join(map(_template_row, templates))
    head = "| template | ports | one replica needs | data |\n|---|---|---|---|\n"
    return f"{head}{rows}\n" + "\n".join(map(_template_section, templates))


def _fields(root: Any, schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    for key, one in schema.get("properties", {}).items():
        if not path and key in _SKIPPED:
            continue
        below = _followed(root, one)
        yield f"{path}{key}", below
        items = _followed(root, below.get("items", {}))
        yield from _fields(root, below, f"{path}{key}.")
        yield from _fields(root, items, f"{path}{key}[].")


def _followed(root: Any, schema: Any) -> Any:
    """Resolve a reference; what stands beside it wins."""
    if "$ref" not in schema:
        return schema
    target = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return {**_followed(root, target), **{k: v for k, v in schema.items() if k != "$ref"}}


def _kind(schema: Any) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "")
    words = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if "minimum" in schema and "maximum" in schema:
        return f"{words}, {schema['minimum']} to {schema['maximum']}"
    return str(words)


def _default(schema: Any) -> str:
    if schema.get("default") in (None, [], {}, ""):
        return ""
    return f"`{_written(schema['default'])}`"


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def _template_row(template: Template) -> str:
    ports = ", ".join(f"{port.name} {port.container}" for port in template.ports)
    data = ", ".join(template.volumes) or "none: it may be moved"
    return f"| [`{template.name}`](#{template.name}) | {ports} | {_needs(template)} | {data} |\n"


def _needs(template: Template) -> str:
    amounts = template.resources
    words = [
        f"{format_cpu(amounts.cpu_milli)} cpu",
        f"{format_memory(amounts.memory_mib)} memory",
        f"{format_memory(amounts.disk_mib)} disk",
    ]
    return ", ".join([*words, *_gpu_words(template.gpus)])


def _gpu_words(need: GpuNeed | None) -> list[str]:
    if need is None:
        return []
    least = ".".join(map(str, need.compute_capability or ()))
    return [f"{need.count} GPU ({need.vendor}, compute capability {least} or better)"]


def _template_section(template: Template) -> str:
    schema: Any = template.parameters
    required = schema.get("required", ())
    rows = "".join(
        f"| `{key}` | {_kind(one)} | {'required' if key in required else _default(one)} "
        f"| {_cell(one['description'])}{_example(one)} |\n"
        for key, one in schema["properties"].items()
    )
    table = f"| parameter | value | default | meaning |\n|---|---|---|---|\n{rows}"
    return f"### {template.name}\n{template.description}\n\n{table}"


def _example(schema: Any) -> str:
    examples = schema.get("examples", ())
    return f" Example: `{_written(examples[0])}`" if examples else ""
