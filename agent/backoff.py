"""How long to wait after a failure. Pure: the time is a number, the dice are an argument."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

# Ten seconds let a restarting daemon come back; five minutes keep a broken image from hurting.
FIRST_SECONDS = 10.0
LONGEST_SECONDS = 300.0
# A replica may be healed this often at once before it counts as a crash loop ...
FREE_STARTS = 3
# ... and is forgiven after this long without another start.
FORGIVEN_AFTER_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What became of the last tries at one thing.

    subject: what was tried, a tree id for a replica; tries at another subject count from nothing.
    not_before: seconds on the boot clock; until then there is no other try.
    message: why the last try failed; empty when it did not.
    """

    subject: str = ""
    failures: int = 0
    starts: int = 0
    last: float = 0.0
    not_before: float = 0.0
    message: str = ""


def delay(failures: int, rng: random.Random, longest: float = LONGEST_SECONDS) -> float:
    """Seconds to wait after so many failures in a row: 10, 20, 40 ... 300, and up to a fifth more.

    The jitter only lengthens: a fleet that lost its registry must not come back in one beat.
    """
    base = min(longest, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return min(longest, base * (1.0 + rng.random() / 5.0))


def failed(  # noqa: PLR0913  # what was tried, how it ended, and when
    tries: Tries,
    subject: str,
    message: str,
    now: float,
    rng: random.Random,
    *,
    longest: float = LONGEST_SECONDS,
) -> Tries:
    """Note a failure: the next try waits longer than the last, but no longer than `longest`."""
    before = tries.failures if tries.subject == subject else 0
    return Tries(
        subject=subject,
        failures=before + 1,
        starts=tries.starts if tries.subject == subject else 0,
        last=now,
        not_before=now + delay(before + 1, rng, longest),
        message=message,
    )


def cut_short(tries: Tries, subject: str, now: float) -> Tries:
    """Note a try of which nobody knows how it ended: what was not tried since comes first now.

    It is no failure, and nothing waits for it.
    """
    known = tries if tries.subject == subject else Tries(subject=subject)
    return replace(known, last=now)


def started(tries: Tries, subject: str, now: float, rng: random.Random) -> Tries:
    """Note a start that went well. Too many of them in a row are a crash loop, and wait too."""
    known = tries.subject == subject and now - tries.last < FORGIVEN_AFTER_SECONDS
    starts = tries.starts + 1 if known else 1
    wait = delay(starts - FREE_STARTS, rng) if starts > FREE_STARTS else 0.0
    return replace(Tries(), subject=subject, starts=starts, last=now, not_before=now + wait)


def waits(tries: Tries, subject: str, now: float) -> bool:
    """Whether it is too early for another try at this subject."""
    return tries.subject == subject and now < tries.not_before
