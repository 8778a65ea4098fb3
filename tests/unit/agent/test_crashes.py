"""When falls are a crash loop."""

from __future__ import annotations

import pytest

from agent.crashes import Crashes, Sight, forgiven_at, is_loop, is_suspect, noted, told
from agent.runtime.port import Container, Details

TREE = "a" * 40


def a_container(state: str = "running", code: int | None = None, **fields: object) -> Container:
    plain = {
        "id": "1",
        "project": "p",
        "replica": "chat-0",
        "deployment": "chat",
        "service": "web",
        "image": "img:1",
    }
    return Container(**{**plain, "state": state, "exit_code": code, **fields})  # type: ignore[arg-type] # a builder


def sight(restarts: int, state: str = "running", code: int | None = None, **more: object) -> Sight:
    started = str(more.pop("started", restarts))
    finishes = bool(more.pop("finishes", False))
    details = Details(restarts=restarts, started=started, exit_code=code, **more)  # type: ignore[arg-type] # a builder
    return Sight(container=a_container(state, code), details=details, finishes=finishes)


def after(*looks: tuple[float, Sight], tree: str = TREE) -> Crashes | None:
    crashes: Crashes | None = None
    for at, one in looks:
        crashes = noted(crashes, tree, (one,), at)
    return crashes


def loop(code: int = 1, **more: object) -> Crashes | None:
    looks = [(n * 10.0, sight(n, "restarting", code, **more)) for n in range(5)]
    return after((-1.0, sight(0)), *looks[1:])


def test_a_fourth_fall_within_ten_minutes_is_a_loop() -> None:
    three = after((0, sight(0)), (10, sight(3, "restarting", 1)))
    four = noted(three, TREE, (sight(4, "restarting", 1),), 599.0)

    assert not is_loop(three, 11.0)
    assert is_loop(four, 600.0)
    assert told(four, 600.0) == (
        "crash loop: service web exited with code 1, more than 3 times within 10 min"
    )


def test_falls_are_forgiven_after_ten_quiet_minutes() -> None:
    assert is_loop(loop(), 609.0)
    assert not is_loop(loop(), 610.0)
    assert told(loop(), 641.0) == ""
    assert forgiven_at(loop(), 50.0) == 610.0


def test_a_new_version_counts_from_nothing() -> None:
    crashes = noted(loop(), "b" * 40, (sight(5, "restarting", 1),), 60.0)

    assert not is_loop(crashes, 60.0)


def test_want_of_memory_is_told_apart_from_a_crash() -> None:
    once = after((0, sight(0)), (5, sight(1, "restarting", 137, out_of_memory=True)))
    killed = "service web ran out of memory and was killed (OOM)"

    assert told(once, 6.0) == f"{killed}, and was started again"
    assert told(loop(137, out_of_memory=True), 41.0).startswith(f"crash loop: {killed}")


def test_what_was_restarted_before_anyone_looked_is_no_fall_of_today() -> None:
    assert told(after((0, sight(7))), 1.0) == ""


def test_the_same_end_counts_once_however_often_it_is_seen() -> None:
    end = sight(0, "exited", 1, started="t1")
    crashes = after((0, sight(0, started="t1")), (1, end), (2, end), (3, end))

    assert crashes is not None
    assert len(crashes.falls) == 1


def test_a_start_and_an_end_between_two_looks_count_again() -> None:
    first, second = (sight(0, "exited", 1, started=start) for start in ("t1", "t2"))
    crashes = after((0, first), (9, second))

    assert crashes is not None
    assert len(crashes.falls) == 2


@pytest.mark.parametrize(("code", "falls"), [(0, 0), (1, 1)])
def test_a_job_that_ends_well_has_not_fallen(code: int, falls: int) -> None:
    crashes = after((0, sight(0, "exited", code, finishes=True)))

    assert crashes is not None
    assert len(crashes.falls) == falls


def test_an_older_container_keeps_what_was_seen_of_it() -> None:
    young = after((0, sight(2, started="t2")))
    old = noted(young, TREE, (Sight(container=a_container(), details=None),), 700.0)

    assert old == young


@pytest.mark.parametrize(
    ("container", "suspect"),
    [
        (a_container(), False),
        (a_container(young=True), True),
        (a_container("restarting"), True),
        (a_container("exited", 0), True),
        (a_container("created"), False),
    ],
)
def test_only_suspects_are_looked_at_closely(container: Container, *, suspect: bool) -> None:
    assert is_suspect(container) is suspect


def test_the_words_do_not_change_with_each_fall() -> None:
    crashes, said = after((0, sight(0))), set()
    for n in range(1, 40):
        crashes = noted(crashes, TREE, (sight(n, "restarting", 1),), n * 5.0)
        said.add(told(crashes, n * 5.0))

    assert len(said) == 2
