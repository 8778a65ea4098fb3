from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from reconciler.web.openapi import openapi
from reconciler.web.plain import plain
from tests.unit.reconciler.web.fleets import a_busy_fleet, a_quiet_fleet, an_observed, facts_of
from tests.unit.reconciler.web.pages import a_page

LISTS = ("/api/v1/nodes", "/api/v1/deployments")
API = openapi("0.1.0")


def check(path: str, code: int, body: object) -> None:
    """Hold an answer against what /openapi.json says of it."""
    schema = API["paths"][path]["get"]["responses"][str(code)]["content"]["application/json"]
    whole = {**schema["schema"], "components": API["components"]}
    jsonschema.Draft202012Validator(whole).validate(body)


@pytest.mark.parametrize("facts", [a_busy_fleet, a_quiet_fleet, lambda: facts_of(an_observed())])
def test_lists_are_what_the_description_says(facts: Callable[[], Any]) -> None:
    page = a_page(facts())

    for path in LISTS:
        answer = page.get(path)
        assert answer.mimetype == "application/json"
        check(path, 200, answer.json)


def test_every_single_node_and_deployment_is_what_the_description_says() -> None:
    page = a_page(a_busy_fleet())

    for path, plural, singular in (
        (LISTS[0], "nodes", "node"),
        (LISTS[1], "deployments", "deployment"),
    ):
        listed = page.get(path).json[plural]
        assert len(listed) >= 5
        for item in listed:
            body = page.get(f"{path}/{item['name']}").json
            check(f"{path}/{{name}}", 200, body)
            assert body[singular] == item


def test_every_path_of_the_description_answers() -> None:
    page = a_page(a_busy_fleet())

    for path in API["paths"]:
        name = "alpha" if "nodes" in path else "chat"
        assert page.get(path.replace("{name}", name)).status_code == 200


@pytest.mark.parametrize("path", [f"{path}/nobody" for path in LISTS])
def test_what_is_not_there_is_404_in_json(path: str) -> None:
    answer = a_page(a_quiet_fleet()).get(path)

    assert answer.status_code == 404
    assert "nobody" in answer.json["error"]
    check(path.replace("nobody", "{name}"), 404, answer.json)


def test_an_unknown_path_of_the_api_is_404_in_json() -> None:
    answer = a_page(a_quiet_fleet()).get("/api/v2/nodes")

    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.json["fix"] == "See /docs for what there is."


@pytest.mark.parametrize("path", LISTS)
def test_before_the_first_look_the_api_says_503(path: str) -> None:
    answer = a_page(None).get(path)

    assert answer.status_code == 503
    check(path, 503, answer.json)


@pytest.mark.parametrize(
    ("facts", "age", "code", "status"),
    [
        pytest.param(a_quiet_fleet(), 0, 200, "ok", id="fresh"),
        pytest.param(a_quiet_fleet(), 15, 200, "ok", id="three looks old, just"),
        pytest.param(a_quiet_fleet(), 16, 503, "stale", id="older"),
        pytest.param(None, 0, 503, "starting", id="never"),
    ],
)
def test_health_says_whether_the_page_can_be_trusted(
    facts: Any, age: int, code: int, status: str
) -> None:
    answer = a_page(facts, age=timedelta(seconds=age), error="x" if age else "").get("/health")

    assert (answer.status_code, answer.json["status"]) == (code, status)
    check("/health", code, answer.json)


def test_the_description_is_served_and_is_the_one_in_the_golden_file(
    golden: Callable[[str, Mapping[str, bytes]], None],
) -> None:
    served = a_page(a_quiet_fleet()).get("/openapi.json").json

    assert served == API
    golden("api", {"openapi.json": (json.dumps(served, indent=2) + "\n").encode()})


def test_an_answer_for_machines_is_asked_for_by_its_kind() -> None:
    page = a_page(a_quiet_fleet())

    answer = page.get("/nodes/none", headers={"Accept": "application/json"})

    assert answer.mimetype == "application/json"


def test_a_value_without_json_is_our_fault_and_said_so() -> None:
    with pytest.raises(TypeError, match="no JSON for a object"):
        plain(object())
