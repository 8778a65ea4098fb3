"""The words of holding back: why a replica stays as it is, or is not started yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.placing.plan import Bound
from schemas.assignment import Hold
from schemas.names import DeploymentName, ReplicaName, split_replica


class Because(StrEnum):
    """Why a replica is held, in one word; the worst first."""

    SUSPENDED = "suspended"  # the fleet, its node or its deployment is
    MASS_LOSS = "massLoss"  # so many nodes are silent that the fault is probably ours
    EVACUATION = "evacuation"  # other lost nodes go first
    LOST = "lost"  # its node is silent, and it is not to be replaced, or cannot be
    HOMELESS = "homeless"  # no node takes it: its own is drained, or it is a new version
    FENCE = "fence"  # another copy may still run
    DEPENDENCY = "dependency"  # what it depends on is not ready
    WINDOW = "window"  # no changes are made at this time
    SILENT = "silent"  # its node was not heard of lately
    WAVE = "wave"  # nodes of an earlier wave come first
    CANARY = "canary"  # the first ones have to prove themselves
    SURGE = "surge"  # an extra replica has to be ready first
    GATE = "gate"  # others have to be ready first
    STALLED = "stalled"  # the rollout failed, and goes no further


@dataclass(frozen=True, slots=True)
class Held:
    """Why one replica is held. text: a clause for people."""

    because: Because
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Brakes:
    """Which replicas are held in a pass. Frozen ones stay as published, absent ones do not run."""

    frozen: Mapping[ReplicaName, Held] = field(default_factory=dict)
    absent: Mapping[ReplicaName, Held] = field(default_factory=dict)

    @property
    def bound(self) -> Bound:
        """For the planner."""
        return Bound(frozen=frozenset(self.frozen), absent=frozenset(self.absent))

    def of(self, replica: ReplicaName) -> Held | None:
        """Why a replica is held; None: it is not."""
        return self.frozen.get(replica) or self.absent.get(replica)


NO_BRAKES = Brakes()


def holds_of(brakes: Brakes) -> Mapping[DeploymentName, tuple[Hold, ...]]:
    """Say it by deployment: replicas with the same words together, the worst first."""
    grouped: dict[DeploymentName, dict[Held, list[ReplicaName]]] = {}
    for replica, held in sorted({**brakes.absent, **brakes.frozen}.items()):
        name = split_replica(replica)[0]
        grouped.setdefault(name, {}).setdefault(held, []).append(replica)
    rank = {one: place for place, one in enumerate(Because)}
    return {
        name: tuple(
            Hold(reason=held.because.value, text=held.text, replicas=tuple(replicas))
            for held, replicas in sorted(
                groups.items(), key=lambda pair: (rank[pair[0].because], pair[0].text)
            )
        )
        for name, groups in grouped.items()
    }
