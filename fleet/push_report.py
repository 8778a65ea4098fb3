"""Read what `git push --porcelain` says happened."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What became of a push."""

    MOVED = "moved"
    STALE = "stale"
    REJECTED = "rejected"
    UNCLEAR = "unclear"  # git said nothing about the refs: no answer, or no such object here


# Our own git compares each ref with its lease before it sends anything.
_STALE_LEASE: Final = ("stale info", "fetch first", "remote ref updated since")
# The server compares again while it moves them. Only then do these lines stand in stderr.
_FAILED_MOVE: Final = ("transaction failed", "failed to update ref")
_STALE_MOVE: Final = (
    "but expected",
    "reference already exists",
    "unable to resolve reference",
    "reference is missing",
    "File exists",  # another push holds the lock file at this moment
    "incorrect old value",
)
_FOLLOWS: Final = ("atomic push fail",)  # some other ref's fault


def read_report(code: int, out: str, err: str) -> tuple[Outcome, str]:
    """Judge a push, with the line that says why."""
    refused = [line.split("\t")[-1] for line in out.splitlines() if line.startswith("!\t")]
    if code == 0 and not refused:
        return Outcome.MOVED, ""
    if "remote ref does not exist" in err:
        return Outcome.STALE, "a ref to delete is already gone"
    if "does not support --atomic" in err:
        return Outcome.REJECTED, "the remote cannot push several refs atomically"
    causes = [line for line in refused if not _has(line, _FOLLOWS)]
    why = (causes or refused or [""])[0]
    lost_race = any(_has(line, _FAILED_MOVE) for line in refused) and _has(err, _STALE_MOVE)
    if lost_race or any(_has(line, _STALE_LEASE) for line in refused):
        return Outcome.STALE, why
    if any("rejected]" in line for line in refused):
        return Outcome.REJECTED, f"{why}{_said(err)}"
    return Outcome.UNCLEAR, ""


def _has(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)


def _said(err: str) -> str:
    """Add what the remote's hook printed, which is where it explains itself."""
    lines = [line for line in err.splitlines() if line.startswith("remote:")]
    told = [line.removeprefix("remote:").strip() for line in lines]
    return "".join(f"; {line}" for line in told if line)[:300]
