"""What a probe's answers make of a replica."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probing import Phase, Standing, Watched, attended, judged, told
from schemas.probes import Probe, ProbeKind

PROBE = Probe(name="http", port="http", path="/health", start_period_seconds=60)
START = Standing(run="1", began=0.0, due=0.0)


def after(probe: Probe, answers: list[tuple[float, str]], begin: Standing = START) -> Standing:
    standing = begin
    for at, answer in answers:
        standing = judged(probe, standing, answer, at)
    return standing


def watched(run: str = "1", probe: Probe = PROBE) -> Watched:
    return Watched(replica="chat-0", probe=probe, port=20000, run=run)


@pytest.mark.parametrize(
    ("answers", "phase"),
    [
        pytest.param([(1, "")], Phase.READY, id="one good answer"),
        pytest.param([(1, "refused"), (2, "refused"), (3, "refused")], Phase.STARTING, id="time"),
        pytest.param([(59, "x"), (59.9, "x"), (59.99, "x")], Phase.STARTING, id="just in time"),
        pytest.param([(59, "x"), (59.5, "x"), (60, "x")], Phase.FAILING, id="time is over"),
        pytest.param([(90, "x"), (91, "x")], Phase.STARTING, id="two are not enough"),
        pytest.param([(1, ""), (2, "x"), (3, "x")], Phase.READY, id="two do not make it ill"),
        pytest.param([(1, ""), (2, "x"), (3, "x"), (4, "x")], Phase.FAILING, id="three do"),
        pytest.param([(1, ""), (2, "x"), (3, "x"), (4, ""), (5, "x")], Phase.READY, id="in a row"),
        pytest.param([(1, ""), *((n, "x") for n in (2, 3, 4)), (5, "")], Phase.READY, id="well"),
    ],
)
def test_phases(answers: list[tuple[float, str]], phase: Phase) -> None:
    assert after(PROBE, answers).phase is phase


def test_several_good_answers_in_a_row_may_be_wanted() -> None:
    careful = Probe(name="http", port="http", success_threshold=2)

    assert after(careful, [(1, ""), (2, "x"), (3, "")]).phase is Phase.STARTING
    assert after(careful, [(1, ""), (2, "x"), (3, ""), (4, "")]).phase is Phase.READY


@pytest.mark.parametrize(
    ("now", "due"),
    [(0.5, 1.5), (20.0, 22.0), (50.0, 55.0), (1000.0, 1010.0)],
)
def test_a_start_is_asked_often_at_first_and_never_oftener_than_each_second(
    now: float, due: float
) -> None:
    patient = Probe(name="http", port="http", start_period_seconds=3600)

    assert judged(patient, START, "refused", now).due == due


def test_who_is_ready_is_asked_each_interval() -> None:
    assert judged(PROBE, START, "", 3.0).due == 13.0


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (14.0, "probe http: GET /health answered 503"),
        (15.0, "probe http: GET /health answered 503 for more than 10 s"),
        (44.0, "probe http: GET /health answered 503 for more than 30 s"),
        (400.0, "probe http: GET /health answered 503 for more than 5 min"),
        (90000.0, "probe http: GET /health answered 503 for more than a day"),
    ],
)
def test_says_which_probe_fails_and_for_how_long(now: float, text: str) -> None:
    failing = after(PROBE, [(1, ""), *((n, "answered 503") for n in (4, 5, 6))])

    assert told(PROBE, failing, now) == text


def test_the_words_of_a_day_of_failing_are_few() -> None:
    failing = after(PROBE, [(1, ""), *((n, "refused") for n in (4, 5, 6))])

    assert len({told(PROBE, failing, float(now)) for now in range(7, 200_000, 7)}) <= 9


def test_says_what_a_start_still_waits_for() -> None:
    tcp = Probe(name="db", port="sql", kind=ProbeKind.TCP)

    assert told(tcp, None, 0.0) == "probe db: a connection to port sql not answered yet"
    waiting = judged(tcp, START, "refused", 1.0)
    assert told(tcp, waiting, 1.0) == "probe db: a connection to port sql refused so far"


def test_what_was_known_of_another_run_says_nothing() -> None:
    ready = after(PROBE, [(1, "")])

    assert attended((watched("1"),), {"chat-0/http": ready}, 50.0) == {"chat-0/http": ready}
    assert attended((watched("2"),), {"chat-0/http": ready}, 50.0) == {
        "chat-0/http": Standing(run="2", began=50.0, due=50.0)
    }
    assert attended((), {"chat-0/http": ready}, 50.0) == {}


@given(
    st.lists(st.tuples(st.floats(0.1, 30), st.booleans()), max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_one_answer_never_turns_more_than_its_threshold_allows(
    answers: list[tuple[float, bool]], bad: int, good: int
) -> None:
    probe = Probe(name="p", port="p", failure_threshold=bad, success_threshold=good)
    standing, now, row = START, 0.0, 0
    last: bool | None = None
    for wait, well in answers:
        now += wait
        row = row + 1 if well is last else 1
        last, before = well, standing.phase
        standing = judged(probe, standing, "" if well else "no", now)
        if standing.phase is not before:
            assert row >= (good if well else bad)
        assert standing.due > now
