"""A real fleet for a test module: real engines, a real bare repository, real programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.tour.engines import engines_allowed
from examples.tour.repository import FleetRepository
from examples.tour.services import stop_all
from examples.tour.stage import Stage, free_port
from examples.tour.world import build, demolish


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A fleet of two engines whose programs are running; everything of it is gone afterwards."""
    why_not = engines_allowed()
    if why_not:
        pytest.skip(why_not)
    base = tmp_path_factory.mktemp("fleet")
    try:
        yield _running(base)
    finally:
        stop_all(base / "run")
        demolish(base / "engines")


def _running(base: Path) -> Stage:
    repository = FleetRepository(base / "fleet.git", base / "fleet")
    stage = Stage(base, build(base / "engines"), repository, free_port())
    stage.fill()
    stage.start_reconciler()
    for host in stage.world.hosts:
        stage.start_agent(host)
    stage.start_page()
    return stage
