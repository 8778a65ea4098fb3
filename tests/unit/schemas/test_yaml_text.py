"""YAML is read with bounds, with positions, and without the surprises of YAML 1.1."""

from __future__ import annotations

import pytest

from schemas.problem import BadDocumentError, Place, Problem
from schemas.yaml_text import BYTES_MAX, DEPTH_MAX, NODES_MAX, PROBLEMS_MAX, Reading, read_yaml


def read(text: str) -> Reading:
    return read_yaml(text, path="x.yaml")


def refused(text: str) -> tuple[Problem, ...]:
    """The problems of a text that cannot be read at all."""
    with pytest.raises(BadDocumentError) as caught:
        read(text)
    return caught.value.problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("22:22", "22:22"),
        ("190:20:30", "190:20:30"),
        ("0755", "0755"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("+1", "+1"),
        ("0", 0),
        ("-0", 0),
        ("-17", -17),
        ("3.10", 3.1),
        ("1e3", 1000.0),
        (".5", ".5"),
        ("1.", "1."),
        (".inf", ".inf"),
        (".NaN", ".NaN"),
        ("2026-08-21", "2026-08-21"),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
        ("9223372036854775807", 9223372036854775807),
        ("١٢", "١٢"),
    ],
)
def test_scalars_follow_yaml_1_2(written: str, value: object) -> None:
    found = read(f"key: {written}\n")

    assert found.problems == ()
    assert found.value == {"key": value}
    assert type(found.value["key"]) is type(value)


def test_keys_are_always_text() -> None:
    assert read("no: a\n12: b\n3.10: c\ntrue: d\n~: e\n").value == {
        "no": "a",
        "12": "b",
        "3.10": "c",
        "true": "d",
        "~": "e",
    }


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' stands here a second time, first on line 1"),
        ("a: &x 1\n", 1, 4, "the anchor &x is not allowed"),
        ("a: *x\n", 1, 4, "the alias *x is not allowed"),
        ("a:\n  <<: {b: 1}\n", 2, 3, "the merge key << is not allowed"),
        (
            "a: !!python/object:os.a x\n",
            1,
            4,
            "the tag !!python/object:os.a is not allowed",
        ),
        ("a: ! 12\n", 1, 4, "the tag ! is not allowed"),
        ("a: !reset\n", 1, 4, "the tag !reset is not allowed"),
        ("? [a]\n: 1\n", 1, 3, "a key has to be plain text"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"),
        ("a: 1e999\n", 1, 4, "the number 1e999 is too large"),
        ("a: 9223372036854775808\n", 1, 4, "the number 9223372036854775808 is too large"),
        (f"a: {'9' * 5000}\n", 1, 4, f"the number {'9' * 40} is too large"),
    ],
)
def test_what_could_be_misread_is_refused_where_it_stands(
    text: str, line: int, column: int, what: str
) -> None:
    problems = read(text).problems

    assert [(problem.place, problem.what) for problem in problems] == [
        (Place("x.yaml", line, column), what)
    ]


def test_a_refused_value_hides_nothing_else() -> None:
    found = read("a: *x\nb: 1\nb: [1, {c: d}]\nc: !t 1\n")

    assert len(found.problems) == 3
    assert isinstance(found.value, dict)
    assert found.value["b"] == 1


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 0, "the file is empty"),
        ("# only a remark\n", 0, "the file is empty"),
        ("a: [1\n", 2, "this is not YAML"),
        ("a: b: c\n", 1, "this is not YAML"),
        ("\ta: 1\n", 1, "this is not YAML"),
        ("a: 'x\n", 2, "this is not YAML"),
        ("a: \x00\n", 1, "there is a control character here"),
        ("a: 1\nb: \x07\n", 2, "there is a control character here"),
        ("a: \ud800\n", 0, "the text is not Unicode"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, line: int, what: str) -> None:
    (problem,) = refused(text)

    assert problem.place.line == line
    assert problem.what.startswith(what)


def test_the_size_is_bounded_before_anything_is_parsed() -> None:
    assert read(f"a: {'x' * (BYTES_MAX - 4)}\n").problems == ()
    assert refused(f"a: {'x' * (BYTES_MAX - 3)}\n")[0].what == (
        f"the file has {BYTES_MAX + 1} bytes, more than {BYTES_MAX}"
    )
    assert "bytes, more than" in refused("a: " + "é" * (BYTES_MAX // 2) + "\n")[0].what


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded_before_anything_is_built(opening: str) -> None:
    (problem,) = refused(opening * 60_000)

    assert problem.what == f"the document is nested deeper than {DEPTH_MAX} levels"


@pytest.mark.parametrize("text", ["? " * 60_000, "? " + "[" * 100_000, "a: 1\na: " + "[" * 100_000])
def test_what_is_passed_over_is_bounded_too(text: str) -> None:
    assert refused(text)[-1].what == (f"the document is nested deeper than {DEPTH_MAX} levels")


def test_the_deepest_document_is_read() -> None:
    deepest = "[" * DEPTH_MAX + "]" * DEPTH_MAX

    assert read(deepest).problems == ()
    assert refused(f"[{deepest}]")[0].what == (
        f"the document is nested deeper than {DEPTH_MAX} levels"
    )


def test_the_number_of_values_is_bounded() -> None:
    assert read(f"[{'1,' * (NODES_MAX - 1)}]").problems == ()
    assert refused(f"[{'1,' * NODES_MAX}]")[0].what == (
        f"the document has more than {NODES_MAX} values"
    )


def test_the_number_of_problems_is_bounded() -> None:
    assert len(read("a: 1\n" * 200).problems) == PROBLEMS_MAX


def test_a_bomb_of_aliases_costs_nothing() -> None:
    levels = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))

    assert len(read(f"a0: &a0 x\n{levels}").problems) == PROBLEMS_MAX


def test_marks_tell_where_each_value_stands() -> None:
    marks = read("# remark\nspec:\n  list:\n    - a\n    - {b: c}\n  text: é x\n").marks

    assert str(marks.at("spec", "list", 1, "b")) == "x.yaml:5:11"
    assert str(marks.at("spec", "list", 0)) == "x.yaml:4:7"
    assert str(marks.at("spec", "text")) == "x.yaml:6:9"
    assert str(marks.at_key("spec", "text")) == "x.yaml:6:3"
    # A map or list in block style stands where its key is.
    assert str(marks.at("spec", "list")) == "x.yaml:3:3"
    # What is not written stands where its nearest parent does.
    assert str(marks.at("spec", "none", "deep")) == "x.yaml:2:1"
    assert str(marks.at("none")) == "x.yaml:2:1"
