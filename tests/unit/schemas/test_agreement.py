"""Schema and dataclass say the same, and our checker judges as jsonschema does."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import extend
from referencing import Registry

from schemas.check import ANNOTATIONS, FORMATS, KEYWORDS, check, follow, schema_named
from schemas.codec import camel
from schemas.deployment import Deployment, ResourceRequest
from schemas.fleet import Fleet, PortRange, RebalanceBudget, Timings
from schemas.guards import Guards, Window
from schemas.machine import Card, Machine
from schemas.node import NodeRecord
from schemas.quantity import BadQuantityError
from schemas.resources import (
    Expression,
    GpuNeed,
    Neighbourhood,
    PlacementRules,
    Preference,
    Resources,
    Spread,
    Taint,
    Toleration,
)
from schemas.rollout import Disconnect, Update
from schemas.template import Template, TemplatePort
from schemas.template_probes import TemplateProbe
from schemas.yaml_text import read_yaml
from tests.unit.schemas import strategies
from tests.unit.schemas.kinds import ALL, MACHINES, PEOPLE, Kind

NAMES = [*(kind.name for kind in ALL), "policy"]

AMOUNTS = {"cpu_milli": "cpu", "memory_mib": "memory", "disk_mib": "disk"}
GPUS = {
    "count": "count",
    "memory_mib": "memory",
    "sharing": "sharing",
    "vendor": "vendor",
    "model": "model",
    "compute_capability": "computeCapability",
    "driver": "driver",
    "cuda": "cuda",
}
HEAD = {"name": "metadata.name", "labels": "metadata.labels", "annotations": "metadata.annotations"}
SAME = None  # every field under its own name

# Where each field of a dataclass stands in the document: (kind, dataclass, where, field -> key).
SHAPES: list[tuple[str, type, str, dict[str, str] | None]] = [
    (
        "fleet",
        Fleet,
        "",
        {
            "name": "metadata.name",
            "timings": "spec.timings",
            "ports": "spec.ports",
            "strategy": "spec.placement.strategy",
            "reserved": "spec.reserved",
            "rebalance": "spec.rebalance",
            "drift": "spec.drift",
            "guards": "spec.guards",
            "waves": "spec.waves",
            "windows": "spec.windows",
            "suspend": "spec.suspend",
            "lease": "spec.leader.lease",
        },
    ),
    ("fleet", Guards, "spec.guards", SAME),
    ("fleet", Expression, "spec.waves[]", SAME),
    ("fleet", Window, "spec.windows[]", SAME),
    ("fleet", Timings, "spec.timings", SAME),
    ("fleet", PortRange, "spec.ports", SAME),
    ("fleet", Resources, "spec.reserved", AMOUNTS),
    ("fleet", RebalanceBudget, "spec.rebalance", SAME),
    (
        "node",
        NodeRecord,
        "",
        {
            **HEAD,
            "taints": "spec.taints",
            "duty": "spec.duty",
            "reserved": "spec.reserved",
            "suspend": "spec.suspend",
        },
    ),
    ("node", Taint, "spec.taints[]", SAME),
    ("node", Resources, "spec.reserved", AMOUNTS),
    (
        "machine",
        Machine,
        "",
        {
            **{name: HEAD[name] for name in ("name", "labels")},
            **{name: f"spec.{key}" for name, key in AMOUNTS.items()},
            "taints": "spec.taints",
            "like": "spec.like",
            "architecture": "spec.architecture",
            "os": "spec.os",
            "gpus": "spec.gpus",
        },
    ),
    ("machine", Taint, "spec.taints[]", SAME),
    (
        "machine",
        Card,
        "spec.gpus[]",
        {name: key for name, key in GPUS.items() if name != "sharing"},
    ),
    (
        "template",
        Template,
        "",
        {
            "name": "metadata.name",
            "description": "spec.description",
            "parameters": "spec.parameters",
            "resources": "spec.resources",
            "gpus": "spec.resources.gpus",
            "ports": "spec.ports",
            "probes": "spec.probes",
            "volumes": "spec.volumes",
        },
    ),
    ("template", Resources, "spec.resources", AMOUNTS),
    ("template", GpuNeed, "spec.resources.gpus", GPUS),
    ("template", TemplatePort, "spec.ports[]", SAME),
    ("template", TemplateProbe, "spec.probes[]", SAME),
    (
        "deployment",
        Deployment,
        "",
        {
            **HEAD,
            "template": "spec.template",
            "parameters": "spec.parameters",
            "replicas": "spec.replicas",
            "resources": "spec.resources",
            "placement": "spec.placement",
            "ports": "spec.ports",
            "on_move": "spec.volumes.onMove",
            "on_remove": "spec.volumes.onRemove",
            "drift": "spec.drift",
            "update": "spec.update",
            "disconnect": "spec.disconnect",
            "depends_on": "spec.dependsOn",
            "suspend": "spec.suspend",
            "priority": "spec.priority",
        },
    ),
    ("deployment", ResourceRequest, "spec.resources", {**AMOUNTS, "gpus": "gpus"}),
    ("deployment", Update, "spec.update", SAME),
    ("deployment", Disconnect, "spec.disconnect", SAME),
    ("deployment", GpuNeed, "spec.resources.gpus", GPUS),
    ("deployment", PlacementRules, "spec.placement", SAME),
    ("deployment", Expression, "spec.placement.require[]", SAME),
    ("deployment", Expression, "spec.placement.prefer[]", SAME),
    (
        "deployment",
        Preference,
        "spec.placement.prefer[]",
        {"expression": "operator", "weight": "weight"},
    ),
    ("deployment", Neighbourhood, "spec.placement.near[]", SAME),
    ("deployment", Neighbourhood, "spec.placement.apart[]", SAME),
    ("deployment", Spread, "spec.placement.spread[]", SAME),
    ("deployment", Toleration, "spec.placement.tolerations[]", SAME),
]
NOT_IN_THE_TEXT = {"place", "marks"}


def properties(root: Mapping[str, Any], schema: Any, base: str) -> Iterator[str]:
    """Every key that a document may have, as `spec.ports[].name`."""
    schema = dict(follow(root, schema))
    for name, part in schema.get("properties", {}).items():
        yield f"{base}.{name}".removeprefix(".")
        yield from properties(root, part, f"{base}.{name}".removeprefix("."))
    if isinstance(schema.get("items"), dict):
        yield from properties(root, schema["items"], f"{base}[]")


@pytest.mark.parametrize("kind", PEOPLE, ids=lambda kind: kind.name)
def test_every_key_of_peoples_documents_is_a_field_and_conversely(kind: Kind) -> None:
    told = {"apiVersion", "kind", "metadata", "spec"}
    for name, owner, where, table in SHAPES:
        if name == kind.name:
            own = {field.name for field in fields(owner)} - NOT_IN_THE_TEXT
            keys = {field: camel(field) for field in own} if table is None else table
            assert own == set(keys), f"{owner.__name__} has other fields than the table says"
            told |= {f"{where}.{key}".removeprefix(".") for key in keys.values()}
    root = schema_named(kind.name)

    known = set(properties(root, root, ""))

    parents = {key.rsplit(".", 1)[0] for key in told if "." in key}
    assert known == told | (parents & known)


def assert_same(root: Mapping[str, Any], schema: Mapping[str, Any], hint: Any, at: str) -> None:
    """The schema of a machine's value and the type of its field are the same."""
    merged: dict[str, Any] = {**follow(root, schema), **schema}
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        if type(None) in get_args(hint):
            assert "null" in merged["type"], at
        hint = kinds[0]
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    wanted = merged["type"] if isinstance(merged["type"], str) else merged["type"][0]
    if is_dataclass(hint):
        assert_same_fields(root, merged, hint, at)
    elif get_origin(hint) is tuple:
        assert wanted == "array", at
        assert_same(root, merged["items"], get_args(hint)[0], f"{at}[]")
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        assert merged["enum"] == [member.value for member in hint], at
    elif get_origin(hint) is not None:
        assert wanted == "object", at
        assert_same(root, merged["additionalProperties"], get_args(hint)[1], f"{at}{{}}")
    else:
        names = {str: "string", int: "integer", float: "number", bool: "boolean"}
        assert wanted == {**names, datetime: "string"}[hint], at


def assert_same_fields(root: Mapping[str, Any], schema: Any, owner: Any, at: str) -> None:
    hints = get_type_hints(owner)
    keys = {camel(field.name): field for field in fields(owner)}
    assert set(schema["properties"]) - ({"apiVersion", "kind"} - set(keys)) == set(keys), at
    assert schema["additionalProperties"] is False, at
    bare = {
        key
        for key, field in keys.items()
        if field.default is MISSING and field.default_factory is MISSING
    }
    assert set(schema.get("required", [])) - {"apiVersion", "kind"} == bare, at
    for key, field in keys.items():
        assert_same(root, schema["properties"][key], hints[field.name], f"{at}.{key}")


@pytest.mark.parametrize("kind", MACHINES, ids=lambda kind: kind.name)
def test_every_key_of_machines_documents_is_a_field_of_the_same_type(kind: Kind) -> None:
    root = schema_named(kind.name)

    assert_same_fields(root, root, kind.dataclass, kind.name)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    yield schema
    for key in ("properties", "$defs"):
        for part in schema.get(key, {}).values():
            yield from parts(part)
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key])


@pytest.mark.parametrize("name", NAMES)
def test_the_published_schemas_are_valid_and_use_what_the_checker_knows(name: str) -> None:
    root = schema_named(name)

    Draft202012Validator.check_schema(root)
    for part in parts(root):
        assert set(part) <= KEYWORDS | ANNOTATIONS
        assert part.get("format", "miaas-time") in FORMATS
        if part.get("type") == "object" or "properties" in part:
            assert "additionalProperties" in part or name in {"template", "deployment"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_every_key_is_described_and_shows_what_may_stand_there(kind: Kind) -> None:
    root: Any = schema_named(kind.name)
    for part in parts(root):
        for key, entry in part.get("properties", {}).items():
            merged = {**follow(root, entry), **entry}
            assert len(merged["description"]) > 3, key
            if kind in PEOPLE and "object" not in merged["type"]:
                assert {"examples", "default", "enum", "const"} & set(merged), key


@pytest.mark.parametrize("name", NAMES)
def test_every_example_and_default_satisfies_its_own_schema(name: str) -> None:
    root = schema_named(name)
    for part in parts(root):
        shown = [*part.get("examples", []), *([part["default"]] if "default" in part else [])]
        for example in shown:
            assert check({**part, "$defs": root.get("$defs", {})}, example) == (), part


def test_what_stands_in_several_schemas_is_the_same_in_all() -> None:
    seen: dict[str, Any] = {}
    for kind in PEOPLE:
        root: Any = schema_named(kind.name)
        for name, part in root.get("$defs", {}).items():
            if name != "gpus":  # the deployment may ask for none of them, the template may not
                assert seen.setdefault(name, part) == part, name


def oracle(name: str) -> Any:
    """What jsonschema itself makes of one of our schemas."""

    def judge(value: object, call: Any) -> bool:
        try:
            call(value)
        except BadQuantityError:
            return False
        return True

    formats = FormatChecker(formats=())
    for format_name, call in FORMATS.items():
        formats.checks(format_name)(
            lambda value, call=call: isinstance(value, bool | list | dict) or judge(value, call)
        )
    strict = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    validator: Any = extend(Draft202012Validator, type_checker=strict)  # type: ignore[no-untyped-call] # its stub has no types
    # `$` of Python also matches before a last newline; that of JSON Schema does not.
    text = json.dumps(schema_named(name)).replace('$", "patternE', '\\\\Z", "patternE')
    return validator(json.loads(text), registry=Registry(), format_checker=formats)


@st.composite
def broken(draw: Any, value: Any) -> Any:
    """The value with one thing in it changed, removed or added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 9)):
            case 0:
                return {name: entry for name, entry in value.items() if name != key}
            case 1:
                return {**value, draw(strategies.texts): draw(strategies.plain)}
            case _:
                return {**value, key: draw(broken(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(broken(value[index])), *value[index + 1 :]]
    return draw(st.one_of(strategies.plain, strategies.names, st.just(value)))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_checker_refuses_exactly_what_jsonschema_refuses(kind: Kind, data: Any) -> None:
    text = kind.dump(data.draw(kind.drawn))
    plain = json.loads(text) if kind in MACHINES else read_yaml(text, path="x").value
    value = data.draw(broken(plain))

    ours = check(schema_named(kind.name), value)
    theirs = list(oracle(kind.name).iter_errors(value))

    assert bool(ours) is bool(theirs), (ours, theirs)
