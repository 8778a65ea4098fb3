from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.web import words
from tests.builders import A_MOMENT


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "just now"),
        (0, "just now"),
        (1, "just now"),
        (2, "2 seconds ago"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (119, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (864_000, "10 days ago"),
    ],
)
def test_age_in_words(seconds: int, said: str) -> None:
    assert words.age(A_MOMENT, A_MOMENT + timedelta(seconds=seconds)) == said


def test_no_moment_is_never() -> None:
    assert words.age(None, A_MOMENT) == "never"


@pytest.mark.parametrize(
    ("mib", "said"),
    [
        (0, "0 MiB"),
        (1023, "1023 MiB"),
        (1024, "1 GiB"),
        (1536, "1.5 GiB"),
        (46068, "45 GiB"),
        (1024 * 1024, "1 TiB"),
    ],
)
def test_memory_in_words(mib: int, said: str) -> None:
    assert words.memory(mib) == said


@pytest.mark.parametrize(
    ("milli", "said"),
    [
        (0, "0 cores"),
        (100, "0.1 cores"),
        (1000, "1 core"),
        (1500, "1.5 cores"),
        (20_000, "20 cores"),
    ],
)
def test_cores_in_words(milli: int, said: str) -> None:
    assert words.cores(milli) == said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b"), "a and b"),
        (("a", "b", "c", "d"), "a, b, c and d"),
        (("a", "b", "c", "d", "e"), "a, b, c and 2 more"),
    ],
)
def test_names_in_a_sentence(names: tuple[str, ...], said: str) -> None:
    assert words.enumerate_names(names) == said


def test_moments_are_utc() -> None:
    assert words.utc(A_MOMENT) == "2026-01-05 12:00:00 UTC"
    assert words.iso(A_MOMENT) == "2026-01-05T12:00:00Z"


@given(st.integers(min_value=0, max_value=10**9))
def test_no_amount_is_said_as_nothing(mib: int) -> None:
    assert words.memory(mib)[0].isdigit()
