"""How a node fares. Pure: how long it is silent was judged before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.observing.duties import UNKNOWN, Duties
from reconciler.observing.node import Freshness, Node
from schemas.fleet import Timings
from schemas.node import Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """All that is known of a node that has a record.

    duty: as its record says. seen_at: when it was last heard of. back_at: when it came back from
    being lost; None: it was not lost. left: replicas that it still has, or was told to run. stays:
    why one of these cannot leave for now. broken: what is wrong with its document, and where;
    empty: nothing. Then `duty` is the one of a stand-in.
    duties: since when main says of it what it says. source: the commit of main that says so.
    docker_since, disk_since: since when its engine answers or not, and its disk is nearly full or
    not, as it says itself; None: it does not.
    """

    node: Node
    duty: Duty
    seen_at: datetime | None
    back_at: datetime | None
    left: Sequence[str]
    timings: Timings
    duties: Duties = UNKNOWN
    source: str = ""
    docker_since: datetime | None = None
    disk_since: datetime | None = None
    stays: str = ""
    broken: str = ""


def node_conditions(one: Host) -> tuple[Condition, ...]:
    """Say how a node fares."""
    return (
        _ready(one),
        _silent(one, ConditionType.LATE, one.timings.late),
        _silent(one, ConditionType.LOST, one.timings.lost),
        _cordoned(one),
        _draining(one),
        _pressed(one),
        _held_down(one),
    )


def is_drained(one: Host) -> bool:
    """Whether it is to be empty, and is known to be."""
    is_sure = _is_heard(one.node) and one.node.freshness is not Freshness.CONTESTED
    # A Docker that does not answer tells nobody what it still runs.
    is_sure = is_sure and not one.node.runtime_error
    return one.duty is Duty.DRAINING and not one.left and is_sure


def _is_heard(node: Node) -> bool:
    return node.freshness in {Freshness.READY, Freshness.RETURNING, Freshness.CONTESTED}


def _ready(one: Host) -> Condition:
    node, kind = one.node, ConditionType.READY
    match node.freshness:
        case Freshness.UNSEEN:
            return _never_heard_of(one, kind)
        case Freshness.LATE:
            at = _after(one, one.timings.late)
            return _made(kind, Status.UNKNOWN, "Late", "it is silent", at)
        case Freshness.LOST:
            at = _after(one, one.timings.lost)
            return _made(kind, Status.FALSE, "Lost", "it is silent for long", at)
        case _:
            pass
    if node.freshness is Freshness.CONTESTED:
        return _made(kind, Status.FALSE, "TwoMachines", "two machines speak under its name")
    if node.runtime_error:
        text = node.runtime_error
        return _made(kind, Status.FALSE, "DockerDoesNotAnswer", text, one.docker_since)
    since = max((at for at in (one.back_at, one.docker_since) if at is not None), default=None)
    return _made(kind, Status.TRUE, "Speaks", "it was heard of in time", since)


def _silent(one: Host, kind: ConditionType, span: timedelta) -> Condition:
    if one.node.freshness is Freshness.UNSEEN:
        return _never_heard_of(one, kind)
    reached = {ConditionType.LATE: (Freshness.LATE, Freshness.LOST)}.get(kind, (Freshness.LOST,))
    seconds = int(span.total_seconds())
    if one.node.freshness in reached:
        text = f"no heartbeat for more than {seconds} s"
        return _made(kind, Status.TRUE, "NoHeartbeat", text, _after(one, span))
    if one.node.freshness is Freshness.LATE:
        text = f"it is silent, and not for more than {seconds} s"
        return _made(kind, Status.FALSE, "NotForLong", text, one.back_at)
    return _made(kind, Status.FALSE, "HeardOf", "its heartbeats arrive", one.back_at)


def _never_heard_of(one: Host, kind: ConditionType) -> Condition:
    text = "no heartbeat of it ever arrived"
    return _made(kind, Status.UNKNOWN, "NeverHeardOf", text, one.duties.admitted)


def _after(one: Host, span: timedelta) -> datetime | None:
    return None if one.seen_at is None else one.seen_at + span


def _cordoned(one: Host) -> Condition:
    status = Status.TRUE
    reason, text = one.duty.value.capitalize(), "it takes nothing new"
    if one.broken:
        reason, text = "DocumentUnusable", f"it takes nothing new: {one.broken}"
    elif one.node.suspended:
        reason, text = "Suspended", "suspended: nothing on it is changed; what runs goes on"
    elif one.duty is Duty.ACTIVE:
        status, text = Status.FALSE, "it takes work"
    made = _made(ConditionType.CORDONED, status, reason, text, one.duties.cordoned)
    return replace(made, observed_revision=one.source)


def _draining(one: Host) -> Condition:
    is_draining = one.duty is Duty.DRAINING
    status = Status.TRUE if is_draining else Status.FALSE
    reason, text = _drain(one) if is_draining else ("NotDraining", "it keeps what it has")
    made = _made(ConditionType.DRAINING, status, reason, text, one.duties.draining)
    return replace(made, observed_revision=one.source)


def _drain(one: Host) -> tuple[str, str]:
    """One word, and a clause, for how far a drain has come."""
    if one.left:
        names = ", ".join(one.left) if len(one.left) <= 6 else f"{len(one.left)} replicas"  # noqa: PLR2004 - a line has to stay one
        return "Moving", f"still has {names}{f': {one.stays}' if one.stays else ''}"
    if is_drained(one):
        return "Empty", "drained: nothing of ours is left on it"
    return "NotKnown", "nothing is assigned to it, and what still runs there is not known"


def _pressed(one: Host) -> Condition:
    kind = ConditionType.DISK_PRESSURE
    if one.node.freshness is Freshness.UNSEEN:
        return _never_heard_of(one, kind)
    if not _is_heard(one.node):
        since = _after(one, one.timings.late)
        return _made(kind, Status.UNKNOWN, "Silent", "it is silent", since)
    if one.node.disk_pressure:
        return _made(kind, Status.TRUE, "NearlyFull", one.node.disk_pressure, one.disk_since)
    return _made(kind, Status.FALSE, "RoomLeft", "its disk has room", one.disk_since)


def _held_down(one: Host) -> Condition:
    kind = ConditionType.HELD_DOWN
    if one.node.freshness is not Freshness.RETURNING:
        return _made(kind, Status.FALSE, "NotHeldDown", "it did not come back of late")
    text = "it was lost and came back: it is given nothing new until it was heard of for a while"
    return _made(kind, Status.TRUE, "CameBack", text, one.back_at)


def _made(
    kind: ConditionType, status: Status, reason: str, message: str, since: datetime | None = None
) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message, since=since)
