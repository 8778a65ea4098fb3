"""Parameters are filled up with defaults and checked, with bounds on what users' schemas may do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.deployment import Deployment, parse_deployment
from schemas.parameters import fill
from schemas.problem import BadDocumentError, Problem
from schemas.template import Template, parse_template
from schemas.yaml_text import write_yaml
from tests import builders
from tests.unit.schemas import strategies


def a_template(**properties: Any) -> Template:
    """A template with these parameters and no others."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return builders.a_template(parameters=schema)


def a_deployment(**parameters: Any) -> Deployment:
    """A deployment as a person wrote it: parameters begin on line 8, one a line."""
    document = {
        "apiVersion": "miaas/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat"},
        "spec": {"template": "web", "parameters": parameters},
    }
    return parse_deployment(write_yaml(document), path="deployments/chat.yaml")


def refused(template: Template, deployment: Deployment) -> list[str]:
    """The problems as lines."""
    with pytest.raises(BadDocumentError) as caught:
        fill(template, deployment)
    return [str(problem) for problem in caught.value.problems]


def test_what_is_not_given_comes_from_the_defaults() -> None:
    template = a_template(
        model={"type": "string", "default": "tiny"},
        context={"type": "integer", "default": 4096},
        name={"type": "string"},
    )

    assert fill(template, a_deployment(context=1)) == {"model": "tiny", "context": 1}


def test_defaults_reach_into_maps_and_lists_that_are_given() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}
    template = a_template(
        one=inner, many={"type": "array", "items": {"$ref": "#/properties/one"}}, none=inner
    )

    found = fill(template, a_deployment(one={}, many=[{}, {"a": 2}]))

    assert found == {"one": {"a": 1}, "many": [{"a": 1}, {"a": 2}]}


def test_a_required_parameter_with_a_default_need_not_be_given() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"default": 1}}}

    assert fill(builders.a_template(parameters=schema), a_deployment()) == {"a": 1}


def test_a_default_is_never_shared_between_deployments() -> None:
    template = a_template(words={"type": "array", "default": ["a"]})
    first: Any = fill(template, a_deployment())

    first["words"].append("b")

    assert fill(template, a_deployment()) == {"words": ["a"]}


@pytest.mark.parametrize(
    ("rule", "value", "problem"),
    [
        (
            {"type": "string"},
            3.1,
            '8:9: spec.parameters.it is 3.1, and has to be text. Fix: put it in quotes: "3.1"',
        ),
        (
            {"type": "integer", "minimum": 3},
            2,
            "8:9: spec.parameters.it is 2, less than 3. Fix: write at least 3",
        ),
        (
            {"type": "integer"},
            2.0,
            "8:9: spec.parameters.it is 2.0, and has to be a whole number. Fix: write 2",
        ),
        (
            {"enum": ["small", "large"]},
            "larg",
            "8:9: spec.parameters.it is 'larg', which it cannot be. "
            "Fix: did you mean large? It can be small or large",
        ),
        (
            {"type": "string", "pattern": "^[a-z]+$"},
            "A",
            "8:9: spec.parameters.it is 'A', which has the wrong form. "
            "Fix: write text that matches ^[a-z]+$",
        ),
        (
            {"type": "boolean"},
            "yes",
            "8:9: spec.parameters.it is 'yes', and has to be true or false. Fix: write true",
        ),
        (
            {"type": "array", "uniqueItems": True},
            ["a", "a"],
            "8:5: spec.parameters.it has 'a' twice. Fix: keep one of the two",
        ),
        (
            {"multipleOf": 8},
            9,
            "8:9: spec.parameters.it is 9, and breaks the rule multipleOf. "
            "Fix: its template asks for multipleOf: 8",
        ),
        (
            {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["a"]}]},
            "x",
            "8:9: spec.parameters.it is 'x', and fits none of the allowed forms. "
            "Fix: for the nearest of them: write a whole number "
            "(spec.parameters.it is 'x', and has to be a whole number)",
        ),
    ],
)
def test_a_wrong_parameter_is_told_where_it_stands(
    rule: dict[str, object], value: object, problem: str
) -> None:
    (line,) = refused(a_template(it=rule), a_deployment(it=value))

    assert line == f"deployments/chat.yaml:{problem}"


def test_all_problems_are_told_at_once_and_unknown_names_are_guessed() -> None:
    schema = {
        "type": "object",
        "required": ["model", "name"],
        "additionalProperties": False,
        "properties": {"model": {"type": "string", "examples": ["tiny"]}, "name": {}},
    }

    lines = refused(builders.a_template(parameters=schema), a_deployment(modle="x", other=1))

    assert lines == [
        "deployments/chat.yaml:7:3: spec.parameters.model is missing. "
        "Fix: add a line like `model: tiny`",
        "deployments/chat.yaml:7:3: spec.parameters.name is missing. Fix: add the key 'name'",
        "deployments/chat.yaml:8:5: spec.parameters.modle is not known. Fix: did you mean 'model'?",
        "deployments/chat.yaml:9:5: spec.parameters.other is not known. "
        "Fix: remove it; known here: model and name",
    ]


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"type": "array"}, "the schema of the parameters is not of type object"),
        ({"properties": {}}, "the schema of the parameters is not of type object"),
        (
            {"type": "object", "properties": {"a": {"type": "strin"}}},
            "spec.parameters.properties.a.type is 'strin', and fits none of the allowed forms",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}},
            "the reference 'https://example.org/x' leads nowhere in this document",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
            "the reference '#/$defs/none' leads nowhere in this document",
        ),
        (
            {"type": "object", "properties": {"a": {"patern": "x"}}},
            "spec.parameters.properties.a.patern is not known",
        ),
        (
            {"type": "object", "patternProperties": {"^(a+)+$": {}}},
            "spec.parameters.patternProperties is not supported here",
        ),
        (
            {"type": "object", "$id": "https://example.org/"},
            "spec.parameters.$id is not supported here",
        ),
        (
            {"type": "object", "properties": {"a": {"pattern": "("}}},
            "this pattern cannot be used",
        ),
        (
            {"type": "object", "allOf": [{"properties": {"a": {"pattern": r"(a)\1"}}}]},
            "this pattern cannot be used",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "default": 3}}},
            "spec.parameters.properties.a.default is 3, and has to be text",
        ),
    ],
)
def test_a_templates_broken_schema_is_a_problem_of_the_template(
    schema: dict[str, object], what: str
) -> None:
    document = {
        "apiVersion": "miaas/v1",
        "kind": "Template",
        "metadata": {"name": "web"},
        "spec": {"description": "x", "parameters": schema},
    }
    path = "templates/web/template.yaml"
    with pytest.raises(BadDocumentError) as caught:
        parse_template(write_yaml(document), path=path)
    (problem,) = caught.value.problems
    (line,) = refused(builders.a_template(parameters=schema), a_deployment())

    assert problem.what.startswith(what)
    assert problem.place.path == path
    assert problem.place.line >= 7
    assert f"{path}: {what}" in line


def test_a_pattern_that_would_hang_a_search_ends() -> None:
    template = a_template(it={"type": "string", "pattern": "^(a+)+$"})

    assert fill(template, a_deployment(it="a" * 4000)) == {"it": "a" * 4000}
    assert "wrong form" in refused(template, a_deployment(it="a" * 4000 + "!"))[0]
    assert "cannot be checked" in refused(template, a_deployment(it="a" * 5000))[0]


def doubling(levels: int) -> dict[str, object]:
    """A schema of a few lines whose check takes 2^levels steps."""
    found: dict[str, object] = {f"a{levels}": {}}
    for level in range(levels):
        found[f"a{level}"] = {"allOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2}
    return found


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#"},
        {"$ref": "#/$defs/a0", "$defs": doubling(40)},
    ],
)
def test_a_schema_that_never_ends_is_stopped(schema: dict[str, object]) -> None:
    template = builders.a_template(parameters={"type": "object", **schema})

    (line,) = refused(template, a_deployment(it=1))

    assert "took more than 50000 steps" in line


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {name: {"$ref": "#", "default": {}} for name in ("a", "b")}},
        {"properties": {"a": {"$ref": "#", "default": {}}}},
        {"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}},
    ],
)
def test_defaults_that_bring_in_each_other_are_stopped(schema: dict[str, object]) -> None:
    template = builders.a_template(parameters={"type": "object", **schema})

    (line,) = refused(template, a_deployment())

    assert line.startswith("templates/web/template.yaml: checking the parameters took more")


@settings(max_examples=60, deadline=None)
@given(
    schema=st.dictionaries(
        st.sampled_from(
            [
                "type",
                "properties",
                "required",
                "items",
                "allOf",
                "anyOf",
                "$ref",
                "pattern",
                "enum",
                "default",
                "minimum",
                "additionalProperties",
                "$defs",
                "if",
                "then",
                "multipleOf",
                "uniqueItems",
                "not",
                "const",
            ]
        ),
        st.one_of(
            strategies.plain,
            st.sampled_from(["object", "#", "^a$"]),
            st.lists(st.just({"type": "object"}), max_size=2),
            st.dictionaries(st.sampled_from(["it", "a"]), st.just({"default": 1}), max_size=2),
        ),
        max_size=4,
    ),
    value=strategies.plain,
)
def test_no_schema_of_a_user_raises_anything_else(schema: Any, value: Any) -> None:
    template = builders.a_template(parameters={**schema, "type": "object"})
    problems: tuple[Problem, ...] = ()
    try:
        found = fill(template, builders.a_deployment(parameters={"it": value}))
    except BadDocumentError as error:
        problems = error.problems
    else:
        assert found["it"] == value or isinstance(value, dict | list)

    assert all(problem.what and problem.fix for problem in problems)
