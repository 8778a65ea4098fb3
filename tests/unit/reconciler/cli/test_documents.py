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


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (
            "nodes/rack/n1.yaml",
            "kind: Node\n",
            "nodes are not read from folders below nodes, so this file says nothing. "
            "Fix: move it to nodes/n1.yaml",
        ),
        (
            "deployments/a.json",
            "{}",
            "only .yaml files are read in deployments, so this file says nothing. "
            "Fix: write it as deployments/a.yaml, or take it out of deployments",
        ),
        (
            "deployments/web/A.YAML",
            "",
            "only .yaml files are read in deployments, so this file says nothing. "
            "Fix: write it as deployments/A.yaml, or take it out of deployments",
        ),
        (
            "nodes/n1.json",
            "{}",
            "only .yaml files are read in nodes, so this file says nothing. "
            "Fix: write it as nodes/n1.yaml, or take it out of nodes",
        ),
        (
            "templates/web.yaml",
            "",
            "a template is a folder, so this file is not read. "
            "Fix: move it to templates/web/template.yaml",
        ),
        (
            "deployment/web/a.yaml",
            "apiVersion: miaas/v1\nkind: Deployment\n",
            "nothing is read from the folder 'deployment'. "
            "Fix: did you mean deployments/web/a.yaml?",
        ),
        (
            "Nodes/a.json",
            '{"kind": "Node",\n"apiVersion": "miaas/v1"}',
            "nothing is read from the folder 'Nodes'. Fix: did you mean nodes/a.json?",
        ),
        (
            "chat.yaml",
            "# ours\napiVersion: miaas/v1\nkind: Deployment\n",
            "a Deployment is not read from here. Fix: move it to deployments/chat.yaml",
        ),
    ],
)
def test_a_document_that_counts_for_nothing_is_a_warning(
    miaas: Shell, path: str, text: str, words: str
) -> None:
    miaas("init", "edge")
    put(miaas.folder, f"edge/{path}", text)

    checked = miaas("validate", "edge")

    assert checked.code == 0
    assert checked.out == f"{path}: warning: {words}\n3 documents, no problems, 1 warning\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nodes/README.md", "what we have\n"),
        ("templates/own/values.json", "{}"),
        ("deploy/site.yaml", "hosts: all\n"),
        ("mkdocs.yml", "site_name: ours\n"),
        ("new.yaml", "apiVersion: miaas/v1\nkind: Machine\n"),
        ("archive/chat.yaml", "apiVersion: miaas/v1\nkind: Deployment\n"),
    ],
)
def test_what_was_never_meant_as_a_document_of_ours_is_no_warning(
    miaas: Shell, path: str, text: str
) -> None:
    miaas("init", "edge")
    put(miaas.folder, f"edge/{path}", text)

    assert "warning" not in miaas("validate", "edge").out


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("  update: {soak: 10m}\n", "7:18: warning: soak has no effect without canary"),
        (
            "  replicas: 2\n  update: {canary: 2, soak: 10m}\n",
            "8:29: warning: soak has no effect: with canary 2 and replicas 2 all are canaries",
        ),
        ("  replicas: 2\n  update: {canary: 1, soak: 10m}\n", ""),
        ("  replicas: 2\n  update: {canary: 3}\n", ""),
        ("  replicas: 0\n  update: {soak: 10m}\n", ""),
    ],
)
def test_a_soak_for_which_nobody_waits_is_a_warning(miaas: Shell, spec: str, words: str) -> None:
    miaas("init", "edge")
    put(miaas.folder, f"edge/{DEPLOYMENT}", HELLO + spec)

    checked = miaas("validate", "edge")

    assert checked.code == 0
    assert words in checked.out
    assert ("1 warning" in checked.out) == bool(words)


def test_warnings_as_json(miaas: Shell) -> None:
    miaas("init", "edge")
    put(miaas.folder, "edge/nodes/rack/n1.yaml", "kind: Node\n")

    checked = miaas("validate", "edge", "--output", "json")

    value = json.loads(checked.out)
    assert (checked.code, value["problems"]) == (0, [])
    assert [one["path"] for one in value["warnings"]] == ["nodes/rack/n1.yaml"]


def test_a_link_beside_the_documents_is_not_followed(miaas: Shell, tmp_path: Path) -> None:
    miaas("init", "edge")
    put(tmp_path, "elsewhere/n1.yaml", "kind: Node\n")
    (miaas.folder / "edge/node").symlink_to(tmp_path / "elsewhere")

    assert miaas("validate", "edge").out == "3 documents, no problems\n"


def test_validate_finds_the_tree_around(miaas: Shell) -> None:
    miaas("init", "edge")
    miaas.go(miaas.folder / "edge" / "deployments")

    assert miaas("validate").code == 0


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_where_there_is_no_fleet_it_says_so(miaas: Shell, path: str) -> None:
    checked = miaas("validate", path)

    assert checked.code == 2
    assert "no fleet" in checked.err or "no folder" in checked.err
