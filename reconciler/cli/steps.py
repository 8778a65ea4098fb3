"""How a merge comes in: what happens at once, and what waits for what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.cli.step_texts import passing_text, wait_text
from reconciler.coming import Coming, coming
from reconciler.conditions.deployments import hold_text
from reconciler.decide import Pass
from reconciler.observing.observe import frozen_by
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import ReplicaChange
from reconciler.rolling.holding import holds_of
from reconciler.web.banners import banners, frozen_text
from reconciler.web.looking import facts_of, first_renewed, led
from schemas.assignment import Hold
from schemas.names import DeploymentName, ReplicaName, split_replica

# The reason of a wait that no brake makes: room is not free yet, or nobody comes for it yet.
ROOM: Final = "room"


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
    waits = _waits(seen)
    steps = (
        _step(name, (*_touched(holds.get(name, ()), seen), *waits.get(name, ())), seen)
        for name in names
    )
    return tuple(step for step in steps if step.holds or step.meanwhile)


def _touched(holds: tuple[Hold, ...], seen: Coming) -> tuple[Hold, ...]:
    """What is held, without those that nothing is done to, now or in the end.

    An extra replica is held only where others wait for it.
    """
    touched = {*seen.ends, *seen.extra, *(change.replica for change in seen.passing)}
    return tuple(
        replace(hold, replicas=ours)
        for hold in holds
        if (ours := tuple(one for one in hold.replicas if one in touched))
    )


def _step(name: DeploymentName, holds: tuple[Hold, ...], seen: Coming) -> Step:
    return Step(
        deployment=name,
        first=tuple(c.replica for c in _of(name, seen.ends.values()) if seen.is_done(c.replica)),
        meanwhile=tuple(
            Meanwhile(replica=change.replica, text=passing_text(change, seen))
            for change in _of(name, seen.passing)
        ),
        holds=holds,
    )


def _waits(seen: Coming) -> Mapping[DeploymentName, tuple[Hold, ...]]:
    """Say what waits though no brake holds it, by deployment: the same words together."""
    found: dict[tuple[DeploymentName, str], list[ReplicaName]] = {}
    for change in seen.waiting:
        found.setdefault((change.deployment, wait_text(change, seen)), []).append(change.replica)
    waits: dict[DeploymentName, tuple[Hold, ...]] = {}
    for (name, text), replicas in sorted(found.items()):
        hold = Hold(reason=ROOM, text=text, replicas=tuple(replicas))
        waits[name] = (*waits.get(name, ()), hold)
    return waits


def _of(name: DeploymentName, changes: Iterable[ReplicaChange]) -> Iterator[ReplicaChange]:
    return (change for change in changes if change.deployment == name)
