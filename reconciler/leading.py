"""Which of several reconcilers decides: one leads, the others stand by. Pure.

Who leads moves the leader's ref with every decision, and otherwise three times in a lease, each
time from where it saw it. A standby that saw the ref unmoved for a lease, by its own even clock,
moves it first and leads from then on. So no clock of another machine is compared with ours; and if
two think that they lead, the ref moves for one of them, and the other's decision is refused whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from schemas.leader import COUNT_MAX, Leader
from schemas.names import CommitId

# A leader stops this much before its lease is over: clocks differ, and a push takes time.
USABLE: Final = 0.9
# Two renewals may fail before a standby takes over.
RENEWALS: Final = 3
# So far apart may be the clocks of who leads and of who looks for the first time. Machines that ask
# for the time are apart by much less; but a false word wakes somebody up.
CLOCKS: Final = timedelta(minutes=1)
# A standby takes over within so many leases after the leader was last heard of.
PATIENCE: Final = 2
# A wait that ends a little early is followed by another, not by a storm of them.
SHORTEST: Final = timedelta(milliseconds=200)


class Duty(StrEnum):
    """What a reconciler may do."""

    LEAD = "leads"
    CLAIM = "takes over"
    STAND_BY = "stands by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one reconciler knows of the lease, by its own even clock.

    at: where the ref stood at the last look; None: nowhere. moved: since when, as we saw it.
    made: leases of ours that were pushed or may have been, and when their pass began.
    """

    at: CommitId | None = None
    moved: datetime | None = None
    made: Mapping[CommitId, datetime] = field(default_factory=dict)

    @property
    def renewed(self) -> datetime | None:
        """When the pass began that made the lease that stands; None: it is not ours."""
        return None if self.at is None else self.made.get(self.at)


def looked(before: Standing, at: CommitId | None, now: datetime) -> Standing:
    """Know where the ref stands now.

    Once it moved, no push of ours that expected it elsewhere can arrive any more.
    """
    if before.moved is not None and at == before.at:
        return before
    made = {one: began for one, began in before.made.items() if one == at}
    return Standing(at=at, moved=now, made=made)


def bidding(before: Standing, lease: CommitId, began: datetime) -> Standing:
    """Know of a lease that is about to be pushed: its answer may be lost."""
    return replace(before, made={**before.made, lease: began})


def duty(standing: Standing, lease: timedelta, now: datetime) -> Duty:
    """Say what may be done after a look. A lease of ours that is over is claimed like any other."""
    if standing.at is None or standing.moved is None:
        return Duty.CLAIM
    if standing.renewed is not None:
        return Duty.LEAD if now < standing.renewed + lease * USABLE else Duty.CLAIM
    return Duty.CLAIM if now >= standing.moved + lease else Duty.STAND_BY


def is_gone(renewed: datetime, lease: timedelta, now: datetime) -> bool:
    """Whether who leads is dead, and no standby took over, for one who only looks.

    renewed: when the lease last was, by the clock of `now`, or by its holder's as far as we know.
    """
    return now - renewed > PATIENCE * lease + CLOCKS


def next_lease(
    *, what: Duty, last: Leader | None, name: str, lease: timedelta, wall: datetime
) -> Leader:
    """The document that renews our lease, or takes over."""
    seconds = max(1, round(lease.total_seconds()))
    if what is Duty.LEAD and last is not None:
        return replace(last, sequence=_after(last.sequence), lease_seconds=seconds)
    term = _after(last.term) if last is not None else 1
    return Leader(holder=name, term=term, sequence=1, lease_seconds=seconds, since=wall)


def freed(last: Leader) -> Leader:
    """The document that gives a lease back."""
    return replace(last, sequence=_after(last.sequence), released=True)


def _after(number: int) -> int:
    """Count on. It is for people only: after the largest that may be written it begins again."""
    return number + 1 if number < COUNT_MAX else 1


def due(standing: Standing, lease: timedelta, share: float) -> datetime | None:
    """When our lease wants to be renewed; None: it is not ours. share: of the usual time, to 1."""
    if standing.renewed is None:
        return None
    return standing.renewed + lease / RENEWALS * share


def next_look(standing: Standing, lease: timedelta, share: float, now: datetime) -> timedelta:
    """How long to wait at most: until our lease wants to be renewed, or another's is over."""
    then = due(standing, lease, share) or (standing.moved or now) + lease
    return max(then - now, SHORTEST)
