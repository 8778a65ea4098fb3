"""The API's description, made from the views themselves, so that it cannot differ from them."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias, get_args, get_origin, get_type_hints

from reconciler.web.latest import LookView
from reconciler.web.plain import fields_of
from reconciler.web.views import DeploymentView, NodeView
from schemas.names import NAME_PATTERN

Schema: TypeAlias = dict[str, Any]

_PLAIN: Final[Mapping[type, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}


@cache
def openapi(version: str) -> Schema:
    """Describe the whole API as OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MIaaS status",
            "version": version,
            "description": "What Git says of the fleet. It only shows: a change is a commit.",
        },
        "paths": dict(_paths()),
        "components": {"schemas": dict(sorted(_components().items()))},
    }


def _paths() -> Iterator[tuple[str, Schema]]:
    yield "/health", {"get": _health()}
    for noun, plural, kind in (
        ("node", "nodes", NodeView),
        ("deployment", "deployments", DeploymentView),
    ):
        item = _reference(kind)
        yield f"/api/v1/{plural}", {"get": _list(plural, item)}
        yield f"/api/v1/{plural}/{{name}}", {"get": _one(noun, item)}
    yield "/metrics", {"get": _metrics()}


def _health() -> Schema:
    look = _reference(LookView)
    return {
        "operationId": "health",
        "summary": "Whether the page can be trusted: 200 while it can, 503 while it cannot",
        "responses": {
            "200": _answer("Git was read lately", look),
            "503": _answer("Git was never read, or not for a while", look),
        },
    }


def _list(plural: str, item: Schema) -> Schema:
    return {
        "operationId": f"list_{plural}",
        "summary": f"All {plural}, by name",
        "responses": {
            "200": _answer(f"All {plural}", _around(plural, {"type": "array", "items": item})),
            "503": _answer("Git was never read", _error()),
        },
    }


def _one(noun: str, item: Schema) -> Schema:
    name = {"type": "string", "pattern": NAME_PATTERN}
    return {
        "operationId": f"get_{noun}",
        "summary": f"One {noun}",
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": name}],
        "responses": {
            "200": _answer(f"The {noun}", _around(noun, item)),
            "404": _answer(f"There is no such {noun}", _error()),
            "503": _answer("Git was never read", _error()),
        },
    }


def _metrics() -> Schema:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "metrics",
        "summary": "Counts and states in the text format of Prometheus",
        "responses": {"200": {"description": "Metrics", "content": text}},
    }


def _around(key: str, schema: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"look": _reference(LookView), key: schema},
        "required": ["look", key],
        "additionalProperties": False,
    }


def _error() -> Schema:
    return {
        "type": "object",
        "properties": {"error": {"type": "string"}, "fix": {"type": "string"}},
        "required": ["error", "fix"],
        "additionalProperties": False,
    }


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(kind: type[Any]) -> Schema:
    return {"$ref": f"#/components/schemas/{_name(kind)}"}


def _name(kind: type[Any]) -> str:
    return kind.__name__.removesuffix("View")


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    waiting: list[type[Any]] = [LookView, NodeView, DeploymentView]
    while waiting:
        kind = waiting.pop()
        if _name(kind) not in found:
            hints = get_type_hints(kind)
            found[_name(kind)] = _component(kind, hints)
            waiting.extend(part for hint in hints.values() for part in _parts(hint))
    return found


def _component(kind: Any, hints: Mapping[str, Any]) -> Schema:
    description = inspect.cleandoc(kind.__doc__ or "")
    if issubclass(kind, StrEnum):
        return {"type": "string", "description": description, "enum": [str(m) for m in kind]}
    properties = {key: _schema(hints[name]) for name, key in fields_of(kind)}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _schema(hint: Any) -> Schema:
    """Describe a field's type."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if get_origin(hint) is types.UnionType:
        some = next(part for part in get_args(hint) if part is not type(None))
        return {**_schema(some), "type": [_schema(some)["type"], "null"]}
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping):
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1])}
    return _reference(hint)


def _parts(hint: Any) -> Iterator[type[Any]]:
    """Find the views and enumerations inside a type."""
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, StrEnum)):
        yield hint
    for part in get_args(hint):
        yield from _parts(part)
