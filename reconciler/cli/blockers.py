"""What a deployment waits for, down to the one thing that has to change first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler.cli.status_texts import holder_lines
from reconciler.coming import room_text
from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.deployments import hold_text
from reconciler.rolling.holding import Because
from reconciler.web.rollout_views import HoldView
from reconciler.web.views import DeploymentView, FleetView, Health, NodeState, ReplicaView
from reconciler.web.words import utc
from schemas.assignment import Phase

_BY_HEALTH = (Because.GATE, Because.CANARY, Because.SURGE, Because.WAVE, Because.STALLED)
_BY_SILENCE = (Because.LOST, Because.EVACUATION, Because.MASS_LOSS, Because.SILENT)


def nobody_decides(view: FleetView) -> tuple[str, ...]:
    """Say that nobody does, for then all waits for that; empty: somebody may."""
    return tuple(one.text for one in view.banners if one.kind == "leaderless")


def blockers(view: FleetView, one: DeploymentView, replicas: frozenset[str]) -> tuple[str, ...]:
    """Say what some replicas of a deployment wait for, one line each, indented by cause."""
    return tuple(_blockers(view, one, replicas))


def _blockers(view: FleetView, one: DeploymentView, replicas: frozenset[str]) -> Iterator[str]:
    since = _since(one.rollout.since)
    if one.rollout.phase is Phase.ROLLING:
        yield f"{one.rollout.phase}{since}: {one.rollout.ready} of {one.wanted} ready"
    elif one.rollout.text:
        yield f"{one.rollout.phase}{since}: {one.rollout.text}"
    # The extra replica of a rollout is asked for by nobody, and all the others wait for it.
    asked = replicas | {f"{one.name}-{one.wanted}"}
    for hold in one.holds:
        if asked.intersection(hold.replicas):
            yield f"{hold_text(hold.replicas, hold.text)}{_since(hold.since)}"
            yield from (f"  {line}" for line in _causes(view, one, hold))
    for absent in one.absent:
        if absent.name in replicas and absent.kept_by:
            yield f"{absent.name} {room_text(absent.goes_to, absent.kept_by)}"
            yield from (f"  {line}" for name in absent.kept_by for line in _keeping(view, name))
    if not one.wanted and one.replicas:
        yield one.health.why
    if not one.holds:
        yield from _not_ready(one)


def _keeping(view: FleetView, name: str) -> Iterator[str]:
    """Say why a replica is as it is for now."""
    owner = view.deployments_by_name.get(name.rpartition("-")[0])
    for hold in owner.holds if owner is not None else ():
        if owner is not None and name in hold.replicas:
            yield f"{hold_text((name,), hold.text)}{_since(hold.since)}"
            yield from (f"  {line}" for line in _causes(view, owner, hold))


def _causes(view: FleetView, one: DeploymentView, hold: HoldView) -> Iterator[str]:
    if hold.reason == Because.DEPENDENCY:
        for name in one.depends_on:
            yield from _dependency(view, name, frozenset({one.name}))
    elif hold.reason == Because.FENCE:
        yield from holder_lines(one)
    elif hold.reason in _BY_HEALTH:
        yield from _not_ready(one)
    elif hold.reason in _BY_SILENCE:
        yield from _silent(view, one, hold)


def _dependency(view: FleetView, name: str, seen: frozenset[str]) -> Iterator[str]:
    """Say why a deployment is not ready, and go down to those that it waits for itself."""
    one = view.deployments_by_name.get(name)
    if one is None:
        yield f"{name}: there is no such deployment"
        return
    if not one.wanted:
        yield f"{name} asks for no replicas, and so is never ready"
        return
    ready = _ready(one.conditions)
    fine = ready is None or ready.status is Status.TRUE
    if name in seen or (fine and not one.problems):
        return
    if ready is not None and not fine:
        yield f"{name} is not ready: {ready.message}{_since(ready.since)}"
    for problem in one.problems:
        where = f"{problem.place}: " if problem.place else ""
        yield f"{name} is held: {where}{problem.what}"
    for refusal in one.unplaced:
        why = "; ".join(reason.text for reason in refusal.reasons)
        yield f"  {refusal.replica} has no node: {why or 'no node fits it'}"
    yield from (f"  {line}" for line in _not_ready(one))
    for hold in one.holds:
        yield f"  {hold_text(hold.replicas, hold.text)}{_since(hold.since)}"
        if hold.reason != Because.DEPENDENCY:
            yield from (f"    {line}" for line in _causes(view, one, hold))
    for below in one.depends_on:
        yield from (f"  {line}" for line in _dependency(view, below, seen | {name}))


def _not_ready(one: DeploymentView) -> Iterator[str]:
    for replica in one.replicas:
        ready = _ready(replica.conditions)
        if replica.wanted and ready is not None and ready.status is not Status.TRUE:
            why = f"{_why(replica, ready)}{_since(ready.since)}"
            yield f"{replica.name} on {replica.node} is not ready: {why}"


def _why(replica: ReplicaView, ready: Condition) -> str:
    # Of a silent node the last complaint is old, and how long it is waited for is news.
    if replica.health.state is Health.UNKNOWN:
        return replica.health.why
    if replica.message or replica.health.state is Health.HEALTHY:
        return replica.message or ready.message
    return replica.health.why


def _since(moment: datetime | None) -> str:
    """The end of a line; empty: nobody knows. Absolute, so that no clock is needed here."""
    return f", since {utc(moment)}" if moment else ""


def _silent(view: FleetView, one: DeploymentView, hold: HoldView) -> Iterator[str]:
    nodes = {replica.node for replica in one.replicas if replica.name in hold.replicas}
    for name in sorted(nodes):
        node = view.nodes_by_name.get(name)
        if node is not None and node.mark.state is not NodeState.READY:
            yield f"{name}: {node.mark.state}, {node.mark.why}"


def _ready(conditions: tuple[Condition, ...]) -> Condition | None:
    return next((one for one in conditions if one.type is ConditionType.READY), None)
