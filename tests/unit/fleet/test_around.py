"""Fetching around what cannot be had, against a remote of dicts that a test makes hang."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from fleet.access import Access
from fleet.around import PARTS, SLOWNESS, Around
from fleet.errors import RepositoryError, UnreachableError
from fleet.fetching import bring
from fleet.git_command import TIMED_OUT, Finished
from fleet.lessons import TRIALS, Lessons
from fleet.mirror import Mirror

MAIN = "refs/heads/main"
NODES = "refs/miaas/nodes/"
ASSIGNED = "refs/miaas/assigned/"
ALL = (MAIN, ASSIGNED, NODES)
TIMEOUT = 60.0
FSCK = Finished(128, b"", "fatal: fsck error in packed object")
KIND = Finished(128, b"", "error: 1 is a tree, not a blob\nfatal: index-pack failed")
HANGS = Finished(TIMED_OUT, b"", "no answer")
GONE = Finished(128, b"", "fatal: couldn't find remote ref refs/miaas/nodes/n7")
DOWN = Finished(128, b"", "fatal: Could not read from remote repository.")
FULL = Finished(128, b"", "error: No space left on device\nfatal: index-pack failed")


class Dicts(Mirror):
    """A mirror whose git is a remote of dicts.

    there: where refs stand. bad: how a fetch ends that brings one of these ids. connecting, each:
    seconds that a call takes, and more for each ref that comes. now: seconds that went by. asked:
    what fetched and listed, and for how many refs.
    """

    def __init__(self, folder: Path, there: dict[str, str]) -> None:
        super().__init__("ssh://host/x.git", str(folder / "m.git"), access=Access())
        self.there = there
        self.here: dict[str, str] = {}
        self.bad: dict[str, Finished] = {}
        self.line: Finished | None = None
        self.connecting = 0.0
        self.each = 0.0
        self.now = 0.0
        self.asked: list[tuple[str, int]] = []

    def refs(self, wanted: Iterable[str]) -> dict[str, str]:
        names = tuple(wanted)
        return {ref: at for ref, at in self.here.items() if covered(ref, names)}

    def git(self, *arguments: str, data: bytes = b"", seconds: float | None = None) -> Finished:
        del data
        if arguments[0] == "update-ref":
            self.here.pop(arguments[2], None)
        if arguments[0] not in ("fetch", "ls-remote"):
            return Finished(0, b"", "")
        bound = TIMEOUT if seconds is None else seconds
        names = [word.partition(":")[2].rstrip("*") for word in arguments if word[0] == "+"]
        wanted = {ref: at for ref, at in self.there.items() if covered(ref, tuple(names))}
        moved = [ref for ref, at in wanted.items() if self.here.get(ref) != at]
        needed = self.connecting + self.each * len(moved)
        done = HANGS if needed > bound else self.line or self._answer(arguments[0], names, wanted)
        self.now += bound if done.code == TIMED_OUT else needed
        return done

    def _answer(self, word: str, names: list[str], wanted: dict[str, str]) -> Finished:
        if word == "ls-remote":
            self.asked.append((word, len(self.there)))
            rows = (f"{at}\t{ref}\n" for ref, at in self.there.items())
            return Finished(0, "".join(rows).encode(), "")
        self.asked.append((word, len(wanted)))
        for ref, at in wanted.items():
            if at in self.bad and self.here.get(ref) != at:
                return self.bad[at]
        self.here = {ref: at for ref, at in self.here.items() if not covered(ref, tuple(names))}
        self.here |= wanted
        return Finished(0, b"", "")


def covered(ref: str, names: tuple[str, ...]) -> bool:
    return any(ref == name or (name[-1] == "/" and ref.startswith(name)) for name in names)


def a_remote(folder: Path, nodes: int = 300) -> Dicts:
    """A remote with a branch, and with nodes of which each was told something."""
    refs = {MAIN: "m"}
    refs |= {f"{ASSIGNED}n{number}": f"a{number}" for number in range(nodes)}
    return Dicts(folder, refs | {f"{NODES}n{number}": f"b{number}" for number in range(nodes)})


def failure(_mirror: Mirror, done: Finished) -> RepositoryError:
    return UnreachableError(done.err)


def around(mirror: Dicts, lessons: Lessons) -> Around:
    return Around(mirror, (), lessons, failure, clock=lambda: mirror.now)


def brought(mirror: Dicts, lessons: Lessons) -> dict[str, str]:
    """Fetch as `bring` does, by the mirror's clock."""
    if lessons.is_wary_of(ALL):
        around(mirror, lessons).fetch(ALL)
    elif mirror.git("fetch", *(f"+{name}:{name}" for name in ALL)).code:
        around(mirror, lessons).search(ALL)
    return mirror.refs(ALL)


def beat(mirror: Dicts, number: int) -> set[str]:
    """Let each node but those that are bad say something new, and give what they said."""
    news = {
        ref: f"{ref} {number}"
        for ref, at in mirror.there.items()
        if ref.startswith(NODES) and at not in mirror.bad
    }
    mirror.there |= news
    return set(news.values())


@pytest.mark.parametrize("how", [FSCK, KIND, HANGS])
def test_one_bad_ref_hides_no_other(tmp_path: Path, how: Finished) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    mirror.bad = {"b7": how}

    found = bring(mirror, ALL, lessons)

    assert found == {ref: at for ref, at in mirror.there.items() if at != "b7"}
    assert {ref: at for ref, (at, _) in lessons.refused.items()} == {f"{NODES}n7": "b7"}


@pytest.mark.parametrize("how", [FSCK, KIND, HANGS])
def test_a_bad_ref_costs_one_listing_until_it_moves(tmp_path: Path, how: Finished) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    mirror.bad = {"b7": how}
    bring(mirror, ALL, lessons)
    mirror.asked.clear()
    mirror.now = 0.0

    mirror.there[f"{NODES}n8"] = "news"
    found = bring(mirror, ALL, lessons)

    assert found[f"{NODES}n8"] == "news"
    assert [kind for kind, _ in mirror.asked] == ["ls-remote", "fetch"]
    assert mirror.now == 0.0


def test_who_was_bad_is_tried_apart_and_in_the_end_trusted(tmp_path: Path) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    mirror.bad = {"b7": HANGS, "worse": HANGS}
    bring(mirror, ALL, lessons)

    mirror.there |= {f"{NODES}n7": "worse", f"{NODES}n8": "news"}
    mirror.now = 0.0
    found = bring(mirror, ALL, lessons)

    assert (found.get(f"{NODES}n7"), found[f"{NODES}n8"]) == (None, "news")
    assert mirror.now == TIMEOUT / PARTS
    for number in range(TRIALS):
        mirror.there[f"{NODES}n7"] = f"good{number}"
        assert bring(mirror, ALL, lessons) == mirror.there
    mirror.asked.clear()
    bring(mirror, ALL, lessons)
    assert (lessons.refused, [kind for kind, _ in mirror.asked]) == ({}, ["fetch"])


def test_a_bad_ref_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    mirror.bad = {"b7": FSCK}
    bring(mirror, ALL, lessons)

    del mirror.there[f"{NODES}n7"]

    assert bring(mirror, ALL, lessons) == mirror.there
    assert (lessons.refused, lessons.suspects) == ({}, {})


def test_however_many_are_bad_the_time_is_bounded_and_all_are_found(tmp_path: Path) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    mirror.bad = {f"b{number}": HANGS for number in range(0, 300, 10)}

    for number in range(60):
        mirror.now = 0.0
        beat(mirror, number)
        found = brought(mirror, lessons)
        assert mirror.now <= 2 * TIMEOUT + TIMEOUT / PARTS  # of all that are trusted, and in halves
        assert found[MAIN] == "m"
        assert len([ref for ref in found if ref.startswith(ASSIGNED)]) == 300

    assert found == {ref: at for ref, at in mirror.there.items() if at not in mirror.bad}
    assert {at for at, _ in lessons.refused.values()} == mirror.bad.keys()


def test_what_there_was_no_time_for_stays_where_it_was_and_makes_no_suspects(
    tmp_path: Path,
) -> None:
    mirror, lessons = a_remote(tmp_path, nodes=2), Lessons()
    bring(mirror, ALL, lessons)
    mirror.there |= {f"{NODES}n0": "x", f"{NODES}n1": "y"}
    clock = iter([0.0, 0.0, 0.0, TIMEOUT])

    Around(mirror, (), lessons, failure, clock=lambda: next(clock)).search(ALL)

    assert mirror.here[f"{NODES}n0"] == "b0"
    assert (lessons.refused, lessons.suspects) == ({}, {})
    assert lessons.left == [[f"{NODES}n0", f"{NODES}n1"]]
    mirror.asked.clear()
    assert bring(mirror, ALL, lessons) == mirror.there
    assert (mirror.asked, lessons.left) == ([("fetch", 5)], [])


@pytest.mark.parametrize("connecting", [0.0, 4.0, 5.5, 10.0])
def test_one_stall_costs_no_more_than_itself_however_slow_connecting_is(
    tmp_path: Path, connecting: float
) -> None:
    mirror, lessons = a_remote(tmp_path, nodes=50), Lessons()
    mirror.connecting = connecting
    brought(mirror, lessons)
    beat(mirror, 1)

    around(mirror, lessons).search(ALL)

    assert mirror.here == mirror.there
    assert (lessons.refused, lessons.suspects) == ({}, {})
    mirror.asked.clear()
    beat(mirror, 2)
    assert brought(mirror, lessons) == mirror.there
    assert mirror.asked == [("fetch", 101)]


@pytest.mark.parametrize("where", [0, 7, 150, 299])
def test_one_bad_ref_on_a_thin_line_makes_nobody_silent(tmp_path: Path, where: int) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    bring(mirror, ALL, lessons)
    mirror.connecting, mirror.each = 1.0, 1 / 7
    mirror.there[f"{NODES}n{where}"] = "bad"
    mirror.bad = {"bad": FSCK}
    heard: set[str] = set()

    for number in range(4):
        news = beat(mirror, number)
        found = brought(mirror, lessons)
        heard |= {ref for ref, at in found.items() if at in news}

    assert len(heard) == 299
    assert news < set(found.values())
    assert lessons.suspects.keys() == {f"{NODES}n{where}"}


@pytest.mark.parametrize("how", [FSCK, KIND, HANGS])
@pytest.mark.parametrize("connecting", [2.5, 10.0])
def test_a_search_that_takes_longer_than_a_call_may_goes_on_where_it_was(
    tmp_path: Path, how: Finished, connecting: float
) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    bring(mirror, ALL, lessons)
    mirror.connecting = connecting
    mirror.there[f"{NODES}n0"] = "bad"
    mirror.bad = {"bad": how}

    for number in range(10):
        news = beat(mirror, number)
        with contextlib.suppress(UnreachableError):  # if nothing of what moved came
            brought(mirror, lessons)

    assert news < set(mirror.here.values())
    assert lessons.suspects.keys() == {f"{NODES}n0"}


def test_a_line_over_which_nothing_comes_in_time_is_no_fault_of_a_ref(tmp_path: Path) -> None:
    mirror, lessons = a_remote(tmp_path, nodes=4), Lessons()
    bring(mirror, ALL, lessons)
    mirror.each = 61.0

    for number in range(3):
        beat(mirror, number)
        with pytest.raises(UnreachableError):
            brought(mirror, lessons)

    assert (lessons.refused, lessons.suspects) == ({}, {})


@pytest.mark.parametrize(("short", "blamed"), [(-0.1, 1), (0.0, 1), (0.1, 0)])
def test_nobody_is_blamed_for_time_who_had_less_than_thrice_a_listing(
    tmp_path: Path, short: float, blamed: int
) -> None:
    mirror, lessons = a_remote(tmp_path, nodes=1), Lessons()
    bring(mirror, ALL, lessons)
    mirror.there[f"{NODES}n0"] = "bad"
    mirror.bad = {"bad": HANGS}
    clock = iter([0.0, 3.0, 0.0, TIMEOUT - SLOWNESS * 3.0 + short, TIMEOUT])

    Around(mirror, (), lessons, failure, clock=lambda: next(clock)).search(ALL)

    assert len(lessons.refused) == blamed


def test_a_ref_that_goes_while_it_is_searched_is_not_blamed(tmp_path: Path) -> None:
    class Going(Dicts):
        def git(self, *arguments: str, data: bytes = b"", seconds: float | None = None) -> Finished:
            if arguments[0] == "fetch" and any(word.endswith("n7") for word in arguments):
                self.there.pop(f"{NODES}n7", None)
                return GONE
            return super().git(*arguments, data=data, seconds=seconds)

    mirror, lessons = Going(tmp_path, a_remote(tmp_path, nodes=10).there), Lessons()

    around(mirror, lessons).search((MAIN, NODES))

    assert mirror.here == {ref: at for ref, at in mirror.there.items() if ASSIGNED not in ref}
    assert (lessons.refused, lessons.suspects) == ({}, {})


@pytest.mark.parametrize("line", [DOWN, HANGS, FULL])
def test_a_line_that_fails_or_a_full_disk_is_no_fault_of_a_ref(
    tmp_path: Path, line: Finished
) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    bring(mirror, ALL, lessons)
    mirror.line = line

    with pytest.raises(UnreachableError):
        bring(mirror, ALL, lessons)

    mirror.line = None
    assert bring(mirror, ALL, lessons) == mirror.there
    assert (lessons.refused, lessons.suspects) == ({}, {})


def test_a_branch_that_takes_too_long_is_no_missing_branch(tmp_path: Path) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    mirror.bad = {"m": HANGS}

    with pytest.raises(UnreachableError):
        bring(mirror, ALL, lessons)

    assert lessons.refused == {}


def test_who_asks_by_name_or_has_little_time_fetches_once(tmp_path: Path) -> None:
    mirror = a_remote(tmp_path)
    mirror.bad = {"b7": HANGS}

    with pytest.raises(UnreachableError):
        bring(mirror, (MAIN, f"{NODES}n7"), Lessons())
    mirror.ends = 1.0
    with pytest.raises(UnreachableError):
        bring(mirror, ALL, Lessons())

    assert [kind for kind, _ in mirror.asked] == ["fetch", "fetch"]


def test_a_quiet_fetch_is_one_call(tmp_path: Path) -> None:
    mirror, lessons = a_remote(tmp_path), Lessons()
    bring(mirror, ALL, lessons)
    mirror.asked.clear()

    bring(mirror, ALL, lessons)

    assert mirror.asked == [("fetch", 601)]
