"""How one replica fares. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from reconciler.conditions.condition import Condition, ConditionType, Status, camel
from reconciler.observing.node import Freshness
from schemas.assignment import Hold, Phase
from schemas.heartbeat import ReplicaReport, ReplicaState
from schemas.names import NodeName

_SILENT: Final = {
    Freshness.CONTESTED: "is claimed by two machines",
    Freshness.LATE: "is late",
    Freshness.LOST: "is lost",
    Freshness.UNSEEN: "was never heard of",
}
_ON_THE_WAY: Final = (ReplicaState.PENDING, ReplicaState.STARTING, ReplicaState.STOPPING)
_ILL: Final = (ReplicaState.DEGRADED, ReplicaState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """All that is known of a replica that has a node.

    report: the last word of that node on it. is_current: it runs from the published files.
    hold: what keeps it from being changed, and since when. phase, source, good_source: of its
    deployment. told_at: when its node was last told to run it, or to run it otherwise, or no more.
    silent_since: when its node began to be silent for too long. Of all moments, None: unknown.
    """

    node: NodeName
    freshness: Freshness
    report: ReplicaReport | None
    is_current: bool
    hold: Hold | None = None
    held_since: datetime | None = None
    told_at: datetime | None = None
    silent_since: datetime | None = None
    phase: Phase = Phase.SETTLED
    source: str = ""
    good_source: str = ""

    @property
    def revision(self) -> str:
        """The commit of main whose version it runs; empty where that cannot be told."""
        # One that is held while versions change may run any of them.
        is_sure = self.phase is Phase.SETTLED or self.hold is None
        if not self.is_current or not is_sure:
            return ""
        return self.good_source if self.phase is Phase.ROLLED_BACK else self.source


def replica_conditions(one: Replica) -> tuple[Condition, ...]:
    """Say how a replica fares that has a node."""
    if one.freshness in _SILENT:
        return (*_unknown(one), _held(one))
    reason, message = _state(one)
    state = one.report.state if one.report else ReplicaState.PENDING
    moves = not one.is_current or state in _ON_THE_WAY
    is_ready = one.is_current and state is ReplicaState.RUNNING
    known = {
        ConditionType.READY: is_ready,
        ConditionType.PROGRESSING: moves and state not in _ILL,
        ConditionType.DEGRADED: state in _ILL,
    }
    return (
        *(
            _made(one, kind, _status(is_so), reason, message, _since(one, kind))
            for kind, is_so in known.items()
        ),
        _held(one),
    )


def _unknown(one: Replica) -> Iterator[Condition]:
    """What nobody knows of a replica whose node is silent, or is claimed twice."""
    reason = f"Node{one.freshness.value.capitalize()}"
    message = f"{one.node} {_SILENT[one.freshness]}"
    since = {
        Freshness.UNSEEN: one.told_at,
        Freshness.LATE: one.silent_since,
        Freshness.LOST: one.silent_since,
    }.get(one.freshness)
    for kind in (ConditionType.READY, ConditionType.PROGRESSING, ConditionType.DEGRADED):
        yield _made(one, kind, Status.UNKNOWN, reason, message, since)


def _since(one: Replica, kind: ConditionType) -> datetime | None:
    """Since when a condition is as it is: by the word of its agent, or because of a decision."""
    report = one.report
    if report is None:
        return one.told_at
    is_behind = report.state is ReplicaState.RUNNING and not one.is_current
    # What runs well is ready until other files are published for it; it is no worse for that.
    return one.told_at if is_behind and kind is not ConditionType.DEGRADED else report.since


def absent_conditions(hold: Hold | None, why: str, since: datetime | None) -> tuple[Condition, ...]:
    """Say how a replica fares that has no node: it is held, no node fits it (`why`), or neither."""
    reason, message = _absence(hold, why)
    held = _status(hold is not None)
    return (
        Condition(
            type=ConditionType.READY,
            status=Status.FALSE,
            reason="NoNode",
            message="has no node",
            since=since,
        ),
        Condition(
            type=ConditionType.PENDING,
            status=Status.TRUE,
            reason=reason,
            message=message,
            since=since,
        ),
        Condition(
            type=ConditionType.HELD,
            status=held,
            reason=reason if hold else "NotHeld",
            message=message if hold else "nothing holds it",
            since=since if hold else None,
        ),
    )


def _absence(hold: Hold | None, why: str) -> tuple[str, str]:
    if hold is not None:
        return camel(hold.reason), hold.text
    return ("NoNodeFits", why) if why else ("NotPlacedYet", "the reconciler has yet to place it")


def _held(one: Replica) -> Condition:
    if one.hold is None:
        return _made(one, ConditionType.HELD, Status.FALSE, "NotHeld", "nothing holds it")
    reason, text = camel(one.hold.reason), one.hold.text
    return _made(one, ConditionType.HELD, Status.TRUE, reason, text, one.held_since)


def _state(one: Replica) -> tuple[str, str]:
    """One word, and a clause, for how it stands."""
    report = one.report
    if report is None:
        return "NotReported", f"{one.node} has yet to take it up"
    if report.state is ReplicaState.RUNNING and not one.is_current:
        return "FilesBehind", report.message or "runs other files than were published"
    return report.state.value.capitalize(), report.message or _words(report.state)


def _words(state: ReplicaState) -> str:
    match state:
        case ReplicaState.RUNNING:
            return "every service runs"
        case ReplicaState.PENDING:
            return "nothing was done about it yet"
        case ReplicaState.STARTING:
            return "its services are not all ready yet"
        case ReplicaState.STOPPING:
            return "it is being stopped"
        case ReplicaState.DEGRADED:
            return "a service is not well"
        case ReplicaState.FAILED:
            return "it cannot be started, or falls again and again"
        case _:
            assert_never(state)


def _status(is_so: bool) -> Status:  # noqa: FBT001 - a truth in the words of conditions
    return Status.TRUE if is_so else Status.FALSE


def _made(  # noqa: PLR0913, PLR0917 - the parts of a condition, in their order
    one: Replica,
    kind: ConditionType,
    status: Status,
    reason: str,
    message: str,
    since: datetime | None = None,
) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        since=since,
        observed_revision=one.revision,
    )
