"""What the tests of the catalogue share: one renderer, and texts that are kept on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.rendering.pool import BoundedRenderer
from reconciler.rendering.port import Renderer
from tests.unit.catalogue.shelf import Keep


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    """Render in the bounded child, as the reconciler does."""
    bounded = BoundedRenderer()
    yield bounded
    bounded.close()


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Keep:
    """Compare a text with the one on record; with --update-golden, put it on record."""
    return _write if request.config.getoption("--update-golden", default=False) else _compare


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _compare(path: Path, text: str) -> None:
    on_record = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text == on_record, f"{path} is not current: run `make golden` and read the diff"
