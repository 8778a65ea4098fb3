"""Asks a remote whether it would let us push, without pushing anything."""

from __future__ import annotations

from fleet import git_command, mirror
from fleet.errors import RejectedError, RepositoryError, UnreachableError
from fleet.git_names import check_ref, check_url, redacted
from fleet.mirror import Mirror
from fleet.push_report import Outcome, read_report

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from fleet.access import Access

WHO = ("-c", "user.name=MIaaS", "-c", "user.email=miaas@localhost")


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
        tree = _said(place, "hash-object", "-t", "tree", "-w", "--stdin")
        commit = _said(place, *WHO, "commit-tree", "-m", "rehearsal", tree)
        spec = f"{commit}:{check_ref(ref)}"
        options = ("--dry-run", "--porcelain", "--no-verify", "--force")
        done = place.git("push", *options, "--", place.url, spec)
    outcome, why = read_report(done.code, done.out.decode("utf-8", "replace"), done.err)
    if outcome is Outcome.REJECTED:
        raise RejectedError(f"{redacted(url)} would refuse: {why}")
    if outcome is not Outcome.MOVED:
        last = git_command.last_word(done)
        raise UnreachableError(f"cannot push to {redacted(url)}: {last}")


def _said(place: Mirror, *arguments: str) -> str:
    done = place.git(*arguments)
    if done.code != 0:
        raise RepositoryError(f"cannot use {place.folder}: {git_command.last_word(done)}")
    return done.out.decode("ascii").strip()
