"""What is written reads back the same, for every kind of document."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from schemas.check import schema_named
from schemas.yaml_text import read_yaml, write_yaml
from tests.unit.schemas import strategies
from tests.unit.schemas.kinds import ALL, MACHINES, Kind

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@settings(max_examples=30, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(data=st.data())
def test_every_document_reads_back_as_it_was_written(kind: Kind, data: Any) -> None:
    document = data.draw(kind.drawn)

    text = kind.dump(document)
    again = kind.parse(text, path=kind.path)

    assert again == document
    assert kind.dump(again) == text


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@settings(max_examples=15, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(data=st.data())
def test_every_written_document_satisfies_the_published_schema(kind: Kind, data: Any) -> None:
    text = kind.dump(data.draw(kind.drawn))

    plain = json.loads(text) if kind in MACHINES else read_yaml(text, path="x").value

    Draft202012Validator(schema_named(kind.name), registry=Registry()).validate(plain)


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(value=st.dictionaries(strategies.texts, strategies.plain, max_size=5))
def test_plain_values_survive_yaml(value: dict[str, object]) -> None:
    assert read_yaml(write_yaml(value), path="x").value == value


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(text=strategies.texts)
def test_written_text_is_text_for_readers_of_yaml_1_1_too(text: str) -> None:
    assert yaml.safe_load(write_yaml({"key": text})) == {"key": text}


def test_machines_write_sorted_keys_one_value_a_line_and_a_last_newline() -> None:
    text = MACHINES[2].dump(MACHINES[2].dataclass())

    assert text == '{\n  "apiVersion": "miaas/v1",\n  "kind": "Decision"\n}\n'
