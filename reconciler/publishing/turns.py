"""What a decision's commit tells of rollouts, waiting, grants and lost nodes. Pure.

Trailers: `Rolling`, `Completed`, `Stalled` and `Rolled-Back` (a deployment that turned to that),
`Waits` (replicas that something holds since this commit, and what), `Granted` (a replica of which
no two copies may run, and its node), `Evacuated` (a lost node that work was moved away from).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.conditions.deployments import hold_text
from reconciler.conditions.since import PHASE_TRAILERS, WAITS
from reconciler.decide import Pass
from reconciler.preview import Fate, Preview, ReplicaChange
from schemas.assignment import DeploymentDecision, Hold, Phase
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name, split_replica
from schemas.node import Duty

_WORDS: Final = {
    Phase.SETTLED: "completed",
    Phase.ROLLING: "a new version comes in",
    Phase.STALLED: "stalled",
    Phase.ROLLED_BACK: "rolled back",
}
TURN_TRAILERS: Final = (*PHASE_TRAILERS.values(), WAITS, "Granted", "Evacuated")
# A line has to stay one. `Waits` names every replica, on as many lines as that takes: since when
# one waits is told by nothing else.
_NAMES_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Turn:
    """A deployment whose newest version fares otherwise than in the decision before."""

    name: DeploymentName
    phase: Phase
    message: str = ""

    @property
    def words(self) -> str:
        """What happened to it, for a subject."""
        return _WORDS[self.phase]


def turns(result: Pass) -> tuple[Turn, ...]:
    """The deployments that turned, by name. A newer version that comes in is a turn of its own."""
    before = _before(result)
    return tuple(
        Turn(one.name, one.phase, one.message)
        for one in result.decision.deployments
        if _turned(before.get(one.name), one)
    )


def _turned(before: DeploymentDecision | None, now: DeploymentDecision) -> bool:
    if before is None:
        return now.phase is not Phase.SETTLED
    is_newer = now.phase is Phase.ROLLING and before.source != now.source
    return is_newer or before.phase is not now.phase


def turn_lines(result: Pass) -> Iterator[str]:
    """For the body: why a version came to an end."""
    for turn in turns(result):
        if turn.message and turn.phase is Phase.ROLLED_BACK:
            yield f"roll {turn.name} back to its last good version: {turn.message}"
        elif turn.message and turn.phase is Phase.STALLED:
            yield f"{turn.name} goes no further: {turn.message}"


def turn_trailers(result: Pass, found: Preview) -> Iterator[str]:
    """All trailers of this module, in their order."""
    told = turns(result)
    for phase, trailer in PHASE_TRAILERS.items():
        yield from (f"{trailer}: {turn.name}" for turn in told if turn.phase is phase)
    for hold in new_holds(result):
        for start in range(0, len(hold.replicas), _NAMES_MAX):
            shown = hold.replicas[start : start + _NAMES_MAX]
            yield f"{WAITS}: {', '.join(shown)} ({hold.reason})"
    for replica, node, epoch in granted_anew(result):
        yield f"Granted: {replica} to {node} (epoch {epoch})"
    yield from (f"Evacuated: {node}" for node in evacuated(result, found))


def turn_reasons(result: Pass, found: Preview) -> Iterator[str]:
    """Why there is a commit where no replica is touched, or an uncommon one is."""
    for turn in turns(result):
        if turn.phase in {Phase.ROLLED_BACK, Phase.STALLED}:
            yield f"{turn.name} did not get ready: {turn.message}"
        elif turn.phase is Phase.SETTLED:
            yield f"every replica of {turn.name} is ready in its newest version"
    yield from (f"{node} is lost" for node in evacuated(result, found))
    if found.replicas:
        return
    known = _before(result)
    for turn in turns(result):
        if turn.phase is Phase.ROLLING and turn.name in known:
            yield f"a new version of {turn.name} comes in"
    for hold in new_holds(result):
        yield hold_text((split_replica(hold.replicas[0])[0],), hold.text)
    yield from (f"{name} waits no longer" for name in freed(result))
    for replica, node, _ in granted_anew(result):
        yield f"{replica} needs a new grant on {node}"
    yield from _rewritten(result)


def new_holds(result: Pass) -> tuple[Hold, ...]:
    """The holds of this decision, each with the replicas that it did not hold before for that."""
    before = {
        (replica, hold.reason)
        for one in result.observed.decision.deployments
        for hold in one.holds
        for replica in hold.replicas
    }
    found = []
    for one in result.decision.deployments:
        for hold in one.holds:
            fresh = tuple(r for r in hold.replicas if (r, hold.reason) not in before)
            if fresh:
                found.append(Hold(reason=hold.reason, text=hold.text, replicas=fresh))
    return tuple(found)


def granted_anew(result: Pass) -> tuple[tuple[ReplicaName, NodeName, int], ...]:
    """Replicas that got a grant of a later epoch: to whom, and which."""
    before = {one.replica: one.epoch for one in result.observed.decision.tenures}
    return tuple(
        (one.replica, one.node, one.epoch)
        for one in result.decision.tenures
        if one.epoch > before.get(one.replica, 0)
    )


def evacuated(result: Pass, found: Preview) -> tuple[NodeName, ...]:
    """The lost nodes that this decision takes work away from."""
    leaving = result.facts.failover.leaving
    gone = {
        change.was_on
        for change in found.replicas
        if change.replica in leaving and change.fate in {Fate.MOVE, Fate.REMOVE}
    }
    return tuple(sorted(filter(None, gone)))


def reason_of_change(result: Pass, change: ReplicaChange) -> str:
    """Why a replica is touched by a rollout or a fence; empty: for no such reason."""
    decided = {one.name: one for one in result.decision.deployments}.get(change.deployment)
    if decided is None:
        return ""
    if change.replica in result.brakes.absent and change.fate is Fate.REMOVE:
        return f"{change.replica} has to stop on {change.was_on} before it starts elsewhere"
    if change.replica == replica_name(decided.name, decided.replicas):
        extra = {
            Fate.ADD: f"{decided.name} gets an extra replica while others are changed",
            Fate.REMOVE: f"{decided.name} needs its extra replica no longer",
        }
        if change.fate in extra:
            return extra[change.fate]
    was_held = any(
        change.replica in hold.replicas
        for one in result.observed.decision.deployments
        for hold in one.holds
    )
    if change.fate is Fate.ADD and was_held:
        return f"{change.replica} waits no longer"
    if change.fate is Fate.CHANGE and decided.phase is Phase.ROLLED_BACK:
        return f"{decided.name} goes back to its last good version"
    return ""


def why_it_leaves(result: Pass, change: ReplicaChange) -> str:
    """Why a replica that moves could not stay where it was."""
    replica, node = change.replica, change.was_on
    judged = next((one for one in result.nodes if one.name == node), None)
    if judged is None:
        return f"nodes/{node}.yaml is gone"
    if replica in result.facts.failover.leaving:
        return f"{node} is lost"
    if any((one.replica, one.node) == (replica, node) for one in result.decision.rescheduled):
        return "it kept failing there"
    if judged.duty is Duty.DRAINING:
        return f"{node} is draining"
    return f"{node} does not take it any longer"


def freed(result: Pass) -> Iterator[DeploymentName]:
    """The deployments that waited and that nothing holds any longer."""
    held = {one.name for one in result.decision.deployments if one.holds}
    for one in result.observed.decision.deployments:
        if one.holds and one.name not in held:
            yield one.name


def _rewritten(result: Pass) -> Iterator[str]:
    """Deployments of which a newer text means the same as the one before."""
    before = _before(result)
    turned = {turn.name for turn in turns(result)}
    for one in result.decision.deployments:
        was = before.get(one.name)
        if was is not None and was.source != one.source and one.name not in turned:
            yield f"{one.name} was written anew, and runs as before"


def _before(result: Pass) -> dict[DeploymentName, DeploymentDecision]:
    return {one.name: one for one in result.observed.decision.deployments}
