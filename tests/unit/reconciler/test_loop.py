"""The pacing: when the next pass is made, what is said, and that nothing ends the loop."""

from __future__ import annotations

import errno
import io
import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from fleet.memory import Line
from reconciler.logs import log_to
from reconciler.loop import BACK_OFF_LAST, Loop
from reconciler.rolling.marks import Memory
from reconciler.seat import Seat
from reconciler.watch import News
from tests.unit.reconciler.world import FLEET, World, a_small_fleet, a_world, deployment

ELECTING = f"{FLEET}spec: {{leader: {{lease: 60s}}}}\n"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log_to(stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("reconciler").setLevel(logging.NOTSET)


@dataclass(slots=True)
class Script:
    """Waits that a test scripts: before each pass but the first, one thing happens."""

    steps: list[object]
    waits: list[float] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        return len(self.waits) > len(self.steps)

    def wait(self, longest: timedelta, calm: timedelta) -> None:
        assert calm == timedelta(seconds=1)
        self.waits.append(longest.total_seconds())
        if len(self.waits) <= len(self.steps):
            step = self.steps[len(self.waits) - 1]
            if callable(step):
                step()


def looped(world: World, *steps: object) -> list[float]:
    kept: list[Memory] = []
    return looped_keeping(world, kept.append, *steps)


def looped_keeping(
    world: World, saved: Callable[[Memory], None], *steps: object, seat: Seat | None = None
) -> list[float]:
    script = Script(list(steps))
    Loop(
        reader=world.reader,
        renderer=world.renderer,
        clock=world.clock,
        waiting=script,
        rng=random.Random(1),
        memory=Memory(),
        saved=saved,
        seat=seat,
    ).run()
    return script.waits


def test_a_pass_that_published_says_one_line_and_a_quiet_one_none(log: io.StringIO) -> None:
    world = a_world()

    looped(world, None, None)

    (line,) = log.getvalue().splitlines()
    assert line.startswith("info reconciler.loop decision published commit=")
    assert line.endswith(" add=1 change=0 move=0 remove=0 nodes=2 unplaced=0 held=0 problems=0")


def test_it_waits_for_the_fleets_poll_time_give_or_take_a_tenth() -> None:
    world = a_world()
    world.commit({"fleet.yaml": world.files["fleet.yaml"] + "spec: {timings: {poll: 40s}}\n"})  # type: ignore[operator]

    waits = looped(world, None, None, None)

    assert all(36 <= wait <= 44 for wait in waits)
    assert len(set(waits)) == 4


def test_who_leads_hands_the_lease_back_in_the_end(log: io.StringIO) -> None:
    world = a_world(files={**a_small_fleet(), "fleet.yaml": ELECTING})

    looped_keeping(world, lambda _memory: None, seat=Seat("one", random.Random(1)))

    leader = world.decide().observed.leader
    assert leader is not None
    assert (leader.holder, leader.released) == ("one", True)
    assert "handed the lease back name=one" in log.getvalue()


def test_a_remote_that_is_away_in_the_end_is_told_and_ends_nothing_badly(log: io.StringIO) -> None:
    world = a_world(files={**a_small_fleet(), "fleet.yaml": ELECTING})

    def cut() -> None:
        world.client.line = Line.DOWN

    seat = Seat("one", random.Random(1))
    looped_keeping(world, lambda _memory: None, cut, seat=seat)

    assert "lease not handed back" in log.getvalue()


def test_failures_are_told_once_and_tried_ever_less_often(log: io.StringIO) -> None:
    world = a_world()
    world.client.line = Line.DOWN

    def heal() -> None:
        world.client.line = Line.UP

    waits = looped(world, *[None] * 9, heal)

    lines = log.getvalue().splitlines()
    assert [line.partition("=")[0] for line in lines] == [
        "warning reconciler.loop the pass failed error",
        "info reconciler.loop passes succeed again failed",
        "info reconciler.loop decision published commit",
    ]
    assert "failed=10" in lines[1]
    doubled = [wait / 2**n for n, wait in enumerate(waits[:6])]
    assert all(0.9 <= first <= 1.1 for first in doubled)
    assert all(wait <= BACK_OFF_LAST.total_seconds() * 1.1 for wait in waits)


def test_a_full_disk_is_told_and_stops_nothing(log: io.StringIO) -> None:
    def full(_: Memory) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    world = a_world()

    looped_keeping(world, full, None, None)

    lines = log.getvalue().splitlines()
    assert "No space left on device" in lines[0]
    assert world.client.fetch("refs/heads/assignments")


def test_an_odd_heartbeat_is_told_once(log: io.StringIO) -> None:
    world = a_world()
    world.pass_once()
    world.beat("stranger")

    looped(world, None, None)

    (line,) = log.getvalue().splitlines()
    assert "nobody admitted it" in line


def test_the_log_quotes_what_has_blanks(log: io.StringIO) -> None:
    pairs = {"a": "x", "b": 'x "y"', "c": "", "d": "one\ntwo"}

    logging.getLogger("reconciler.test").info("a sentence", extra={"pairs": pairs})

    assert log.getvalue() == (
        'info reconciler.test a sentence a=x b="x \\"y\\"" c="" d="one two"\n'
    )


LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=1)


def waited(news: News, longest: timedelta = LONG, calm: timedelta = SHORT) -> None:
    """Wait in a thread, and fail if it does not return by itself."""
    thread = threading.Thread(target=news.wait, args=(longest, calm), daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_news_that_came_before_the_wait_is_not_lost() -> None:
    for speak in (News.people_spoke, News.machines_spoke, News.stop):
        news = News()
        speak(news)
        waited(news)


def test_people_wake_at_once_even_where_calm_is_long() -> None:
    news = News()
    thread = threading.Thread(target=news.wait, args=(LONG, LONG), daemon=True)
    thread.start()
    news.machines_spoke()
    assert thread.is_alive()

    news.people_spoke()

    thread.join(timeout=10)
    assert not thread.is_alive()


def test_nothing_wakes_before_the_longest_wait_is_over() -> None:
    waited(News(), longest=SHORT, calm=LONG)


def test_the_changes_between_two_passes_make_one_decision() -> None:
    world = a_world()
    looped(world)

    def twice() -> None:
        world.commit({"deployments/a.yaml": deployment("a")})
        world.commit({"deployments/b.yaml": deployment("b")})

    looped(world, twice)

    assert len(world.history()) == 2
