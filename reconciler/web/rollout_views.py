"""What people see of a rollout, and of what waits. Field names are those of the JSON API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.conditions.condition import Condition
from schemas.assignment import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """How the newest version of a deployment comes in.

    revision: the commit of main that brought it; empty where unknown. ready: replicas that are
    ready in it. text: all this in a sentence; empty once it is everywhere. since: when this phase
    began; null where unknown.
    """

    phase: Phase = Phase.SETTLED
    revision: str = ""
    ready: int = 0
    text: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """Why some replicas are not changed, or not started yet, and since when."""

    reason: str
    text: str
    replicas: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentView:
    """A replica that is wanted and has no node. goes_to: where it would; empty: nowhere yet.

    kept_by: replicas that have its room there for now; empty: its room is free, or nobody knows.
    """

    name: str
    goes_to: str
    kept_by: tuple[str, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderView:
    """Who may run, or last ran, a replica of which no two copies may run.

    epoch: the number of its grant. moves_to: the node it is on its way to; empty: it stays.
    """

    replica: str
    node: str
    epoch: int
    moves_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BannerView:
    """Something that holds back the whole fleet. kind: one word for programs."""

    kind: str
    text: str
