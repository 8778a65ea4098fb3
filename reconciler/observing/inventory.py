"""What each node is worth now. All arithmetic with time is here; after this nobody knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from reconciler.observing.node import Node
from reconciler.observing.snapshot import Observed
from schemas.heartbeat import Heartbeat
from schemas.names import NodeName


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest heartbeat of a node, and when we saw it first, by our own clock."""

    incarnation: str
    sequence: int
    seen_at: datetime


Sightings: TypeAlias = Mapping[NodeName, Sighting]


def sight(sightings: Sightings, heartbeats: tuple[Heartbeat, ...], now: datetime) -> Sightings:
    """Remember what is newly heard of. A node that was never seen before counts as seen now."""
    raise NotImplementedError


def judge(observed: Observed, now: datetime, sightings: Sightings) -> tuple[Node, ...]:
    """Say of every node with a record how fresh it is and what it has room for, by name."""
    raise NotImplementedError
