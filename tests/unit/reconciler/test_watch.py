"""Which changes of a real bare repository are news, and that they are heard."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from watchfiles import Change

from reconciler.watch import News, Watcher, _Concerns
from schemas.layout import NODE_REFS
from tests.unit.reconciler.test_service import Bare
from tests.unit.reconciler.world import a_small_fleet

ROOT = Path("/srv/fleet.git")


@pytest.mark.parametrize(
    ("ref", "path", "concerns"),
    [
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/main", "refs/heads/main.lock", False),
        ("refs/heads/main", "refs/heads/assignments", False),
        ("refs/heads/main", "refs/heads/mainline", False),
        ("refs/heads/main", "refs/heads", True),
        ("refs/heads/main", "packed-refs", True),
        ("refs/heads/main", "packed-refs.lock", False),
        ("refs/heads/main", "objects", False),
        ("refs/heads/team/main", "refs/heads/team/main", True),
        (NODE_REFS, "refs/miaas/nodes/alpha", True),
        (NODE_REFS, "refs/miaas/nodes/alpha.lock", False),
        (NODE_REFS, "refs/miaas/nodes", True),
        (NODE_REFS, "refs/miaas/assigned/alpha", False),
        (NODE_REFS, "refs/heads/main", False),
    ],
)
def test_only_the_refs_that_are_read_are_news(ref: str, path: str, concerns: bool) -> None:
    assert _Concerns(ref, ROOT)(Change.modified, f"{ROOT}/{path}") is concerns


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Bare, News]]:
    bare, news = Bare(tmp_path), News()
    bare.commit(a_small_fleet())
    watcher = Watcher(bare.url, bare.url, "main", news)
    watcher.start()
    _settle(bare, news)
    yield bare, news
    watcher.stop()
    bare.client.close()


def _settle(bare: Bare, news: News) -> None:
    """The watching begins in its own time: touch until it is heard, then let it be quiet."""
    ref = Path(bare.url, "refs/heads/main")
    for _ in range(200):
        ref.write_text(ref.read_text())
        if heard(news, timedelta(milliseconds=50)):
            break
    while heard(news, timedelta(milliseconds=100)):
        pass


def heard(news: News, longest: timedelta = timedelta(seconds=20)) -> bool:
    """Whether news came before the longest wait was over."""
    found = threading.Event()

    def listen() -> None:
        news.wait(longest * 50, timedelta(0))
        found.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    came = found.wait(longest.total_seconds())
    if not came:
        news.people_spoke()
        thread.join()
    return came


def test_a_commit_of_people_is_heard(watched: tuple[Bare, News]) -> None:
    bare, news = watched

    bare.commit({**a_small_fleet(), "deployments/new.yaml": "x"})

    assert heard(news)


def test_the_first_heartbeat_of_all_is_heard(watched: tuple[Bare, News]) -> None:
    bare, news = watched

    bare.beat("alpha")

    assert heard(news)


def test_packed_refs_are_heard(watched: tuple[Bare, News]) -> None:
    bare, news = watched

    subprocess.run(["git", "-C", bare.url, "pack-refs", "--all"], check=True)

    assert heard(news)


def test_a_decision_of_our_own_is_no_news(watched: tuple[Bare, News]) -> None:
    bare, news = watched
    tip = bare.tip("refs/heads/main")
    assert tip is not None

    bare.client.push_own("refs/heads/assignments", tip)

    assert not heard(news, timedelta(milliseconds=300))


def test_a_remote_elsewhere_is_left_to_polling() -> None:
    watcher = Watcher("ssh://git@example.org/fleet", "https://example.org/x", "main", News())

    watcher.start()
    watcher.stop()
