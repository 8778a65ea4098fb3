"""fleet.yaml: the settings of the whole fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from schemas.names import FleetName
from schemas.problem import Place
from schemas.resources import Resources, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How often machines speak, and how long silence is borne.

    heartbeat: longest time between two heartbeats of an agent.
    late: a node silent for this long gets nothing new. Three heartbeats: one lost push is no event.
    lost: a node silent for this long counts as gone.
    poll: time between two looks at a remote that cannot be watched.
    """

    heartbeat: timedelta = timedelta(seconds=30)
    late: timedelta = timedelta(seconds=90)
    lost: timedelta = timedelta(minutes=5)
    poll: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """Host ports for `auto`, both ends included. Below Linux's ephemeral ports (32768)."""

    first: int = 20000
    last: int = 29999


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceBudget:
    """How many running replicas may be moved to improve the packing. 0 means: propose only."""

    moves_per_pass: int = 0
    moves_per_hour: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The parsed fleet.yaml. Holding one means that it is valid.

    strategy: None means: pack what needs GPUs, spread the rest.
    reserved: kept free on every node for the host itself, unless the node's record says otherwise.
    """

    name: FleetName
    timings: Timings = field(default_factory=Timings)
    ports: PortRange = field(default_factory=PortRange)
    strategy: Strategy | None = None
    reserved: Resources = field(default_factory=Resources)
    rebalance: RebalanceBudget = field(default_factory=RebalanceBudget)
    place: Place = field(default=Place(path="fleet.yaml"))
