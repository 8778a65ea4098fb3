"""`init` and `validate`: the commands that need no repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.unit.reconciler.cli.screens import Shell

DEPLOYMENT = "deployments/hello.yaml"


def put(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


def test_a_new_fleet_is_valid_at_once(miaas: Shell) -> None:
    made = miaas("init", "edge")

    assert made.code == 0
    assert "git remote add origin URL" in made.out
    assert miaas("validate", "edge").out == "3 documents, no problems\n"


def test_editors_find_the_schema_of_every_document_and_agree(miaas: Shell) -> None:
    miaas("init", "edge")
    documents = [p for p in (miaas.folder / "edge").rglob("*.yaml") if ".github" not in p.parts]

    assert len(documents) == 3
    for path in documents:
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
        assert named, path
        schema = json.loads((path.parent / named[1]).read_text())
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_the_fleet_is_named_after_its_folder(miaas: Shell) -> None:
    miaas("init", "My Fleet!")
    miaas("init", "other", "--name", "edge")

    assert "name: my-fleet\n" in (miaas.folder / "My Fleet!" / "fleet.yaml").read_text()
    assert "name: edge\n" in (miaas.folder / "other" / "fleet.yaml").read_text()


def test_init_here_needs_no_name(miaas: Shell) -> None:
    assert "cd " not in miaas("init").out
    assert (miaas.folder / "fleet.yaml").is_file()


def test_init_overwrites_nothing(miaas: Shell) -> None:
    put(miaas.folder, "edge/README.md", "mine\n")

    made = miaas("init", "edge")

    assert made.code == 2
    assert "README.md exists already" in made.err
    assert [p.name for p in (miaas.folder / "edge").iterdir()] == ["README.md"]


def test_a_bad_name_for_a_fleet_is_refused(miaas: Shell) -> None:
    assert miaas("init", "edge", "--name", "Edge!").code == 2


def test_every_problem_is_named_with_its_place_and_fix(miaas: Shell) -> None:
    miaas("init", "edge")
    put(miaas.folder, f"edge/{DEPLOYMENT}", HELLO.replace("template:", "tmplate:"))
    put(miaas.folder, "edge/nodes/bad.yaml", "kind: Node\n")

    checked = miaas("validate", "edge")

    assert checked.code == 1
    lines = checked.out.splitlines()
    assert any(re.match(r"deployments/hello\.yaml:\d+:\d+: .*\. Fix: ", line) for line in lines)
    assert any(line.startswith("nodes/bad.yaml") for line in lines)
    assert re.match(r"4 documents, \d+ problems$", lines[-1])


HELLO = """apiVersion: miaas/v1
kind: Deployment
metadata:
  name: hello
spec:
  template: http-echo
"""
OWN_TEMPLATE = """apiVersion: miaas/v1
kind: Template
metadata:
  name: own
spec:
  description: One of ours.
  parameters:
    type: object
    properties: {}
"""


def test_a_template_that_fails_to_render_is_a_problem_of_its_deployment(miaas: Shell) -> None:
    miaas("init", "edge")
    put(miaas.folder, "edge/templates/own/template.yaml", OWN_TEMPLATE)
    put(miaas.folder, "edge/templates/own/compose.yaml.j2", "services: {{ nothing.there }}\n")
    put(miaas.folder, f"edge/{DEPLOYMENT}", HELLO.replace("http-echo", "own"))

    checked = miaas("validate", "edge")

    assert checked.code == 1
    assert "templates/own/compose.yaml.j2:1" in checked.out


def test_a_template_that_nobody_uses_is_rehearsed_too(miaas: Shell) -> None:
    miaas("init", "edge")
    put(miaas.folder, "edge/templates/own/template.yaml", OWN_TEMPLATE)
    compose = "services:\n  web:\n    image: example.org/web:1.0\n    privileged: true\n"
    put(miaas.folder, "edge/templates/own/compose.yaml.j2", compose)

    checked = miaas("validate", "edge")

    assert checked.code == 1
    assert "privileged" in checked.out


def test_problems_as_json(miaas: Shell) -> None:
    miaas("init", "edge")
    put(miaas.folder, f"edge/{DEPLOYMENT}", HELLO.replace("http-echo", "http-eco"))

    checked = miaas("validate", "edge", "--output", "json")

    value = json.loads(checked.out)
    assert (checked.code, value["documents"]) == (1, 3)
    assert [p["path"] for p in value["problems"]] == [DEPLOYMENT]
    assert value["problems"][0]["line"] == 6
    assert set(value["problems"][0]) == {"path", "line", "column", "what", "fix"}


def test_validate_finds_the_tree_around(miaas: Shell) -> None:
    miaas("init", "edge")
    miaas.go(miaas.folder / "edge" / "deployments")

    assert miaas("validate").code == 0


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_where_there_is_no_fleet_it_says_so(miaas: Shell, path: str) -> None:
    checked = miaas("validate", path)

    assert checked.code == 2
    assert "no fleet" in checked.err or "no folder" in checked.err
