"""Where each value of a document stands, so that a message can point at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from schemas.problem import Place

Keys: TypeAlias = tuple[str | int, ...]
Spot: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Marks:
    """Line and column of every value and every key of one document.

    values: a scalar stands where it is written; a map or list where its key is, for in block style
        its own first character is on a later line.
    keys: where the key of a value is written.
    written: numbers, true, false and null exactly as the person wrote them.
    """

    path: str
    values: Mapping[Keys, Spot] = field(default_factory=dict)
    keys: Mapping[Keys, Spot] = field(default_factory=dict)
    written: Mapping[Keys, str] = field(default_factory=dict)

    def at(self, *keys: str | int) -> Place:
        """Place of a value; of its nearest parent where the value itself is not written."""
        return self._nearest(self.values, keys)

    def at_key(self, *keys: str | int) -> Place:
        """Place of a key; of the nearest parent's value where it has none, as in a list."""
        if keys in self.keys:
            return Place(self.path, *self.keys[keys])
        return self.at(*keys)

    def _nearest(self, spots: Mapping[Keys, Spot], keys: Keys) -> Place:
        for end in range(len(keys), -1, -1):
            if keys[:end] in spots:
                return Place(self.path, *spots[keys[:end]])
        return Place(self.path)


NO_MARKS: Final = Marks("")


class Unreadable:
    """Stands for a value that was refused while reading. Every later check passes over it."""


UNREADABLE: Final = Unreadable()
