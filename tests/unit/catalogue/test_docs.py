"""The docs say what the code says: generated parts are current, examples in them are valid."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler.rendering.port import Rendered, Renderer, RenderJob
from schemas.deployment import parse_deployment
from schemas.layout import COMPOSE_TEMPLATE
from schemas.names import ReplicaName
from schemas.template import parse_template
from schemas.yaml_text import read_yaml
from tests.unit.catalogue.shelf import NAMES, ROOT, Keep, bundle
from tests.unit.catalogue.tables import catalogue, deployment_fields, with_table

DOCS: Final = ROOT / "docs"
OURS: Final = (
    *(
        DOCS / f"{name}.md"
        for name in (
            "catalogue", "story", "vocabulary", "writing-a-deployment", "writing-a-template"
        )
    ),
    *sorted((ROOT / "examples").glob("*/README.md")),
    DOCS / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "table"),
    [("writing-a-deployment", deployment_fields), ("catalogue", catalogue)],
)
def test_generated_parts_are_current(name: str, table: Callable[[], str], kept: Keep) -> None:
    page = DOCS / f"{name}.md"

    kept(page, with_table(page.read_text(), table()))


def test_the_whole_examples_of_a_deployment_are_valid() -> None:
    for page in ("story", "writing-a-deployment"):
        whole = [text for text in _yaml_blocks(DOCS / f"{page}.md") if "kind: Deployment" in text]

        assert [parse_deployment(text, path=page).name for text in whole] == ["chat"]


def test_the_pieces_of_a_deployment_make_a_valid_one() -> None:
    blocks = _yaml_blocks(DOCS / "writing-a-deployment.md")[1:]
    spec = "".join(block.removeprefix("spec:\n") for block in blocks)
    text = f"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {{name: chat}}\nspec:\n{spec}"

    deployment = parse_deployment(text, path="writing-a-deployment.md")

    assert deployment.replicas == 2
    assert deployment.placement.gang == "evaluation"


def test_the_example_of_a_template_is_valid() -> None:
    (text,) = [
        text for text in _yaml_blocks(DOCS / "writing-a-template.md") if "kind: Template" in text
    ]

    assert parse_template(text, path="writing-a-template.md").name == "whisper"


def _lines_of_advice() -> list[tuple[str, bool]]:
    """Lines of the page on templates that are marked as right or wrong."""
    text = (DOCS / "writing-a-template.md").read_text()
    return [
        (m[1], m[2] == "right")
        for m in re.finditer(r"^(\S.*?) +# (right|wrong):", text, re.MULTILINE)
    ]


@pytest.mark.parametrize(("line", "right"), _lines_of_advice())
def test_what_the_page_on_templates_calls_right_renders_and_nothing_else(
    line: str, *, right: bool, renderer: Renderer
) -> None:
    image = "" if line.startswith("image:") else "    image: a/b:1\n"
    source = f"services:\n  web:\n{image}    {line}\n"
    alone = replace(bundle("http-echo"), files={COMPOSE_TEMPLATE: source.encode()})
    context = {"params": {"image": "redis:8", "model": "m"}}

    (outcome,) = renderer.render(
        (RenderJob(replica=ReplicaName("a-0"), bundle=alone, context=context),)
    )

    assert isinstance(outcome, Rendered) is right


def test_the_page_on_templates_has_advice() -> None:
    assert {right for _, right in _lines_of_advice()} == {True, False}


@pytest.mark.parametrize("page", OURS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()

    broken = [
        link
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert broken == []


@pytest.mark.parametrize("page", OURS, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_in_the_docs_is_yaml(page: Path) -> None:
    for block in _yaml_blocks(page):
        if "{{" not in block:
            assert read_yaml(block, path=str(page)).problems == ()


def test_every_template_is_in_the_catalogue_and_the_changelog() -> None:
    for page in (DOCS / "catalogue.md", ROOT / "CHANGELOG.md"):
        assert [name for name in NAMES if f"`{name}`" not in page.read_text()] == []


def _yaml_blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
