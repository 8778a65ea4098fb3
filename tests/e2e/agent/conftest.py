"""One engine for all modules here, and hosts on it that do not see each other."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.tour.engines import Engine, engines_allowed, start_engine, stop_engine
from examples.tour.images import busybox, import_image
from schemas.names import NodeName
from tests.e2e.agent.daemon import restarted
from tests.e2e.agent.host import IMAGE, NEXT_IMAGE, Host

NUMBERS = itertools.count(1)
# What NVIDIA's container toolkit would put here. Without it an engine refuses to reserve GPUs; this
# one lets them pass, and the engine tells each container by itself which UUIDs it was given.
GPU_HOOK = "nvidia-container-runtime-hook"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that takes itself for one with GPUs."""
    with engine_below(tmp_path_factory.mktemp("engines")) as started:
        hooks = started.folder / "hooks"
        hooks.mkdir()
        (hooks / GPU_HOOK).write_text("#!/bin/sh\nexec cat >/dev/null\n")
        (hooks / GPU_HOOK).chmod(0o755)
        yield restarted(started, program_path=str(hooks))


@contextlib.contextmanager
def engine_below(base: Path) -> Iterator[Engine]:
    """Have an engine with the images of these tests; skip where none can be started."""
    reason = engines_allowed() or ("" if busybox() else "busybox-static is not installed")
    if reason:
        pytest.skip(reason)
    started = start_engine("agent", base, index=41)
    try:
        for image in (IMAGE, NEXT_IMAGE):
            import_image(started, image, files={"etc/image": image})
        yield started
    finally:
        stop_engine("agent", base)


@pytest.fixture
def a_host(engine: Engine, tmp_path: Path) -> Iterator[Callable[[], Host]]:
    """Make a node of its own on the engine that all tests share."""
    with contextlib.ExitStack() as hosts:
        yield lambda: hosts.enter_context(new_host(engine, tmp_path))


@contextlib.contextmanager
def new_host(engine: Engine, folder: Path) -> Iterator[Host]:
    """Have a node for the length of a block; what it runs goes with it."""
    number = next(NUMBERS)
    host = Host(engine, folder / f"node-{number}", NodeName(f"node-{number}"))
    yield host
    host.clear()
