"""Which changes of files in a repository may mean that our own ref moved."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.watch import RefWatch, counts, links

REF = "refs/miaas/assigned/alpha"
REPO = Path("/repo")
BOUND_SECONDS = 10.0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("refs/miaas/assigned/alpha", True, id="ours"),
        pytest.param("refs/miaas/assigned", True, id="its folder is new"),
        pytest.param("packed-refs", True, id="all refs were packed"),
        pytest.param("refs/miaas/assigned/alpha.lock", False, id="not yet there"),
        pytest.param("refs/miaas/assigned/alpha-2", False, id="another one's"),
        pytest.param("refs/miaas/nodes/alpha", False, id="our own heartbeat"),
        pytest.param("refs/heads/assignments", False, id="the whole fleet's"),
        pytest.param("config", False, id="something else"),
    ],
)
def test_counts_only_what_may_be_ours(path: str, expected: bool) -> None:
    place = REPO / path

    assert counts(links(REPO, REF), place.parent, place.name) is expected


def test_a_folder_that_went_away_counts() -> None:
    assert counts(links(REPO, REF), REPO / "refs", "")


class _Ear:
    """Counts what was told, and waits for more."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    def __call__(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    @property
    def count(self) -> int:
        """How often it was told so far."""
        with self._condition:
            return self._count

    def hears_more(self, than: int, seconds: float) -> bool:
        """Whether it is told more often than that within so many seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: self._count > than, seconds)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[_Ear]:
    (tmp_path / "refs").mkdir()
    ear = _Ear()
    watch = RefWatch(tmp_path, REF, ear)
    watch.start()
    yield ear
    watch.stop()
    watch.join(BOUND_SECONDS)
    assert not watch.is_alive()


def test_tells_of_a_ref_that_comes_with_its_folders(ear: _Ear, tmp_path: Path) -> None:
    _hears(ear, tmp_path, REF)


def test_tells_of_a_ref_whose_folders_were_removed_and_made_again(
    ear: _Ear, tmp_path: Path
) -> None:
    _hears(ear, tmp_path, REF)
    shutil.rmtree(tmp_path / "refs/miaas")

    _hears(ear, tmp_path, REF)


def test_says_nothing_of_another_ref(ear: _Ear, tmp_path: Path) -> None:
    _hears(ear, tmp_path, REF)
    other = tmp_path / "refs/miaas/assigned/beta"
    other.write_text("1\n")
    _hears(ear, tmp_path, REF)  # what came before it has been told by now, were it to be

    before = ear.count
    other.write_text("2\n")

    assert not ear.hears_more(before, 0.05)


def _hears(ear: _Ear, folder: Path, name: str) -> None:
    """Write a file until the watch tells: it may not have begun yet."""
    place = folder / name
    for number in range(100):
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name("part")
        part.write_text(f"{number}\n")
        before = ear.count
        part.replace(place)
        if ear.hears_more(before, 0.1):
            while ear.hears_more(ear.count, 0.05):
                pass
            return
    raise AssertionError("nothing was told")
