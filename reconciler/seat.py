"""A reconciler's place among others of the same fleet: what it knows of the lease, and its bids."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from fleet.port import RefUpdate, Repository
from reconciler.decide import Pass
from reconciler.leading import (
    Duty,
    Standing,
    bidding,
    due,
    duty,
    freed,
    looked,
    next_lease,
    next_look,
)
from schemas.layout import LEADER_FILE, LEADER_REF
from schemas.leader import Leader, dump_leader
from schemas.names import CommitId

# Renewals of many fleets on one forge are not made at the same moment.
_EARLIEST: Final = 0.8


@dataclass(slots=True)
class Seat:
    """Kept from pass to pass.

    name: how people know this reconciler; two may have the same. is_guest: it ends after one pass,
    so it leaves the lease free in the same push in which it takes it. standing: what is known of
    the lease; a guest is given what the one before it knew.
    """

    name: str
    rng: random.Random
    is_guest: bool = False
    standing: Standing = field(default_factory=Standing)
    duty: Duty | None = None
    leader: Leader | None = None
    _bid: Leader | None = None
    _lease: timedelta | None = None
    _share: float = 1.0

    def look(self, result: Pass, now: datetime) -> Duty | None:
        """Say what this pass may do. None: the fleet elects no leader, and it may publish.

        now: when everything was read, by the even clock.
        """
        self._lease, self.leader = result.observed.lease, result.observed.leader
        self.standing = looked(self.standing, result.snapshot.led, now)
        self.duty = None if self._lease is None else duty(self.standing, self._lease, now)
        if self.duty is not None and self.leader is not None and self.leader.released:
            self.duty = Duty.CLAIM
        return self.duty

    def is_over(self, now: datetime) -> bool:
        """Whether the lease that this pass began with has ended meanwhile."""
        over = self._lease is not None and self.duty is Duty.LEAD
        return over and duty(self.standing, self._lease or timedelta(), now) is not Duty.LEAD

    def is_due(self, now: datetime) -> bool:
        """Whether the lease has to be pushed even if nothing else is."""
        if self._lease is None:
            return self._is_left_behind
        if self.duty is not Duty.LEAD:
            return self.duty is Duty.CLAIM and not self.is_guest
        then = due(self.standing, self._lease, self._share)
        return then is None or now >= then

    def bid(
        self, state: Repository, result: Pass, began: datetime, wall: datetime
    ) -> tuple[RefUpdate, ...]:
        """Write the lease that is to move with this pass's decision. Empty: none has to."""
        if self._lease is None or self.duty is None:
            return self._ended(state, result, wall) if self._is_left_behind else ()
        lease = next_lease(
            what=self.duty,
            last=result.observed.leader,
            name=self.name,
            lease=self._lease,
            wall=wall,
        )
        lease = replace(lease, released=self.is_guest)
        subject = f"{lease.holder} leads: term {lease.term}, {lease.sequence}\n"
        made = _written(state, lease, subject, wall)
        self._bid = lease
        self.standing = bidding(self.standing, made, began)
        self._share = self.rng.uniform(_EARLIEST, 1.0)
        return (RefUpdate(LEADER_REF, made, result.snapshot.led),)

    @property
    def _is_left_behind(self) -> bool:
        """Whether a lease stands though people ended the election.

        It would count again where the settings cannot be read, and perhaps nobody would renew it.
        """
        return self._lease is None and self.leader is not None and not self.leader.released

    def _ended(self, state: Repository, result: Pass, wall: datetime) -> tuple[RefUpdate, ...]:
        if self.leader is None:
            return ()
        subject = f"no leader is elected any more, after term {self.leader.term}\n"
        made = _written(state, freed(self.leader), subject, wall)
        return (RefUpdate(LEADER_REF, made, result.snapshot.led),)

    def hand_back(self, state: Repository, now: datetime, wall: datetime) -> tuple[RefUpdate, ...]:
        """Write that our lease is free, because this reconciler ends. Empty: it is not ours.

        now: by the even clock.
        """
        last = self._bid
        if self.duty is not Duty.LEAD or last is None or self.is_over(now):
            return ()
        free = freed(last)
        subject = f"{free.holder} hands the lease back: term {free.term}\n"
        made = _written(state, free, subject, wall)
        return (RefUpdate(LEADER_REF, made, self.standing.at),)

    def won(self, bids: tuple[RefUpdate, ...], now: datetime) -> None:
        """Know that a bid was taken."""
        for one in bids:
            self.standing = looked(self.standing, one.new, now)
            self.duty = None if self.duty is None else Duty.LEAD

    def longest(self, poll: timedelta, now: datetime) -> timedelta:
        """How long to wait at most for the next pass, if nothing else is to be done."""
        if self._lease is None:
            return poll
        return min(poll, next_look(self.standing, self._lease, self._share, now))


def _written(state: Repository, lease: Leader, subject: str, wall: datetime) -> CommitId:
    tree = state.write(None, {LEADER_FILE: dump_leader(lease).encode()})
    return state.commit(tree, parent=None, message=subject, at=wall)
