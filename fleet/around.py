"""Fetch around refs that cannot be had: whoever may push one ref must not hide all others.

A fetch is one for all refs, and one bad ref makes it fail: an object that git refuses, or some MB
that unpack to GBs and take longer than a call may. Then refs are fetched in halves, each with
little time, until those to blame stand alone. They are remembered with the id at which they
stand, and left out until they move; then each is tried apart from the others for a while.

Light, like git_command.py: an agent's quick look uses it.
"""

from __future__ import annotations

import time

from fleet import git_command
from fleet.mirror import drop_leftovers, examine

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

    from fleet.errors import RepositoryError
    from fleet.git_command import Finished
    from fleet.mirror import Mirror

FETCH: Final = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--quiet")
TRIALS: Final = 20  # fetches that a ref is tried apart after a bad one: ten minutes of heartbeats
PARTS: Final = 12  # 5 s of a minute for one half: the refs of 300 honest nodes take under one
LISTING: Final = 4  # 15 s of a minute to list the remote: less if the line is dead
FSCK: Final = "fsck error"
# The remote or the line to it: no reason to doubt the mirror, or a ref.
AFAR: Final = ("Could not read from remote", "unable to access", "Could not resolve", "ssh:")
# What git says if objects are to blame that came, or that should have come.
_OF_OBJECTS: Final = (
    "index-pack", "unpack-objects", "necessary objects", "bad pack", "early EOF",
    "repository corruption",  # an odd tree that the remote itself stumbles over
    "couldn't find remote ref",  # it went after the remote was listed
)  # fmt: skip
# What looks the same and is ours, or the line's.
_NO_REFS_FAULT: Final = (
    "No space left on device", "Disk quota exceeded", ".lock': File exists", *AFAR,
)  # fmt: skip


class Lessons:
    """What earlier fetches taught, by ref. It lives as long as the process.

    absent: names that were asked for in vain. refused: refs that could not be had, each with the
    id at which it stood and why. suspects: refs to be tried apart, with the number of times that
    this has yet to go well.
    """

    __slots__ = ("absent", "refused", "suspects")

    def __init__(self) -> None:
        self.absent: set[str] = set()
        self.refused: dict[str, tuple[str, str]] = {}
        self.suspects: dict[str, int] = {}

    def clear(self) -> None:
        """Forget all of it: the mirror was to blame."""
        self.absent.clear()
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

    def doubt(self, refs: Iterable[str]) -> None:
        """Note that one of these refs is to blame, and that there was no time to find it."""
        for ref in refs:
            self.suspects.setdefault(ref, 1)


def covers(names: Iterable[str], ref: str) -> bool:
    """Whether a ref is one of these names, or below one that ends in `/`."""
    return any(ref == name or (name[-1] == "/" and ref.startswith(name)) for name in names)


def is_of_refs(mirror: Mirror, names: tuple[str, ...], done: Finished) -> bool:
    """Whether a fetch failed so that another of some of these refs may do better."""
    if len(names) == 1 and names[0][-1] != "/":
        return False
    if done.code == git_command.TIMED_OUT:
        # Who has little time would only lose it; and few may push what is asked for by name.
        return mirror.ends is None and any(name[-1] == "/" for name in names)
    return FSCK in done.err or (
        any(sign in done.err for sign in _OF_OBJECTS)
        and not any(sign in done.err for sign in _NO_REFS_FAULT)
    )


class Around:
    """One fetch around refs that cannot be had.

    options: of git fetch. failure: makes an error of a call that failed. clock: a steady one.
    """

    def __init__(
        self,
        mirror: Mirror,
        options: tuple[str, ...],
        lessons: Lessons,
        failure: Callable[[Mirror, Finished], RepositoryError],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mirror = mirror
        self._options = options
        self._lessons = lessons
        self._failure = failure
        self._there: dict[str, str] = {}
        self._clock = clock
        self._ends = clock() + mirror.timeout

    def fetch(self, names: tuple[str, ...]) -> None:
        """Fetch what can be had below these names, and remember what cannot.

        What there was no time for stays where it was, and comes first the next time.

        Raises:
            RepositoryError: the line, the remote or the mirror is to blame.
        """
        self._there = self._listed(names)
        self._lessons.forget_gone(names, self._there)
        here = self._mirror.refs(names)
        for ref in here.keys() - self._there.keys():
            self._forget(ref)
        refused = self._lessons.refused
        moved = [
            ref
            for ref, at in self._there.items()
            if here.get(ref) != at and refused.get(ref, ("",))[0] != at
        ]
        self._lessons.praise(ref for ref, at in self._there.items() if here.get(ref) == at)
        self._fetch_exact([ref for ref in moved if ref in names])
        for group in self._groups(names, moved):
            self._fetch_halves(group)

    def _groups(self, names: tuple[str, ...], moved: list[str]) -> list[list[str]]:
        """Below each prefix those that are trusted, and in the end all that are not."""
        below = [ref for ref in moved if ref not in names]
        suspects = self._lessons.suspects
        groups = [
            [ref for ref in below if ref.startswith(name) and ref not in suspects]
            for name in names
            if name[-1] == "/"
        ]
        return [*groups, [ref for ref in below if ref in suspects]]

    def _fetch_exact(self, refs: list[str]) -> None:
        """Fetch refs that were asked for by name: few may push those, and all depends on them."""
        done = self._asked(refs, self._mirror.timeout)
        if done is None:
            return
        if FSCK not in done.err:
            raise self._failure(self._mirror, done)
        for ref in refs:
            alone = self._asked([ref], self._mirror.timeout)
            if alone is not None and FSCK not in alone.err:
                raise self._failure(self._mirror, alone)
            if alone is not None:
                self._blame(ref, alone)

    def _fetch_halves(self, refs: list[str]) -> None:
        waiting = [refs]
        while waiting:
            some = waiting.pop()
            bound = min(self._mirror.timeout / PARTS, self._ends - self._clock())
            if bound <= 0:
                self._lessons.doubt(some)
                continue
            done = self._asked(some, bound)
            if done is None:
                continue
            if not is_of_refs(self._mirror, (*some, "/"), done):
                raise self._failure(self._mirror, done)
            if len(some) > 1:
                middle = len(some) // 2
                waiting += [some[:middle], some[middle:]]
            elif bound < self._mirror.timeout / PARTS and done.code == git_command.TIMED_OUT:
                self._lessons.doubt(some)  # it had next to no time
            else:
                self._blame(some[0], done)

    def _asked(self, refs: list[str], seconds: float) -> Finished | None:
        """Fetch exactly these refs. None: they came."""
        if not refs:
            return None
        specs = (f"+{ref}:{ref}" for ref in refs)
        words = (*FETCH, *self._options, "--", self._mirror.url, *specs)
        done = self._mirror.git(*words, seconds=seconds)
        if done.code == 0:
            self._lessons.praise(refs)
            return None
        drop_leftovers(self._mirror)
        return done

    def _blame(self, ref: str, done: Finished) -> None:
        if FSCK not in done.err:
            self._listed((ref,))  # or else the line is to blame
        if FSCK not in done.err and done.code != git_command.TIMED_OUT:
            examine(self._mirror)  # or else the mirror is
        self._lessons.blame(ref, self._there[ref], _why(done))
        self._forget(ref)

    def _forget(self, ref: str) -> None:
        self._mirror.git("update-ref", "-d", ref)

    def _listed(self, names: tuple[str, ...]) -> dict[str, str]:
        bound = self._mirror.timeout / LISTING
        done = self._mirror.git("ls-remote", "--refs", "--", self._mirror.url, seconds=bound)
        if done.code != 0:
            raise self._failure(self._mirror, done)
        rows = (line.split("\t") for line in done.out.decode("utf-8", "replace").splitlines())
        return {row[1]: row[0] for row in rows if len(row) == 2 and covers(names, row[1])}  # noqa: PLR2004


def _why(done: Finished) -> str:
    """Say what is wrong with a ref: git names the object first, and what follows from it after."""
    if done.code == git_command.TIMED_OUT:
        return f"its objects took too long to come: {done.err}"
    lines = [line.strip() for line in done.err.splitlines()]
    marked = [line for line in lines if line.startswith(("error:", "fatal:"))]
    return marked[0][:300] if marked else git_command.last_word(done)
