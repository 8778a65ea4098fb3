"""How a deployment fares, from how its replicas do and from what was decided. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.conditions.condition import Condition, ConditionType, Status, camel
from reconciler.conditions.since import FAILED, Since
from reconciler.observing.causes import Cause
from schemas.assignment import Hold, Phase

# More names than this are a number: a line has to stay one.
_NAMES_MAX: Final = 6
GO_ON: Final = "to go on, change it in main: another version is tried at once"
_REASONS: Final = {
    Phase.SETTLED: "Settled",
    Phase.ROLLING: "RollingOut",
    Phase.STALLED: "Stalled",
    Phase.ROLLED_BACK: "RolledBack",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """All that is known of a deployment.

    wanted: replicas that it asks for. replicas: the conditions of each that has a node.
    lacking: why replicas have no node, one clause; empty: all that are not held have one.
    progress: how far its newest version has come. message: why that stalled or was rolled back.
    broken: why it stays as it last was, as where its documents cannot be used; empty: it does not.
    cause: the word for that.
    """

    name: str
    wanted: int
    replicas: Sequence[tuple[Condition, ...]]
    lacking: str = ""
    progress: str = ""
    phase: Phase = Phase.SETTLED
    source: str = ""
    message: str = ""
    holds: tuple[Hold, ...] = ()
    broken: str = ""
    cause: Cause = Cause.DOCUMENTS


def deployment_conditions(one: Deployment, since: Since) -> tuple[Condition, ...]:
    """Say how a deployment fares."""
    at = since.phases.get((one.name, one.phase))
    made = (
        _ready(one, since),
        _progressing(one, at),
        _degraded(one, since),
        _stalled(one, since),
        _pending(one, since),
        _held(one, since),
    )
    revision = _revision(one)
    return tuple(replace(condition, observed_revision=revision) for condition in made)


def _ready(one: Deployment, since: Since) -> Condition:
    found = [_of(each, ConditionType.READY) for each in one.replicas]
    good = [each for each in found if each.status is Status.TRUE]
    kind = ConditionType.READY
    if not one.replicas and one.broken:
        return _made(kind, Status.FALSE, one.cause.value, "it never ran", since.held.get(one.name))
    if not one.wanted:
        return _made(kind, Status.TRUE, "NoReplicas", "asks for no replicas")
    if len(good) >= one.wanted:
        text = f"all {one.wanted} replicas are ready" if one.wanted > 1 else "its replica is ready"
        return _made(kind, Status.TRUE, "AllReady", text, _last(each.since for each in good))
    bad = [each for each in found if each.status is not Status.TRUE]
    is_silent = bool(bad) and all(each.status is Status.UNKNOWN for each in bad)
    all_placed = len(found) >= one.wanted
    status = Status.UNKNOWN if is_silent and all_placed else Status.FALSE
    reason = bad[0].reason if bad else "NoNode"
    text = f"{len(good)} of {one.wanted} ready"
    waits = _pending(one, since)
    # One that the reconciler has yet to place is on its way, and has no moment of its own.
    missing = (waits.since,) if waits.status is Status.TRUE and not all_placed else ()
    at = _first((*(each.since for each in bad), *missing))
    return _made(kind, status, reason, text, at)


def _progressing(one: Deployment, at: datetime | None) -> Condition:
    is_rolling = one.phase is Phase.ROLLING
    rest = "it stays as it last was" if one.broken else "its newest version is everywhere"
    text = one.progress or one.message or rest
    status = Status.TRUE if is_rolling else Status.FALSE
    return _made(ConditionType.PROGRESSING, status, _REASONS[one.phase], text, at)


def _degraded(one: Deployment, since: Since) -> Condition:
    found = [_of(each, ConditionType.DEGRADED) for each in one.replicas]
    ill = [each for each in found if each.status is Status.TRUE]
    kind = ConditionType.DEGRADED
    if ill:
        at = _first(each.since for each in ill)
        return _made(kind, Status.TRUE, ill[0].reason, ill[0].message, at)
    if one.lacking and one.replicas:
        at = since.unplaced.get(one.name)
        return _made(kind, Status.TRUE, "ReplicasMissing", one.lacking, at)
    silent = [each for each in found if each.status is Status.UNKNOWN]
    if silent:
        at = _first(each.since for each in silent)
        return _made(kind, Status.UNKNOWN, silent[0].reason, silent[0].message, at)
    at = _last(each.since for each in found)
    return _made(kind, Status.FALSE, "Well", "no replica complains", at)


def _stalled(one: Deployment, since: Since) -> Condition:
    if one.phase not in FAILED:
        at = since.sound.get(one.name)
        return _made(ConditionType.STALLED, Status.FALSE, "NotStalled", "no rollout failed", at)
    text = f"{one.message}; {GO_ON}" if one.message else GO_ON
    at = since.phases.get((one.name, one.phase))
    return _made(ConditionType.STALLED, Status.TRUE, _REASONS[one.phase], text, at)


def _pending(one: Deployment, since: Since) -> Condition:
    kind = ConditionType.PENDING
    if one.lacking:
        at = since.unplaced.get(one.name)
        return _made(kind, Status.TRUE, "NoNodeFits", one.lacking, at)
    waits = one.wanted - len(one.replicas)
    if waits > 0 and one.broken:
        return _made(kind, Status.TRUE, one.cause.value, one.broken, since.held.get(one.name))
    if waits > 0 and one.holds:
        return _holding(kind, one.holds[0], since)
    return _made(kind, Status.FALSE, "Placed", "every replica has a node")


def _held(one: Deployment, since: Since) -> Condition:
    kind = ConditionType.HELD
    if one.broken:
        at = since.held.get(one.name)
        return _made(kind, Status.TRUE, one.cause.value, one.broken, at)
    if one.holds:
        return _holding(kind, one.holds[0], since)
    return _made(kind, Status.FALSE, "NotHeld", "nothing holds it")


def _holding(kind: ConditionType, hold: Hold, since: Since) -> Condition:
    text = hold_text(hold.replicas, hold.text)
    return _made(kind, Status.TRUE, camel(hold.reason), text, hold_since(hold, since))


def hold_text(replicas: Sequence[str], text: str) -> str:
    """Say a hold as a sentence does: `chat-1 waits for chat-0 to be ready`."""
    names = ", ".join(replicas) if len(replicas) <= _NAMES_MAX else f"{len(replicas)} replicas"
    if len(replicas) > 1 and text.startswith("waits "):
        text = f"wait {text.removeprefix('waits ')}"
    joint = " " if text.startswith(("waits ", "wait ")) else ": "
    return f"{names}{joint}{text}" if names else text


def hold_since(hold: Hold, since: Since) -> datetime | None:
    """Since when a hold holds the first of its replicas; None: unknown."""
    return _first(since.waits.get((one, hold.reason)) for one in hold.replicas)


def _revision(one: Deployment) -> str:
    """The commit whose version every replica runs; empty where they differ, or nobody knows."""
    found = {_of(each, ConditionType.READY).observed_revision for each in one.replicas}
    return found.pop() if len(found) == 1 else ""


def _of(conditions: tuple[Condition, ...], kind: ConditionType) -> Condition:
    return next(one for one in conditions if one.type is kind)


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    known = list(moments)
    return None if not known or None in known else min(filter(None, known))


def _last(moments: Iterable[datetime | None]) -> datetime | None:
    known = list(moments)
    return None if not known or None in known else max(filter(None, known))


def _made(
    kind: ConditionType, status: Status, reason: str, message: str, since: datetime | None = None
) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message, since=since)
