"""What commit messages say to programs."""

from __future__ import annotations

import pytest

from reconciler.observing.trailers import accepts_rewind, allows_removals, source_of, trailers
from schemas.names import CommitId

LEFT = CommitId("ab" * 20)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("Source: x\n", [], id="a subject is no trailer"),
        pytest.param("s\n\nKey: a b \n", [("Key", "a b")], id="one"),
        pytest.param("s\r\n\r\nKey: a\r\n", [("Key", "a")], id="with carriage returns"),
        pytest.param("s\n\nA: 1\n\nB: 2\nno trailer\nB: 3", [("B", "2"), ("B", "3")], id="last"),
        pytest.param("s\n\nA:1\n : 2\nB: \n- C: 3\n", [], id="what only looks like one"),
    ],
)
def test_trailers_are_lines_of_the_last_paragraph(
    message: str, found: list[tuple[str, str]]
) -> None:
    assert list(trailers(message)) == found


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("Miaas-Allow-Removals: yes", True),
        ("miaas-allow-removals: YES", True),
        ("Miaas-Allow-Removals: no", False),
        ("Miaas-Allow-Removals: yes, all", False),
        ("Allow-Removals: yes", False),
    ],
)
def test_removals_are_allowed_by_a_plain_yes(line: str, allowed: bool) -> None:
    assert allows_removals(f"subject\n\n{line}\n") is allowed


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        pytest.param(LEFT, True, id="the whole id"),
        pytest.param(LEFT.upper(), True, id="in capitals"),
        pytest.param(LEFT[:12], False, id="a few digits"),
        pytest.param("cd" * 20, False, id="another"),
    ],
)
def test_a_rewind_is_accepted_by_the_whole_id_of_what_was_left(value: str, accepted: bool) -> None:
    assert accepts_rewind(f"subject\n\nMiaas-Accept-Rewind: {value}\n", LEFT) is accepted


@pytest.mark.parametrize(
    ("message", "source"),
    [
        (f"s\n\nSource: {LEFT}\nReason: x\n", LEFT),
        ("s\n\nSource: main\n", None),
        ("s\n\nReason: x\n", None),
    ],
)
def test_the_source_of_a_decision_is_a_whole_commit(message: str, source: str | None) -> None:
    assert source_of(message) == source
