"""Users' patterns mean what they mean in `re`, and never take long."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.patterns import PATTERN_MAX, TEXT_MAX, BadPatternError, compile_pattern

_atoms = st.sampled_from(
    ["a", "b", "[ab]", "[^a]", "[a-c]", ".", r"\d", r"\W", r"[\s\-b]", "é", r"\.", "^", "$"]
)
_patterns = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda parts: f"(?:{parts[0]}|{parts[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"])).map(
            lambda parts: f"({parts[0]}){parts[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(pattern=_patterns, text=st.text(alphabet="abc1 .é-\n", max_size=8))
@example(pattern="^(a|b)*$", text="abab")
@example(pattern="^$", text="")
@example(pattern="(a*)*b", text="aab")
def test_it_finds_exactly_what_re_finds(pattern: str, text: str) -> None:
    # `$` of re also matches before a last newline, which JSON Schema does not have.
    theirs = re.search(pattern.replace("$", r"\Z"), text) is not None

    assert compile_pattern(pattern).found_in(text) is theirs


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$",
        "^(a|a)*$",
        "^(a|aa)+$",
        "(.*)*x",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "^" + "a?" * 100 + "a" * 100 + "$",
        r"^(\w+\s?)*$",
    ],
)
def test_patterns_that_keep_re_busy_for_years_end_at_once(pattern: str) -> None:
    # With `re` these would not come back: the test is that this line ends at all.
    assert compile_pattern(pattern).found_in("a" * 1000 + "!") is False


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "cannot be read"),
        ("[b-a]", "cannot be read"),
        (r"(a)\1", "back"),
        ("(?=a)", "ahead"),
        ("(?<!a)b", "behind"),
        ("(?>a+)b", "back"),
        ("a++", "back"),
        (r"\bword\b", r"\b"),
        ("(?i)a", "flags"),
        ("(?i:a)", "flags"),
        ("a{1001}", "too large"),
        ("((a{30}){30}){30}", "too large"),
        ("a" * (PATTERN_MAX + 1), "characters"),
        ("(" * 250 + ")" * 250, None),
    ],
)
def test_what_cannot_be_matched_in_linear_time_is_refused(pattern: str, why: str | None) -> None:
    if why is None:
        assert compile_pattern(pattern).found_in("") is True
        return
    with pytest.raises(BadPatternError) as caught:
        compile_pattern(pattern)

    assert why in str(caught.value)


def test_a_text_that_is_too_long_is_refused() -> None:
    pattern = compile_pattern("^a*$")

    assert pattern.found_in("a" * TEXT_MAX)
    with pytest.raises(BadPatternError):
        pattern.found_in("a" * (TEXT_MAX + 1))
