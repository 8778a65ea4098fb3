"""One pass, and the pacing around it. Shell.

read everything  ->  decide (pure)  ->  publish what was decided
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from fleet.port import Commit, Repository, RepositoryError, StaleError
from reconciler.decide import Pass, decide
from reconciler.leading import Duty
from reconciler.observing.read import Reader
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import Fate, preview
from reconciler.publishing.publish import publish
from reconciler.rebalancing import Published, Tried, may_move, moved_lately, rebalanced
from reconciler.rendering.port import Renderer
from reconciler.rolling.marks import Memory
from reconciler.rolling.restores import PUT_BACK, seen
from reconciler.seat import Seat
from schemas.fleet import Timings
from schemas.names import CommitId
from schemas.problem import BadDocumentError, Problem

log = logging.getLogger(__name__)

# Somebody else published between our reading and our push, five times running: let them.
STALE_TRIES: Final = 5
# After a failure: at once could be a hammer, a minute is as long as a person will wait.
BACK_OFF_FIRST: Final = timedelta(seconds=1)
BACK_OFF_LAST: Final = timedelta(seconds=60)
# Passes on heartbeats alone, at most one in this time: 500 nodes send some 17 in a second.
CALM: Final = timedelta(seconds=1)
# Waits differ by a tenth, so that many programs on one forge do not ask at the same moment.
JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished pass. commit: what was published; None: nothing had to be, or others lead."""

    result: Pass
    commit: CommitId | None


class Clock(Protocol):
    """What time it is, in two senses."""

    def steady(self) -> datetime:
        """Now, on a clock that counts evenly and is never set."""

    def wall(self) -> datetime:
        """Now, as people say it: for the date of commits."""


def pass_once(  # noqa: PLR0913, PLR0917 - what is kept from pass to pass, most of it optional
    reader: Reader,
    renderer: Renderer,
    memory: Memory,
    clock: Clock,
    tried: Tried | None = None,
    seat: Seat | None = None,
) -> Outcome:
    """Read, decide, publish. Who comes too late reads and decides again; nothing is ever merged.

    tried: the same for every pass of a loop, so that a search in vain is not made again. seat: its
    place among other reconcilers; None: it publishes whoever else there is.

    Raises:
        RepositoryError: a remote did not answer, or refused, or somebody else kept publishing.
        BadDocumentError: our own last decision cannot be understood.
        BrokenPlanError: the plan broke a promise, and nothing was published.
    """
    tries = 0
    while True:
        began = clock.steady()
        result = _decided(reader.read(), began, memory, renderer, clock)
        # Its lease counts for a standby from when it was seen, not from when the look for it began.
        if seat is not None and seat.look(result, clock.steady()) is Duty.STAND_BY:
            return Outcome(_unlifted(result, memory), None)
        if may_move(result):
            lately = moved_lately(_published(reader.log(result.snapshot)), clock.wall())
            result = rebalanced(result, lately, renderer, tried or Tried())
        tries += 1
        try:
            commit = _publish(reader.state, result, clock, seat, began)
        except StaleError:
            if tries == STALE_TRIES:
                raise
            memory = _unlifted(result, memory).memory
            log.info("somebody else published first", extra={"pairs": {"tries": tries}})
        else:
            return Outcome(_noted(result, commit), commit)


def _unlifted(result: Pass, before: Memory) -> Pass:
    """Find the state restored again in the next pass, where this one lifted no generations."""
    if not result.facts.lifts:
        return result
    return replace(result, memory=before.blind_to_a_restore(result.memory))


def _noted(result: Pass, commit: CommitId | None) -> Pass:
    """Remember what was published: if it is gone at the next look, the state was restored.

    While nothing may change no node is told anything, and what was known before counts.
    """
    if commit is None or result.observed.frozen:
        return result
    return replace(result, memory=seen(result.memory, result.assignments))


def _decided(
    snapshot: Snapshot, began: datetime, memory: Memory, renderer: Renderer, clock: Clock
) -> Pass:
    """Decide. If we stood still since we began to read, nobody's silence meanwhile says anything.

    What was read may be from before that, and then everybody would look silent for as long.
    """
    now, wall = clock.steady(), clock.wall()
    result = decide(snapshot, now, memory, renderer, wall)
    if now - began <= result.observed.fleet.timings.late:
        return result
    seconds = round((now - began).total_seconds())
    log.warning("read for too long to call a node silent", extra={"pairs": {"seconds": seconds}})
    return decide(snapshot, now, memory.forgiving(now), renderer, wall)


def _publish(
    state: Repository, result: Pass, clock: Clock, seat: Seat | None, began: datetime
) -> CommitId | None:
    """Publish, and move the lease in the same push, or alone when it is due.

    Raises:
        RepositoryError: as for `pass_once`.
    """
    if seat is None:
        return publish(state, result, clock.wall())
    if seat.is_over(clock.steady()):
        raise StaleError("the pass took longer than the lease")
    is_due = seat.is_due(clock.steady())
    if result.changes.nothing and not is_due:
        return None
    bids = seat.bid(state, result, began, clock.wall())
    commit = publish(state, result, clock.wall(), bids)
    if commit is None:
        state.push(bids)
    seat.won(bids, clock.steady())
    return commit


def _published(log: Iterable[Commit]) -> Iterator[Published]:
    for commit in log:
        yield Published(commit.at, commit.message, first=not commit.parents)


class Waiting(Protocol):
    """Waits between passes, and is woken by news."""

    def wait(self, longest: timedelta, calm: timedelta) -> None:
        """Return when people committed, when machines spoke and `calm` is over, or at `longest`."""

    @property
    def stopped(self) -> bool:
        """Whether the program is asked to end."""


@dataclass(slots=True)
class Loop:
    """Pass after pass, until it is stopped.

    saved: called with new memory, to keep it over a restart. seat: as for `pass_once`.
    """

    reader: Reader
    renderer: Renderer
    clock: Clock
    waiting: Waiting
    rng: random.Random
    memory: Memory
    saved: Callable[[Memory], None]
    seat: Seat | None = None
    _patience: timedelta = Timings().late
    _tried: Tried = field(default_factory=Tried)
    _failures: int = 0
    _said: tuple[Problem, ...] = field(default=())
    _complaint: str = ""
    _duty: Duty | None = None

    def run(self) -> None:
        """Go on until the waiting says that it is over. No failure ends this."""
        while not self.waiting.stopped:
            longest = self._pass()
            self.waiting.wait(longest * (1 + self.rng.uniform(-JITTER, JITTER)), CALM)
        self._hand_back()

    def _hand_back(self) -> None:
        """Let a standby take over at once. If that fails, it does when the lease is over."""
        if self.seat is None:
            return
        clock, state = self.clock, self.reader.state
        try:
            bids = self.seat.hand_back(state, clock.steady(), clock.wall())
            if bids:
                state.push(bids)
                log.info("handed the lease back", extra={"pairs": {"name": self.seat.name}})
        except (RepositoryError, OSError) as error:
            log.warning("lease not handed back", extra={"pairs": {"error": str(error)}})

    def _pass(self) -> timedelta:
        """Make one pass, and say how long to wait at most for the next."""
        try:
            memory = self.memory.after_a_gap(self.clock.steady(), self._patience)
            outcome = pass_once(
                self.reader, self.renderer, memory, self.clock, self._tried, self.seat
            )
            self._keep(outcome.result.memory)
        # OSError: no process or file can be had now (descriptors, memory, a full disk).
        except (RepositoryError, BadDocumentError, AssertionError, OSError) as error:
            return self._failed(error)
        if self._complaint:
            log.info("passes succeed again", extra={"pairs": {"failed": self._failures}})
        self._failures, self._complaint = 0, ""
        self._patience = outcome.result.observed.fleet.timings.late
        self._tell_notices(outcome.result)
        self._tell_duty()
        tell(outcome)
        poll = outcome.result.observed.fleet.timings.poll
        return poll if self.seat is None else self.seat.longest(poll, self.clock.steady())

    def _keep(self, memory: Memory) -> None:
        is_new = replace(memory, read_at=None) != replace(self.memory, read_at=None)
        self.memory = memory
        if is_new:
            self.saved(memory)

    def _failed(self, error: Exception) -> timedelta:
        complaint = f"{type(error).__name__}: {error}"
        # The same failure is one event, however often it is met.
        if complaint != self._complaint:
            level = logging.ERROR if isinstance(error, AssertionError) else logging.WARNING
            log.log(level, "the pass failed", extra={"pairs": {"error": complaint}})
        self._complaint = complaint
        self._failures += 1
        # Past ten doublings the last wait is reached whatever the first was.
        doublings = min(self._failures - 1, 10)
        return min(BACK_OFF_FIRST * (1 << doublings), BACK_OFF_LAST)

    def _tell_duty(self) -> None:
        if self.seat is None or self.seat.duty is self._duty:
            return
        self._duty = self.seat.duty
        leader = self.seat.leader
        pairs = {"name": self.seat.name, "before": leader.holder if leader else ""}
        log.info(self._duty or "no leader is elected", extra={"pairs": pairs})

    def _tell_notices(self, result: Pass) -> None:
        for notice in result.notices:
            if notice not in self._said:
                log.warning("odd heartbeat", extra={"pairs": {"notice": notice}})
        self._said = result.notices


def tell(outcome: Outcome) -> None:
    """Write one log line of a pass that changed something."""
    if outcome.commit is None:
        return
    if outcome.result.facts.lifts:
        log.warning(PUT_BACK, extra={"pairs": {"commit": outcome.commit[:12]}})
    found = preview(outcome.result)
    counts = {fate.value: found.count(fate) for fate in Fate}
    pairs = {
        "commit": outcome.commit[:12],
        "source": (outcome.result.observed.source or "")[:12],
        **counts,
        **({"rebalanced": len(moves)} if (moves := outcome.result.moves) else {}),
        "nodes": len(found.nodes),
        "unplaced": len(outcome.result.plan.refusals),
        "held": len(outcome.result.held),
        "problems": len(found.problems),
    }
    log.info("decision published", extra={"pairs": pairs})
