"""fleet.yaml: the settings of the whole fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from schemas.expressions import check_expressions, read_expression, write_expression
from schemas.guards import (
    Guards,
    Window,
    check_windows,
    read_guards,
    read_window,
    write_guards,
    write_window,
)
from schemas.marks import NO_MARKS, Marks
from schemas.names import FleetName
from schemas.page import Page, open_page
from schemas.problem import Place
from schemas.quantity import duration, format_duration
from schemas.resources import Drift, Expression, Resources, Strategy
from schemas.shape import present, read_resources, unless, write_document, write_resources


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
    drift: what agents do about it, unless the deployment says otherwise.
    waves: changes come to the nodes that meet the first of these first; to the rest last.
    windows: when what runs may be changed or moved by plan.
    suspend: nothing in the fleet is changed; what runs goes on.
    lease: of several reconcilers, one leads; a standby takes over after this. None: no election.
    marks: where each value stands in the file.
    """

    name: FleetName
    timings: Timings = field(default_factory=Timings)
    ports: PortRange = field(default_factory=PortRange)
    strategy: Strategy | None = None
    reserved: Resources = field(default_factory=Resources)
    rebalance: RebalanceBudget = field(default_factory=RebalanceBudget)
    drift: Drift = Drift.HEAL
    guards: Guards = field(default_factory=Guards)
    waves: tuple[Expression, ...] = ()
    windows: tuple[Window, ...] = ()
    suspend: bool = False
    lease: timedelta | None = None
    place: Place = field(default=Place(path="fleet.yaml"))
    marks: Marks = field(default=NO_MARKS, compare=False, repr=False)


def parse_fleet(text: str, *, path: str) -> Fleet:
    """Read fleet.yaml.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    page = open_page(text, path=path, schema="fleet")
    _check_timings(page)
    _check_ports(page)
    check_expressions(page, "spec", "waves")
    check_windows(page)
    _check_lease(page)
    page.close()
    spec = page.get("spec") or {}
    strategy = spec.get("placement", {}).get("strategy")
    rebalance = spec.get("rebalance", {})
    return Fleet(
        name=FleetName(page.get("metadata", "name")),
        timings=_timings(spec.get("timings", {})),
        ports=PortRange(**spec.get("ports", {})),
        strategy=None if strategy is None else Strategy(strategy),
        reserved=read_resources(spec.get("reserved", {})),
        rebalance=RebalanceBudget(
            moves_per_pass=rebalance.get("movesPerPass", 0),
            moves_per_hour=rebalance.get("movesPerHour", 0),
        ),
        drift=Drift(spec.get("drift", Drift.HEAL)),
        guards=read_guards(spec.get("guards", {})),
        waves=tuple(map(read_expression, spec.get("waves", []))),
        windows=tuple(map(read_window, spec.get("windows", []))),
        suspend=spec.get("suspend", False),
        lease=duration(spec["leader"]["lease"]) if "leader" in spec else None,
        place=Place(path),
        marks=page.marks,
    )


def dump_fleet(fleet: Fleet) -> str:
    """Write fleet.yaml, without what equals the defaults."""
    written = fleet.timings, Timings()
    spec = {
        "timings": present(
            {
                name: unless(*(format_duration(getattr(timings, name)) for timings in written))
                for name in _TIMINGS
            }
        ),
        "ports": present(
            {
                "first": unless(fleet.ports.first, PortRange().first),
                "last": unless(fleet.ports.last, PortRange().last),
            }
        ),
        "placement": present({"strategy": fleet.strategy and fleet.strategy.value}),
        "reserved": write_resources(fleet.reserved),
        "rebalance": present(
            {
                "movesPerPass": fleet.rebalance.moves_per_pass or None,
                "movesPerHour": fleet.rebalance.moves_per_hour or None,
            }
        ),
        "drift": unless(fleet.drift.value, Drift.HEAL.value),
        "guards": write_guards(fleet.guards),
        "waves": [write_expression(one) for one in fleet.waves],
        "windows": [write_window(one) for one in fleet.windows],
        "suspend": fleet.suspend or None,
        "leader": present({"lease": fleet.lease and format_duration(fleet.lease)}),
    }
    return write_document("Fleet", {"name": fleet.name}, spec)


_TIMINGS: Final = ("heartbeat", "late", "lost", "poll")
# More often than once a second wears out Git servers; less often than hourly is no fleet.
_SHORTEST: Final = timedelta(seconds=1)
# A third of it passes between two pushes of the leader, and a push may take a second.
LEASE_MIN: Final = timedelta(seconds=5)
_LONGEST: Final = timedelta(hours=1)


def _timings(plain: Mapping[str, Any]) -> Timings:
    return Timings(**{name: duration(text) for name, text in plain.items()})


def _check_timings(page: Page) -> None:
    if not page.sound("spec", "timings"):
        return
    given = page.get("spec", "timings") or {}
    timings = _timings(given)
    for name in ("heartbeat", "poll"):
        span = getattr(timings, name)
        if not _SHORTEST <= span <= _LONGEST:
            what = f"spec.timings.{name} is {format_duration(span)}, not from 1s to 1h"
            page.refuse(("spec", "timings", name), (what, "use 1s to 1h"))
    if timings.late <= timings.heartbeat:
        what = f"{_said(given, timings, 'heartbeat')}, but {_said(given, timings, 'late')}"
        three = 3 * timings.heartbeat
        fix = f"set late to 3 heartbeats, {format_duration(three)}: one lost push is no event"
        page.refuse(("spec", "timings", _first_of(given, "late", "heartbeat")), (what, fix))
    if timings.lost <= timings.late:
        what = f"{_said(given, timings, 'late')}, but {_said(given, timings, 'lost')}"
        fix = f"set lost to more than {format_duration(timings.late)}: late comes first"
        page.refuse(("spec", "timings", _first_of(given, "lost", "late")), (what, fix))


def _said(given: Mapping[str, Any], timings: Timings, name: str) -> str:
    note = "" if name in given else " (the default)"
    return f"spec.timings.{name} is {format_duration(getattr(timings, name))}{note}"


def _first_of(given: Mapping[str, Any], *names: str) -> str:
    return next((name for name in names if name in given), names[0])


def _check_lease(page: Page) -> None:
    if not page.sound("spec", "leader") or page.get("spec", "leader") is None:
        return
    lease = duration(page.get("spec", "leader", "lease"))
    if not LEASE_MIN <= lease <= _LONGEST:
        what = f"spec.leader.lease is {format_duration(lease)}, not from 5s to 1h"
        page.refuse(("spec", "leader", "lease"), (what, "use 60s"))


def _check_ports(page: Page) -> None:
    if not page.sound("spec", "ports"):
        return
    given = page.get("spec", "ports") or {}
    ports = PortRange(**given)
    if ports.first > ports.last:
        what = f"spec.ports goes from {ports.first} to {ports.last}, which is no port at all"
        fix = "set first to at most last"
        page.refuse(("spec", "ports", _first_of(given, "first", "last")), (what, fix))
