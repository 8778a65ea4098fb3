"""Bring refs from the remote into the mirror, with as few round trips as can be.

Light, like git_command.py: an agent's quick look uses it.

- `--depth=1` only at the first sight of a ref. After that a plain fetch asks where refs stand,
  and ends there if nothing moved; with a depth, git would go on to ask for objects each time.
- git refuses a whole fetch if one exact ref is missing. A ref that was not there when last asked
  is therefore asked for as a pattern, which may match nothing.
"""

from __future__ import annotations

from fleet import git_command
from fleet.around import AFAR, FETCH, FSCK, Around, is_of_refs
from fleet.errors import DamagedError, RepositoryError, UnreachableError
from fleet.git_names import redacted
from fleet.lessons import Lessons
from fleet.mirror import (
    count_change,
    create,
    do_upkeep,
    drop_leftovers,
    drop_old_leftovers,
    drop_stale_locks,
    examine,
    is_upkeep_due,
)

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from fleet.git_command import Finished
    from fleet.mirror import Mirror

FIRST: Final = ("--depth=1",)
_MISSING: Final = "couldn't find remote ref "
_NOT_GIVEN: Final = ("not our ref", "unadvertised object")


def prepare(mirror: Mirror) -> bool:
    """Make the mirror if there is none, and do what upkeep is due. Call it while holding it.

    Gives whether there was upkeep: readers that run must then be started anew.
    """
    create(mirror)
    drop_old_leftovers(mirror)
    if not is_upkeep_due(mirror):
        return False
    do_upkeep(mirror)
    return True


def bring(mirror: Mirror, wanted: Iterable[str], lessons: Lessons) -> dict[str, str]:
    """Fetch refs and say where they stand. `lessons`: told of what was asked for in vain.

    Raises:
        UnreachableError, DamagedError, RepositoryError: as they say.
    """
    wanted = tuple(dict.fromkeys(wanted))
    before = mirror.refs(wanted)
    new = tuple(name for name in wanted if name not in lessons.absent and not _stands(name, before))
    old = tuple(name for name in wanted if name not in new)
    for names, options in ((new, FIRST), (old, ())):
        _fetch(mirror, names, options, before, lessons)
    found = mirror.refs(wanted)
    lessons.absent.difference_update(wanted)
    lessons.absent.update(name for name in wanted if not _stands(name, found))
    if found != before:
        count_change(mirror)
    return found


def bring_history(mirror: Mirror, ref: str) -> str | None:
    """Fetch a ref with all its ancestors. None: the remote does not have it."""
    before = mirror.refs((ref,))
    # The depth that git itself uses for "no bound"; `--unshallow` fails on a whole mirror.
    _fetch(mirror, (ref,), ("--depth=2147483647",), before, Lessons())
    count_change(mirror)
    return mirror.refs((ref,)).get(ref)


def bring_lost(mirror: Mirror, commit: str) -> bool:
    """Fetch a commit that no ref leads to, with its history. False: the remote gives it not."""
    done = _asked(mirror, "--depth=2147483647", "--", mirror.url, commit)
    if done.code == 0:
        count_change(mirror)
        return True
    if any(sign in done.err for sign in _NOT_GIVEN):
        return False
    raise _failure(mirror, done)


def _asked(mirror: Mirror, *words: str) -> Finished:
    """Let git fetch. A fetch that is ended leaves what had come by then, which nobody can use."""
    done = mirror.git(*FETCH, *words)
    if done.code != 0:
        drop_leftovers(mirror)
    return done


def _stands(name: str, found: dict[str, str]) -> bool:
    return any(ref.startswith(name) for ref in found) if name[-1] == "/" else name in found


def _fetch(
    mirror: Mirror,
    names: tuple[str, ...],
    options: tuple[str, ...],
    before: dict[str, str],
    lessons: Lessons,
) -> None:
    """Fetch; a ref that turns out to be missing is forgotten, and the rest fetched again."""
    if lessons.is_wary_of(names):
        Around(mirror, options, lessons, _failure).fetch(names)
        return
    unlocked = False
    while names:
        done = _asked(mirror, *options, "--prune", "--", mirror.url, *_specs(names, before))
        if done.code == 1 and options == FIRST and not done.err.strip():
            # Patterns that match nothing: with a depth, git fails at that and says no word.
            done = _asked(mirror, "--prune", "--", mirror.url, *_specs(names, before))
        if done.code == 0:
            lessons.take_left(names)
            return
        gone = _missing(done)
        if gone in names:
            _forget(mirror, gone, before)
            names = tuple(name for name in names if name != gone)
        elif is_of_refs(mirror, names, done):
            if FSCK not in done.err and done.code != git_command.TIMED_OUT:
                examine(mirror)
            Around(mirror, options, lessons, _failure).search(names)
            return
        elif ".lock': File exists" in done.err and not unlocked and drop_stale_locks(mirror):
            unlocked = True
        else:
            raise _failure(mirror, done)


def _specs(names: tuple[str, ...], before: dict[str, str]) -> list[str]:
    if len(names) == 1 and names[0][-1] != "/":
        return [f"+{names[0]}:{names[0]}"]  # if it is missing, nothing else is lost
    return [
        f"+{name}:{name}" if name in before else f"+{name}*:{name}*"
        for name in names
    ]  # fmt: skip


def _missing(done: Finished) -> str:
    _, found, rest = done.err.partition(_MISSING)
    return rest.splitlines()[0].strip() if found else ""


def _forget(mirror: Mirror, ref: str, before: dict[str, str]) -> None:
    if before.pop(ref, None) is not None:
        mirror.git("update-ref", "-d", ref)


def _failure(mirror: Mirror, done: Finished) -> RepositoryError:
    """Tell an unreachable remote from a damaged mirror by looking at the mirror."""
    message = f"cannot fetch from {redacted(mirror.url)}: {git_command.last_word(done)}"
    if ".lock': File exists" in done.err:
        return RepositoryError(message)
    if done.code != git_command.TIMED_OUT and not any(sign in done.err for sign in AFAR):
        try:
            examine(mirror)
        except DamagedError as damaged:
            return damaged
        if "cannot lock ref" in done.err or "bad object" in done.err:
            return DamagedError(message)  # a ref and a folder of one name: begin anew
    return UnreachableError(message)
