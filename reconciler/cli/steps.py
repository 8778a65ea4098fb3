"""How a merge comes in: what happens at once, and what waits for what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.coming import Coming, coming
from reconciler.conditions.deployments import hold_text
from reconciler.decide import Pass
from reconciler.observing.observe import frozen_by
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import Fate, ReplicaChange
from reconciler.rolling.holding import holds_of
from reconciler.web.banners import banners, frozen_text
from reconciler.web.looking import facts_of, first_renewed, led
from schemas.assignment import Hold
from schemas.names import DeploymentName, ReplicaName, split_replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What is done to a replica at once that is not what it comes to. text: a clause for people."""

    replica: ReplicaName
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One deployment of which not all is done at once.

    first: the replicas of it that are. meanwhile: what is done besides, and does not last.
    """

    deployment: DeploymentName
    first: tuple[ReplicaName, ...]
    holds: tuple[Hold, ...]
    meanwhile: tuple[Meanwhile, ...] = ()

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        first = [f"{', '.join(self.first)} at once"] if self.first else []
        passing = [f"{one.replica} {one.text}" for one in self.meanwhile]
        waits = [hold_text(hold.replicas, hold.text) for hold in self.holds]
        return f"{self.deployment}: {'; '.join((*first, *passing, *waits))}"


def remarks_of(result: Pass, now: datetime) -> tuple[str, ...]:
    """Say what holds back the whole fleet, the worst first."""
    facts = led(facts_of(result), first_renewed(result.observed, now), now)
    return tuple(one.text for one in banners(facts))


def remarks_on(pushed: Snapshot, result: Pass) -> tuple[str, ...]:
    """Say that nothing may change as main is pushed, where a work tree is planned.

    A work tree follows no accepted commit yet, and what is broken on main may be mended in it.
    """
    frozen = frozen_by(pushed)
    if not frozen or frozen == result.observed.frozen:
        return ()
    return (f"{frozen_text(frozen[0])} So it is on main as pushed. Fix: {frozen[0].fix}.",)


def removals_of(result: Pass) -> tuple[str, ...]:
    """Say that removals are held; nothing, where none are."""
    return tuple(one.text for one in banners(facts_of(result)) if one.kind == "removals")


def steps_of(result: Pass) -> tuple[Step, ...]:
    """Say it of every deployment that not all of what it comes to is done at once, by name."""
    seen = coming(result)
    names = sorted({split_replica(replica)[0] for replica in (*seen.ends, *seen.now)})
    holds = holds_of(result.brakes)
    steps = (_step(name, _touched(holds.get(name, ()), seen), seen) for name in names)
    return tuple(step for step in steps if step.holds or step.meanwhile)


def _touched(holds: tuple[Hold, ...], seen: Coming) -> tuple[Hold, ...]:
    """What is held of what it comes to, without those that nothing is to be done to."""
    return tuple(
        replace(hold, replicas=ours)
        for hold in holds
        if (ours := tuple(one for one in hold.replicas if one in seen.ends))
    )


def _step(name: DeploymentName, holds: tuple[Hold, ...], seen: Coming) -> Step:
    return Step(
        deployment=name,
        first=tuple(c.replica for c in _of(name, seen.ends.values()) if seen.is_done(c.replica)),
        meanwhile=tuple(_passing(change, seen) for change in _of(name, seen.passing)),
        holds=holds,
    )


def _of(name: DeploymentName, changes: Iterable[ReplicaChange]) -> Iterator[ReplicaChange]:
    return (change for change in changes if change.deployment == name)


def _passing(change: ReplicaChange, seen: Coming) -> Meanwhile:
    """Say what is done to a replica now that is not what it comes to."""
    end = seen.ends.get(change.replica)
    stays = end.goes_to if end else change.was_on
    if change.fate is Fate.REMOVE:
        why = "for a while" if stays in {None, change.was_on} else f"to start on {stays}"
        text = f"is stopped on {change.was_on} at once, {why}"
    elif stays is None or stays == change.goes_to:
        text = "at once, for a while"
    else:
        text = f"at once, but on {change.goes_to}"
    return Meanwhile(replica=change.replica, text=text)
