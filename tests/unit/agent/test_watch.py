"""Which changes of files in a repository may mean that our own ref moved."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchfiles import Change

from agent.watch import RefWatch

REF = "refs/miaas/assigned/alpha"
BOUND_SECONDS = 10.0


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        pytest.param("refs/miaas/assigned/alpha", True, id="ours"),
        pytest.param("refs/miaas/assigned", True, id="its folder is new"),
        pytest.param("refs/miaas/assigned/alpha.lock", False, id="not yet there"),
        pytest.param("refs/miaas/assigned/alpha-2", False, id="another one's"),
        pytest.param("refs/miaas/nodes/alpha", False, id="our own heartbeat"),
        pytest.param("refs/heads/assignments", False, id="the whole fleet's"),
    ],
)
def test_counts_only_what_may_be_ours(path: str, counts: bool) -> None:
    watch = RefWatch(Path("/repo"), REF, lambda: None)

    assert watch._counts(Change.modified, f"/repo/{path}") is counts


@pytest.fixture
def told(tmp_path: Path) -> Iterator[threading.Event]:
    (tmp_path / "refs").mkdir()
    event = threading.Event()
    watch = RefWatch(tmp_path, REF, event.set)
    watch.start()
    yield event
    watch.stop()
    watch.join(BOUND_SECONDS)


def test_tells_of_a_ref_that_comes_with_its_folders(told: threading.Event, tmp_path: Path) -> None:
    place = tmp_path / REF
    for number in range(100):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{number}\n")
        if told.wait(0.1):
            return
    raise AssertionError("nothing was told")
