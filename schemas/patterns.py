"""Regular expressions of users, matched in linear time.

`re` tries one way after the other, and `^(a+)+$` keeps it busy for hours with 40 letters. Here all
ways are followed at once, as in Thompson's construction: the work is at most the length of the text
times the size of the pattern, whatever the pattern. `re` only takes the pattern apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from re import _constants as codes  # type: ignore[attr-defined] # no public way to read a pattern
from re import _parser as parser  # type: ignore[attr-defined] # the same
from typing import Any, Final, TypeAlias

# Together they bound a match to some millions of steps, about a second.
PATTERN_MAX: Final = 500
STATES_MAX: Final = 1000
TEXT_MAX: Final = 4096

Accepts: TypeAlias = Callable[[str], bool]


class BadPatternError(ValueError):
    """A pattern that cannot be used. The message says why."""


@dataclass(slots=True)
class _State:
    """One state. It reads a character that it accepts, or steps on for nothing if `at` allows."""

    accepts: Accepts | None = None
    at: Any = None
    steps: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, ready to be searched for. State 0 begins; `end` is the one to reach."""

    states: tuple[_State, ...]
    end: int

    def found_in(self, text: str) -> bool:
        """Whether the pattern matches anywhere in a text of at most TEXT_MAX characters.

        Raises:
            BadPatternError: the text is longer.
        """
        if len(text) > TEXT_MAX:
            raise BadPatternError(f"a text for a pattern has at most {TEXT_MAX} characters")
        here: set[int] = set()
        for position in range(len(text) + 1):
            here = self._closure(here | {0}, position == 0, position == len(text))
            if self.end in here:
                return True
            if position < len(text):
                here = self._after(here, text[position])
        return False

    def _after(self, here: Iterable[int], character: str) -> set[int]:
        states = (self.states[number] for number in here)
        return {
            step
            for state in states
            if state.accepts is not None and state.accepts(character)
            for step in state.steps
        }

    def _closure(self, here: set[int], first: bool, last: bool) -> set[int]:  # noqa: FBT001 - two facts of a position
        waiting, reached = list(here), set(here)
        while waiting:
            state = self.states[waiting.pop()]
            if state.accepts is not None or not _holds(state.at, first, last):
                continue
            fresh = [step for step in state.steps if step not in reached]
            reached.update(fresh)
            waiting.extend(fresh)
        return reached


@lru_cache(maxsize=1024)
def compile_pattern(text: str) -> Pattern:
    """Make a pattern ready.

    Raises:
        BadPatternError: it is wrong, too large, or looks ahead, behind or back.
    """
    if len(text) > PATTERN_MAX:
        raise BadPatternError(f"a pattern has at most {PATTERN_MAX} characters")
    try:
        tree = parser.parse(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadPatternError(f"the pattern cannot be read: {error}") from error
    if tree.state.flags & ~re.UNICODE.value:
        raise BadPatternError("flags like (?i) are not allowed")
    builder = _Builder()
    end = builder.sequence(tree, builder.state())
    return Pattern(tuple(builder.states), end)


@dataclass(slots=True)
class _Builder:
    """Adds states for a part of a pattern: each method goes from `start` and gives the end."""

    states: list[_State] = field(default_factory=list)

    def state(self) -> int:
        if len(self.states) >= STATES_MAX:
            raise BadPatternError("the pattern, with its repetitions written out, is too large")
        self.states.append(_State())
        return len(self.states) - 1

    def join(self, start: int, end: int) -> None:
        self.states[start].steps.append(end)

    def sequence(self, parts: Any, start: int) -> int:
        for code, argument in parts:
            start = self.part(code, argument, start)
        return start

    def part(self, code: Any, argument: Any, start: int) -> int:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, inner = argument
            return self.repeat(least, most, inner, start)
        if code is codes.BRANCH:
            return self.branch(argument[1], start)
        if code is codes.SUBPATTERN:
            _, added, removed, inner = argument
            if added or removed:
                raise BadPatternError("flags like (?i) are not allowed")
            return self.sequence(inner, start)
        if code is codes.AT:
            return self.anchor(argument, start)
        return self.character(_accepts(code, argument), start)

    def repeat(self, least: int, most: Any, inner: Any, start: int) -> int:
        for _ in range(least):
            start = self.sequence(inner, start)
        end = self.state()
        if most is codes.MAXREPEAT:
            again = self.state()
            self.join(start, again)
            self.join(self.sequence(inner, self.forward(again)), again)
            self.join(again, end)
            return end
        for _ in range(most - least):
            self.join(start, end)
            start = self.sequence(inner, self.forward(start))
        self.join(start, end)
        return end

    def branch(self, choices: Any, start: int) -> int:
        end = self.state()
        for choice in choices:
            self.join(self.sequence(choice, self.forward(start)), end)
        return end

    def forward(self, start: int) -> int:
        """A new state after `start`, so that what follows does not change `start` itself."""
        fresh = self.state()
        self.join(start, fresh)
        return fresh

    def anchor(self, at: Any, start: int) -> int:
        if at not in _ANCHORS:
            raise BadPatternError("\\b and \\B are not allowed")
        place = self.forward(start)
        self.states[place].at = at
        return self.forward(place)

    def character(self, accepts: Accepts, start: int) -> int:
        place = self.forward(start)
        self.states[place].accepts = accepts
        return self.forward(place)


_BEGINNINGS: Final = (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)
_ENDS: Final = (codes.AT_END, codes.AT_END_STRING)
_ANCHORS: Final = (*_BEGINNINGS, *_ENDS)


def _holds(at: Any, first: bool, last: bool) -> bool:  # noqa: FBT001 - two facts of a position
    if at in _BEGINNINGS:
        return first
    # As in JSON Schema, and unlike in `re`: `$` is the end, and not before a last newline.
    return last if at in _ENDS else True


def _accepts(code: Any, argument: Any) -> Accepts:
    """Whether a part that reads one character reads a given one."""
    if code is codes.LITERAL:
        return lambda character: ord(character) == argument
    if code is codes.NOT_LITERAL:
        return lambda character: ord(character) != argument
    if code is codes.ANY:
        return lambda character: character != "\n"
    if code is codes.RANGE:
        return lambda character: argument[0] <= ord(character) <= argument[1]
    if code is codes.CATEGORY and argument in _CATEGORIES:
        return _CATEGORIES[argument]
    if code is codes.IN:
        return _accepts_any(argument)
    raise BadPatternError("looking ahead, behind or back is not allowed")


def _accepts_any(items: Any) -> Accepts:
    negated = items[0][0] is codes.NEGATE
    accepted = [_accepts(code, argument) for code, argument in (items[1:] if negated else items)]
    return lambda character: negated != any(accepts(character) for accepts in accepted)


def _category(letter: str) -> Accepts:
    single = re.compile(f"\\{letter}")
    return lambda character: single.match(character) is not None


_CATEGORIES: Final[dict[Any, Accepts]] = {
    codes.CATEGORY_DIGIT: _category("d"),
    codes.CATEGORY_NOT_DIGIT: _category("D"),
    codes.CATEGORY_SPACE: _category("s"),
    codes.CATEGORY_NOT_SPACE: _category("S"),
    codes.CATEGORY_WORD: _category("w"),
    codes.CATEGORY_NOT_WORD: _category("W"),
}
