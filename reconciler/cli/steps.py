"""How a merge comes in: what happens at once, and what waits for what. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.conditions.deployments import hold_text
from reconciler.decide import Pass
from reconciler.observing.observe import frozen_by
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import Fate, ReplicaChange, preview, preview_of_aim
from reconciler.rolling.holding import holds_of
from reconciler.web.banners import banners, frozen_text
from reconciler.web.looking import facts_of, first_renewed, led
from schemas.assignment import Hold
from schemas.names import DeploymentName, NodeName, ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One deployment of which not all is done at once. first: the replicas of it that are."""

    deployment: DeploymentName
    first: tuple[ReplicaName, ...]
    holds: tuple[Hold, ...]

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        waits = [hold_text(hold.replicas, hold.text) for hold in self.holds]
        first = [f"{', '.join(self.first)} at once"] if self.first else []
        return f"{self.deployment}: {'; '.join((*first, *waits))}"


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
    """Say it of every deployment that something of what it comes to is held back, by name."""
    changes = preview_of_aim(result).replicas
    touched = {change.replica for change in changes}
    done = _done(result)
    made = []
    for name, holds in sorted(holds_of(result.brakes).items()):
        waiting = tuple(
            Hold(reason=hold.reason, text=hold.text, replicas=ours)
            for hold in holds
            if (ours := tuple(one for one in hold.replicas if one in touched))
        )
        held = {one for hold in waiting for one in hold.replicas}
        first = tuple(
            change.replica
            for change in changes
            if change.deployment == name and change.replica in done - held
        )
        if waiting:
            made.append(Step(deployment=name, first=first, holds=waiting))
    return tuple(made)


def _done(result: Pass) -> frozenset[ReplicaName]:
    """Who becomes in this very pass what it will come to be, as far as nodes go."""
    now = {change.replica: _place(change) for change in preview(result).replicas}
    return frozenset(
        change.replica
        for change in preview_of_aim(result).replicas
        if now.get(change.replica) == _place(change)
    )


def _place(change: ReplicaChange) -> tuple[Fate, NodeName | None]:
    return change.fate, change.goes_to
