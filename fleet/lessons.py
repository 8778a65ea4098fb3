"""What earlier fetches taught about refs: who is not there, who cannot be had, who is tried apart.

Light, like git_command.py: an agent's quick look uses it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

TRIALS: Final = 20  # fetches that a ref is tried apart after a bad one: ten minutes of heartbeats


class Lessons:
    """What earlier fetches taught, by ref. It lives as long as the process.

    absent: names that were asked for in vain. refused: refs that could not be had, each with the
    id at which it stood and why. suspects: refs that were refused and are to be tried apart, with
    the number of times that this has yet to go well. left: the parts of a search that there was
    no time for, the next one last; they say nothing against a ref.
    """

    __slots__ = ("absent", "left", "refused", "suspects")

    def __init__(self) -> None:
        self.absent: set[str] = set()
        self.left: list[list[str]] = []
        self.refused: dict[str, tuple[str, str]] = {}
        self.suspects: dict[str, int] = {}

    def clear(self) -> None:
        """Forget all of it: the mirror was to blame."""
        self.absent.clear()
        self.left.clear()
        self.refused.clear()
        self.suspects.clear()

    def is_wary_of(self, names: Iterable[str]) -> bool:
        """Whether some ref below these names is to be tried apart."""
        return bool(self.suspects) and any(covers(names, ref) for ref in self.suspects)

    def forget_gone(self, names: Iterable[str], there: Iterable[str]) -> None:
        """Forget refs below these names that are not there any more."""
        for ref in self.suspects.keys() | self.refused.keys():
            if covers(names, ref) and ref not in there:
                self.refused.pop(ref, None)
                self.suspects.pop(ref, None)

    def praise(self, refs: Iterable[str]) -> None:
        """Note that refs came as they should."""
        for ref in refs:
            self.refused.pop(ref, None)
            left = self.suspects.get(ref, 0)
            if left > 1:
                self.suspects[ref] = left - 1
            else:
                self.suspects.pop(ref, None)

    def blame(self, ref: str, at: str, why: str) -> None:
        """Note that a ref cannot be had while it stands where it does."""
        self.refused[ref] = (at, why)
        self.suspects[ref] = TRIALS

    def take_left(self, names: Iterable[str]) -> list[list[str]]:
        """Give what a search below these names left, and forget it."""
        taken = [part for part in self.left if covers(names, part[0])]
        self.left = [part for part in self.left if part not in taken]
        return taken


def covers(names: Iterable[str], ref: str) -> bool:
    """Whether a ref is one of these names, or below one that ends in `/`."""
    return any(ref == name or (name[-1] == "/" and ref.startswith(name)) for name in names)
