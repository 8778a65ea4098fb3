from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from examples.tour.engines import Engine, engines_allowed, start_engine, stop_engine
from examples.tour.images import busybox, import_image
from tests.contract.runtime.world import (
    IMAGE,
    DockerWorld,
    SimulatedWorld,
    World,
    compose_runtime,
)

PATIENCE_SECONDS = 30  # for what a real engine does by itself


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    reason = engines_allowed() or ("" if busybox() else "busybox-static is not installed")
    if reason:
        pytest.skip(reason)
    base = tmp_path_factory.mktemp("engines")
    engine = start_engine("runtime", base, index=21)
    try:
        import_image(engine, IMAGE)
        yield engine
    finally:
        stop_engine("runtime", base)


@pytest.fixture
def docker_world(docker_engine: Engine) -> Iterator[DockerWorld]:
    world = DockerWorld(docker_engine, compose_runtime(docker_engine))
    yield world
    world.clear()


@pytest.fixture(params=["simulated", pytest.param("docker", marks=pytest.mark.e2e)])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "simulated":
        return SimulatedWorld()
    return cast("World", request.getfixturevalue("docker_world"))


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; fail when it does not within PATIENCE_SECONDS."""

    def wait(condition: Callable[[], bool]) -> None:
        end, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while not condition():
            assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} s"
            pause.wait(0.05)

    return wait
