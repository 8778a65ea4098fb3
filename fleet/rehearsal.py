"""Asks a remote what it would let us push, without moving anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleet import git_command, mirror
from fleet.errors import RejectedError, RepositoryError, UnreachableError
from fleet.git_names import check_ref, check_url, redacted
from fleet.mirror import Mirror
from fleet.push_report import Outcome, read_report

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from fleet.access import Access

# What a server without a rule says: it would, and cannot, for a ref is no folder.
CANNOT = ("failed to update ref", "cannot lock ref")
# What git says for a hook or a hidden ref. Forges have words of their own for protected refs.
REFUSED = ("hook declined", "hidden ref", "protected", "prohibited")
PROBE = "doctor"

WHO = ("-c", "user.name=MIaaS", "-c", "user.email=miaas@localhost")


class Guard(StrEnum):
    """Whether a rule of the remote keeps us from a ref."""

    HELD = "held"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the remote said. why: in its own words, for a person."""

    guard: Guard
    why: str


def ask_guarded(url: str, folder: str, ref: str, *, access: Access) -> Answer:
    """Ask whether a rule keeps us from what is below `ref`, which has to be there.

    Hooks speak to real pushes alone, so this is one: of a ref below `ref`. A rule refuses it. Where
    there is none, git cannot make it, since `ref` is in the way. So nothing moves in either case.

    Raises:
        RepositoryError: the URL is none that may be used, or the mirror in `folder` is no use.
    """
    place = Mirror(check_url(url), folder, access=access)
    with mirror.held(place):
        mirror.create(place)
        seen = place.git("ls-remote", "--", place.url, check_ref(ref))
        if seen.code != 0 or not seen.out:
            return Answer(Guard.UNKNOWN, f"{ref} is not there, or nobody answers")
        probe = f"{ref}/{PROBE}"
        done = place.git("push", *_WORDS, "--", place.url, f"{_nothing(place)}:{probe}")
        outcome, why = read_report(done.code, done.out.decode("utf-8", "replace"), done.err)
        if outcome is Outcome.MOVED:
            # `ref` went away in this very moment, and must find its place free when it is back.
            place.git("push", *_WORDS, "--", place.url, f":{probe}")
    return Answer(_guard(outcome, why), why or git_command.last_word(done))


def _guard(outcome: Outcome, why: str) -> Guard:
    if outcome is Outcome.MOVED or any(sign in why for sign in CANNOT):
        return Guard.OPEN
    return Guard.HELD if any(sign in why for sign in REFUSED) else Guard.UNKNOWN


def rehearse_push(url: str, folder: str, ref: str, *, access: Access) -> None:
    """Go through a push of `ref` up to the moment in which it would move.

    What a hook of the server would say stays unknown: it is only asked by a real push.

    Raises:
        RejectedError: we may not write there.
        UnreachableError: no answer.
        RepositoryError: the URL is none that may be used, or the mirror in `folder` is no use.
    """
    place = Mirror(check_url(url), folder, access=access)
    with mirror.held(place):
        mirror.create(place)
        spec = f"{_nothing(place)}:{check_ref(ref)}"
        done = place.git("push", "--dry-run", *_WORDS, "--", place.url, spec)
    outcome, why = read_report(done.code, done.out.decode("utf-8", "replace"), done.err)
    if outcome is Outcome.REJECTED:
        raise RejectedError(f"{redacted(url)} would refuse: {why}")
    if outcome is not Outcome.MOVED:
        last = git_command.last_word(done)
        raise UnreachableError(f"cannot push to {redacted(url)}: {last}")


_WORDS = ("--porcelain", "--no-verify", "--force")


def _nothing(place: Mirror) -> str:
    """A commit without files."""
    tree = _said(place, "hash-object", "-t", "tree", "-w", "--stdin")
    return _said(place, *WHO, "commit-tree", "-m", "rehearsal", tree)


def _said(place: Mirror, *arguments: str) -> str:
    done = place.git(*arguments)
    if done.code != 0:
        raise RepositoryError(f"cannot use {place.folder}: {git_command.last_word(done)}")
    return done.out.decode("ascii").strip()
