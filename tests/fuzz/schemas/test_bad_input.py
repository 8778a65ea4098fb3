"""Whatever stands in a file, reading it ends in a value or in problems with a place and a fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas import policy
from schemas.problem import BadDocumentError, Problem
from schemas.yaml_text import read_yaml, write_yaml
from tests.unit.schemas import strategies
from tests.unit.schemas.kinds import ALL, PEOPLE, Kind

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "problems").glob("*.yaml"))
EXAMPLES = max(150, settings().max_examples)
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

# What YAML gives a meaning to, in the order in which a monkey would type it.
yaml_text = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", "b", "kind", "spec", ": ", ":", "- ", "\n", "\n  ", "\n    ", " ", "{", "}", "["]
        ),
        st.sampled_from(
            ["]", ",", "? ", "| ", ">-\n", "'", '"', "#", "&a ", "*a", "!t ", "!!int ", "%", "@"]
        ),
        st.sampled_from(["---", "...", "<<: ", "\t", "~", "0755", "1e999", "\\", "\x00", "\ufeff"]),
        st.text(max_size=3),
    ),
    max_size=40,
).map("".join)


def told(call: Any) -> tuple[Problem, ...]:
    """The problems of what is read; nothing else may come out of it."""
    try:
        call()
    except BadDocumentError as error:
        return error.problems or pytest.fail("an error that tells nothing")
    return ()


def assert_told_well(problems: tuple[Problem, ...], path: str) -> None:
    for problem in problems:
        assert problem.place.path == path
        assert problem.what
        assert problem.fix
        assert "\n" not in str(problem)
        assert len(str(problem)) < 1000


@MANY
@given(text=yaml_text)
@example(text="? ")
@example(text="- ? {a: b}\n  : c")
@example(text="%YAML 1.1\n---\na: 1\n")
@example(text="&a")
@example(text="*a : b")
def test_no_text_breaks_the_reader(text: str) -> None:
    assert_told_well(told(lambda: read_yaml(text, path="x")), "x")
    assert_told_well(policy.check(text, path="x"), "x")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@settings(MANY, max_examples=60)
@given(text=st.one_of(yaml_text, st.text(), strategies.texts))
def test_no_text_breaks_a_parser(kind: Kind, text: str) -> None:
    assert_told_well(told(lambda: kind.parse(text, path="x")), "x")


@st.composite
def mutations(draw: Any, text: str) -> str:
    """A document with some of its characters cut, doubled or changed."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 20)))
        middle = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), yaml_text))
        text = text[:start] + middle + text[end:]
    return text


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@settings(MANY, max_examples=60)
@given(data=st.data())
def test_a_damaged_document_is_read_or_told(kind: Kind, data: Any) -> None:
    text = data.draw(mutations(kind.dump(data.draw(kind.drawn))))

    assert_told_well(told(lambda: kind.parse(text, path="x")), "x")


@MANY
@given(data=st.data(), document=st.sampled_from(GOLDEN))
def test_a_damaged_broken_document_is_told(data: Any, document: Path) -> None:
    text = data.draw(mutations(document.read_text("utf-8")))

    for kind in PEOPLE:
        assert_told_well(told(lambda kind=kind: kind.parse(text, path="x")), "x")
    assert_told_well(policy.check(text, path="x"), "x")


@MANY
@given(value=strategies.plain, key=strategies.texts)
def test_no_shape_breaks_the_policy(value: Any, key: str) -> None:
    for document in (
        value,
        {"services": value},
        {"services": {"web": value}, "volumes": value, "configs": {"c": value}},
        {"services": {"web": {"image": "a", "volumes": [value], "environment": value}}},
        {"services": {"web": {"image": "a", "labels": value, "env_file": [value], key: value}}},
        {"secrets": {key: {"file": value}}, "networks": {key: {"labels": value}}},
    ):
        assert_told_well(policy.check(write_yaml(document), path="x"), "x")


@MANY
@given(
    services=st.dictionaries(
        st.sampled_from(["web", "db"]),
        st.dictionaries(
            st.sampled_from(["image", "ports", "volumes", "command", "labels", "deploy"]),
            strategies.plain,
            max_size=4,
        ),
        max_size=2,
    ),
    harm=st.sampled_from(["privileged", "devices", "cap_add", "pid", "ipc", "userns_mode"]),
)
def test_nothing_beside_it_hides_a_harmful_key(services: dict[str, Any], harm: str) -> None:
    services["bad"] = {"image": "a", harm: "host"}

    whats = [problem.what for problem in policy.check(write_yaml({"services": services}), path="x")]

    assert any(what.startswith(f"services.bad.{harm} is refused") for what in whats)
