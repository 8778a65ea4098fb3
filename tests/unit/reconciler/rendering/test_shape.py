"""A value never changes the shape of a document, whatever it is and wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.rendering.sandbox import RenderError, Sandbox
from reconciler.rendering.values import UnwritableError, as_json
from schemas.yaml_text import read_yaml

# What has broken out of quotes, keys and lines somewhere before.
HOSTILE = [
    "x\n    privileged: true",
    '"',
    "'",
    '"\n- x',
    "\\",
    '\\"',
    "a: b",
    "- a",
    "# a",
    "a #b",
    "{a: b}",
    "[a, b]",
    "&a",
    "*a",
    "!!python/object/apply:os.system [id]",
    "---\na: b",
    "...",
    "%YAML 1.1",
    "| \n a",
    ">",
    "no",
    "null",
    "~",
    "",
    " ",
    "1e3",
    "0755",
    "22:22",
    "2026-01-01",
    "${HOME}",
    "$$",
    "{{ params.x }}",
    "{% raw %}",
    "{#",
    "miaas-value-0-",
    '"miaas-value-0-"',
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "\x7f",
    "\U0001f600",
    "é",
    "a\tb",
    "a\rb",
    "?",
    ": ",
    ",",
    "]",
    "}",
    "<<",
    "@",
    "`",
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join),
)
NUMBERS = st.one_of(
    st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)

EVERYWHERE = """\
top: {{ params.v }}
list:
  - {{ params.v }}
  - - {{ params.v }}
  - name: {{ params.v }}
    after: 1
flow: [{{ params.v }}, x, {{ params.v }}]
map: {a: {{ params.v }}, b: [ {{ params.v }} ]}
below:
  {{ params.v }}
loop:
{% for one in [params.v, params.v] %}
  - {{ one }} # told
{% endfor %}
joined: {{ 'a' ~ params.t ~ 'b' }}
{% if params.t %}
chosen: {{ params.t }}
{% endif %}
whole: {{ {'k': params.v, 'l': [params.t]} }}
end: here
"""


def expected(value: Any, text: str) -> dict[str, Any]:
    made = {
        "top": value,
        "list": [value, [value], {"name": value, "after": 1}],
        "flow": [value, "x", value],
        "map": {"a": value, "b": [value]},
        "below": value,
        "loop": [value, value],
        "joined": f"a{text}b",
    }
    if text:
        made["chosen"] = text
    return {**made, "whole": {"k": value, "l": [text]}, "end": "here"}


def rendered(source: str, params: dict[str, Any], path: str = "x.yaml.j2") -> str:
    return Sandbox("templates/t", {path: source}).render(path, {"params": params})


def fits(value: object) -> bool:
    """Whether there is a way to write the value at all: no half characters."""
    try:
        as_json(value)
    except UnwritableError:
        return False
    return True


@given(VALUES, TEXTS)
@example("x\n    privileged: true", '"')
def test_a_value_is_read_back_as_itself_wherever_it_stands(value: Any, text: str) -> None:
    if not (fits(value) and fits(text)):
        return
    reading = read_yaml(rendered(EVERYWHERE, {"v": value, "t": text}), path="x.yaml")

    assert reading.problems == ()
    assert reading.value == json.loads(as_json(expected(value, text)))


@given(VALUES, TEXTS)
def test_a_value_in_json_is_read_back_as_itself(value: Any, text: str) -> None:
    if not (fits(value) and fits(text)):
        return
    source = '{"a": {{ params.v }}, "b": [{{ params.t }}, {{ params.v }}]}'

    found = json.loads(rendered(source, {"v": value, "t": text}, "x.json.j2"))

    assert found == {"a": value, "b": [text, value]}


# Templates that would let a value out. Each is refused, or holds for every value.
LEAKY = [
    "a: x {{ params.t }}\n",
    'a: "{{ params.t }}"\n',
    "a: '{{ params.t }}'\n",
    "{{ params.t }}: a\n",
    "a: {{ params.t }}{{ params.t }}\n",
    "a: b, {{ params.t }}\n",
    "a: {% if true %}{{ 1 }}{% endif %}{{ params.t }}\n",
    "a: {% if true %}x{% endif %}{{ params.t }}\n",
    "a: x\n  {{ params.t }}\n",
    "a: |\n  x {{ params.t }}\n",
    "a: >\n  {{ params.t }}\n  y\n",
    "a: {{ params.t }}y\n",
    "a: {{ params.t }} y\n",
    "# {{ params.t }}\na: b\n",
    "a: !x {{ params.t }}\n",
    "a: &x {{ params.t }}\n",
    "? {{ params.t }}\n: a\n",
    "{% filter replace('\"', '') %}\na: {{ params.t }}\n{% endfilter %}\n",
    "{% set s %}\n{{ params.t }}\n{% endset %}\na: {{ s }}\n",
    "{% macro m(v) %}\n{{ v }}\n{% endmacro %}\na: {{ m(params.t) }}\n",
    "{% set s %}\n{{ params.t }}\n{% endset %}\n{% if 'x' in s %}\nx: 1\n{% endif %}\na: b\n",
]


@pytest.mark.parametrize("source", LEAKY)
@settings(max_examples=30)
@given(text=TEXTS)
def test_a_template_that_could_leak_is_refused_or_does_not_leak(source: str, text: str) -> None:
    try:
        found = read_yaml(rendered(source, {"t": text}), path="x.yaml").value
    except RenderError:
        return
    assert isinstance(found, dict)
    assert set(found) <= {"a", "x"}
    assert isinstance(found["a"], str)


REFUSED = [
    pytest.param('a: "{{ params.t }}"\n', "x.yaml.j2:1:5", id="in quotes"),
    pytest.param("b: 1\na: x {{ params.t }}\n", "x.yaml.j2:2:6", id="glued"),
    pytest.param("{{ params.t }}: a\n", "x.yaml.j2:1:1: a value is used as a key", id="key"),
    pytest.param("a: {{ params.t }}{{ params.t }}\n", "x.yaml.j2:1:18", id="twice"),
    pytest.param("a: [b]\n{% filter upper %}c: d{% endfilter %}\n", "x.yaml.j2:2:1", id="filter"),
    pytest.param(
        "a: {% if true %}x{% endif %}{{ params.t }}\n", "x.yaml.j2:1:1", id="behind a tag"
    ),
    pytest.param("a: {{ params.u }}\n", "there is no 'u' here, only t", id="no parameter"),
    pytest.param("a: {{ parms.t }}\n", "did you mean 'params'?", id="misspelt name"),
    pytest.param("a: 1\nb: {{ 1 / 0 }}\n", "x.yaml.j2:2:1: division by zero", id="raises"),
    pytest.param("a: {{ 1 }\n", "x.yaml.j2:1:1: this is not Jinja2", id="syntax"),
    pytest.param("a: 1\nb: {{ 1", "x.yaml.j2:2:1: this is not Jinja2: unex", id="open at the end"),
    pytest.param("a: 1\n{% if true %}\nb: 1\n\n", "x.yaml.j2:3:1: this is", id="open block"),
    pytest.param("a: 1\nweb: [", "x.yaml.j2:2:1: the rendered file", id="open bracket"),
    pytest.param("a: 1\nweb: [\n\n\n", "x.yaml.j2:2:1: the rendered file", id="and blank lines"),
    pytest.param("a: 1\nb: 'x\n", "x.yaml.j2:2:1: the rendered file", id="open quote"),
    pytest.param("a: 1\na: 2\n", "x.yaml.j2:2:1: the rendered file cannot be used", id="key twice"),
    pytest.param("{% include '../../etc/passwd' %}", "which is not there", id="outside"),
    pytest.param("a: {{ ''.__class__.__mro__ }}", "unsafe", id="escape"),
    pytest.param("a: {{ params | random }}", "random", id="random"),
    pytest.param("a: {{ lipsum() }}", "lipsum", id="lipsum"),
    pytest.param("a: {{ params.update({'t': 1}) }}", "unsafe", id="changes its input"),
    pytest.param("a: {{ none }}\nb: {{ cycler }}", "cannot be written", id="no value"),
    pytest.param("{% if false %}a: 1{% endif %}", "the rendered file is empty", id="nothing"),
]


@pytest.mark.parametrize(("source", "told"), REFUSED)
def test_a_refusal_names_the_template_the_line_and_the_fix(source: str, told: str) -> None:
    with pytest.raises(RenderError, match=r"templates/t/x\.yaml\.j2") as caught:
        rendered(source, {"t": "x"})

    assert told in str(caught.value)
    assert "Fix: " in str(caught.value)
    assert ".. Fix: " not in str(caught.value)


def test_an_error_in_an_included_file_names_that_file() -> None:
    sources = {
        "x.yaml.j2": "a: 1\n{% include '_part.j2' %}",
        "_part.j2": "b: 1\nc: {{ params.u }}\n",
    }
    sandbox = Sandbox("templates/t", sources)

    with pytest.raises(RenderError, match=r"templates/t/_part\.j2:2:1: there is no 'u' here"):
        sandbox.render("x.yaml.j2", {"params": {}})


@pytest.mark.parametrize(
    ("text", "written"),
    [("$HOME", "$$HOME"), ("${A:-b}", "$${A:-b}"), ("a$", "a$$"), ("$$", "$$$$")],
)
def test_a_dollar_reaches_the_container_as_a_dollar(text: str, written: str) -> None:
    source = "services: {web: {environment: {{ params }}}}\n"

    found = rendered(source, {"A": text}, "compose.yaml.j2")

    value = read_yaml(found, path="compose.yaml").value
    assert value == {"services": {"web": {"environment": {"A": written}}}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (1e16, "1.0e+16"),
        (1e-7, "1.0e-07"),
        (-1.25e300, "-1.25e+300"),
        (True, "true"),
        (None, "null"),
        ("\x85\u2028\ufeff", '"\\u0085\\u2028\\ufeff"'),
        ("é😀", '"é😀"'),
        ((1, "a"), '[1, "a"]'),
        ({}, "{}"),
    ],
)
def test_json_is_written_so_that_every_yaml_reader_agrees(value: object, text: str) -> None:
    assert as_json(value) == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), {1: 2}, "\ud800", {"a": {2}}]
)
def test_what_no_file_can_hold_is_refused(value: object) -> None:
    with pytest.raises(UnwritableError):
        as_json(value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("say {{ params.t }}\n", "say x\n"),
        ("{{ params.t }}{{ 5 }}{{ true }}\n", "x5true\n"),
        ("{% if true %}\nyes\n{% endif %}\n", "yes\n"),
    ],
)
def test_a_file_without_a_known_shape_is_rendered_as_text(source: str, text: str) -> None:
    assert rendered(source, {"t": "x"}, "run.sh.j2") == text


@pytest.mark.parametrize("source", ["{{ [1] }}", "{{ none }}", "{{ {} }}", "{{ params.u }}"])
def test_a_list_a_map_or_nothing_has_no_text(source: str) -> None:
    with pytest.raises(RenderError):
        rendered(source, {"t": "x"}, "run.sh.j2")
