"""Fetch around refs that cannot be had: whoever may push one ref must not hide all others.

A fetch is one for all refs, and one bad ref makes it fail: an object that git refuses, or some MB
that unpack to GBs and take longer than a call may. Then refs are fetched in halves, each with
little time, until those to blame stand alone. They are remembered with the id at which they
stand, and left out until they move; then they are tried apart from the others for a while. A
search that there was no time to end goes on where it was, if the next fetch of all fails again.

Light, like git_command.py: an agent's quick look uses it.
"""

from __future__ import annotations

import time

from fleet import git_command
from fleet.lessons import covers
from fleet.mirror import drop_leftovers, examine

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final

    from fleet.errors import RepositoryError
    from fleet.git_command import Finished
    from fleet.lessons import Lessons
    from fleet.mirror import Mirror

FETCH: Final = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--quiet")
PARTS: Final = 12  # 5 s of a minute for one half: the refs of 300 honest nodes take under one
SLOWNESS: Final = 3  # times what listing just took: no half has less, however slow connecting is
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
        self._clock = clock
        self._there: dict[str, str] = {}
        self._left: list[list[str]] = []
        self._enough = mirror.timeout / PARTS  # seconds after which a ref may be to blame
        self._ends = 0.0

    def fetch(self, names: tuple[str, ...]) -> None:
        """Fetch what can be had below these names, the suspects apart.

        What there was no time for stays where it was, and comes first if it is searched again.

        Raises:
            RepositoryError: the line, the remote or the mirror is to blame.
        """
        *trusted, suspects = self._groups(names)
        failed = [group for group in trusted if self._failed(group, self._mirror.timeout)]
        self._search([*failed, suspects])

    def search(self, names: tuple[str, ...]) -> None:
        """Do the same after a fetch of all of them failed: in halves from the start.

        Raises:
            RepositoryError: as above.
        """
        self._search(self._groups(names))

    def _groups(self, names: tuple[str, ...]) -> list[list[str]]:
        """Fetch what was asked for by name; give what else moved: by prefix, and last suspects."""
        moved = self._moved(names)
        self._left = self._lessons.take_left(names)
        self._fetch_exact([ref for ref in moved if ref in names])
        below = [ref for ref in moved if ref not in names]
        suspects = self._lessons.suspects
        groups = [
            [ref for ref in below if ref.startswith(name) and ref not in suspects]
            for name in names
            if name[-1] == "/"
        ]
        return [*groups, [ref for ref in below if ref in suspects]]

    def _moved(self, names: tuple[str, ...]) -> list[str]:
        """List the remote, and give the refs that may be fetched and are not here."""
        began = self._clock()
        self._there = self._listed(names)
        self._enough = max(self._enough, SLOWNESS * (self._clock() - began))
        self._lessons.forget_gone(names, self._there)
        here = self._mirror.refs(names)
        for ref in here.keys() - self._there.keys():
            self._forget(ref)
        self._lessons.praise(ref for ref, at in self._there.items() if here.get(ref) == at)
        refused = self._lessons.refused
        return [
            ref
            for ref, at in self._there.items()
            if here.get(ref) != at and refused.get(ref, ("",))[0] != at
        ]

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
                self._blame({ref: alone})

    def _search(self, groups: list[list[str]]) -> None:
        self._ends = self._clock() + self._mirror.timeout
        for group in groups:
            self._blame(self._fetch_halves(group))

    def _fetch_halves(self, refs: list[str]) -> dict[str, Finished]:
        """Fetch refs of one group. Gives those that failed alone, with what git said."""
        alone: dict[str, Finished] = {}
        ends: list[Finished | None] = []
        waiting = self._parts(refs)
        for some, done in self._tries(waiting):
            ends.append(done)
            middle = len(some) // 2
            if done and middle:
                waiting += [some[middle:], some[:middle]]
            elif done:
                alone[some[0]] = done
        self._lessons.left += waiting
        self._check_line(refs, ends)
        return alone

    def _tries(self, waiting: list[list[str]]) -> Iterator[tuple[list[str], Finished | None]]:
        """Fetch what waits, the last first, while there is time. None: it came."""
        while waiting and (left := self._ends - self._clock()) > 0:
            some = waiting.pop()
            done = self._failed(some, min(left, self._enough))
            if done and done.code == git_command.TIMED_OUT and left < self._enough:
                waiting.append(some)  # it had next to no time
                return
            yield some, done

    def _check_line(self, refs: list[str], ends: list[Finished | None]) -> None:
        """Raise if none of a group's refs came in time: not all of them are bad, the line is."""
        if len(refs) < 2 or refs[0] in self._lessons.suspects:  # noqa: PLR2004
            return  # alone it had the time of a whole fetch before; who was bad may be so again
        slow = [done for done in ends if done and done.code == git_command.TIMED_OUT]
        if slow and len(slow) == len(ends):
            raise self._failure(self._mirror, slow[-1])

    def _parts(self, refs: list[str]) -> list[list[str]]:
        """Go on where the last search ended: what had its turn comes after what had none."""
        wanted = set(refs)
        left = [[ref for ref in part if ref in wanted] for part in self._left]
        wanted.difference_update(*left)
        return [part for part in ([ref for ref in refs if ref in wanted], *left) if part]

    def _failed(self, refs: list[str], seconds: float) -> Finished | None:
        """Fetch exactly these refs. None: they came.

        Raises:
            RepositoryError: they did not, and none of them is to blame.
        """
        done = self._asked(refs, seconds)
        if done is not None and not is_of_refs(self._mirror, (*refs, "/"), done):
            raise self._failure(self._mirror, done)
        return done

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

    def _blame(self, alone: dict[str, Finished]) -> None:
        """Remember refs that failed alone, if they are still there."""
        unclear = [ref for ref, done in alone.items() if FSCK not in done.err]
        there = self._listed(unclear) if unclear else {}  # or else the line is to blame
        if any(alone[ref].code != git_command.TIMED_OUT for ref in there):
            examine(self._mirror)  # or else the mirror is
        for ref, done in alone.items():
            if ref in there or ref not in unclear:
                self._lessons.blame(ref, self._there[ref], _why(done))
            self._forget(ref)

    def _forget(self, ref: str) -> None:
        self._mirror.git("update-ref", "-d", ref)

    def _listed(self, names: Iterable[str]) -> dict[str, str]:
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
