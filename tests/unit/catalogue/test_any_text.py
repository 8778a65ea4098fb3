"""Whatever text a parameter lets through, the compose file around it keeps its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from reconciler.rendering.port import Rendered, Renderer, Unrendered
from schemas.policy import check
from tests.unit.catalogue.cases import CASES, Case
from tests.unit.catalogue.shelf import NAMES, bundle, compose_of, job

PLAIN: Final = "plain"
# The characters that mean something to YAML, Jinja2, Compose or a shell, and some of any kind.
TEXTS: Final = st.text(
    st.one_of(
        st.sampled_from("{}[]:#&*!|>'\"%@`$\\\n\r\t ,-?~=;{%}\u2028\x85"),
        st.characters(codec="utf-8"),
    ),
    min_size=1,
    max_size=60,
)


def _free(name: str) -> Iterator[str]:
    """Parameters of a template that take any text, alone or as items of a list."""
    parameters: Any = bundle(name).template.parameters
    for key, one in parameters["properties"].items():
        text = one.get("items", one)
        if text.get("type") == "string" and not text.keys() & {"pattern", "enum"}:
            yield key


FREE: Final = [(name, key) for name in NAMES for key in _free(name)]


def test_some_parameters_take_any_text() -> None:
    assert {("http-echo", "text"), ("vllm", "extraArguments"), ("open-webui", "title")} <= {*FREE}


@pytest.mark.parametrize(("name", "key"), FREE)
@settings(max_examples=40, deadline=None)
@given(text=TEXTS)
def test_any_text_is_one_value_or_a_problem(
    name: str, key: str, text: str, renderer: Renderer
) -> None:
    before = _rendered(renderer, name, key, PLAIN)
    assert isinstance(before, Rendered)

    after = _rendered(renderer, name, key, text)

    if isinstance(after, Unrendered):
        assert after.problems
        return
    assert check(after.files["compose.yaml"].decode(), path=name) == ()
    plain, changed = compose_of(before.files), compose_of(after.files)
    assert _same_but(plain, changed, text.replace("$", "$$"))


def _rendered(renderer: Renderer, name: str, key: str, text: str) -> Rendered | Unrendered:
    case = next(case for case in CASES if case.template == name)
    properties: Any = bundle(name).template.parameters["properties"]
    value = [text] if "items" in properties[key] else text
    changed = Case(
        template=name,
        name=case.name,
        parameters={**case.parameters, key: value},
        gpus=case.gpus,
    )
    (outcome,) = renderer.render((job(changed),))
    return outcome


def _same_but(plain: Any, changed: Any, text: str) -> bool:
    """Whether two documents are equal but for `PLAIN` in the one and `text` in the other."""
    if isinstance(plain, dict) and isinstance(changed, dict):
        return plain.keys() == changed.keys() and all(
            _same_but(plain[key], changed[key], text) for key in plain
        )
    if isinstance(plain, list) and isinstance(changed, list):
        return len(plain) == len(changed) and all(
            _same_but(one, other, text) for one, other in zip(plain, changed, strict=True)
        )
    return bool(changed == (text if plain == PLAIN else plain))
