"""The message of a decision's commit, so that `git log assignments` tells what happened. Pure.

Subject: what happened, shortest first. Body: one line for each replica, node or held deployment.
Trailers, for programs: `Source` (the commit of the desired branch), `Reason` (once for each), and
`Placed`, `Moved`, `Changed`, `Removed`, `Held` (once for each replica or deployment), and
`Deleted-Volume` (once for each, with its node). Those of rollouts stand in `publishing.turns`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reconciler.conditions.deployments import hold_text
from reconciler.decide import Pass
from reconciler.observing.causes import Cause, cause_of, said
from reconciler.placing.rebalance import Move
from reconciler.preview import Fate, Preview, ReplicaChange
from reconciler.publishing.turns import (
    TURN_TRAILERS,
    Turn,
    freed,
    new_holds,
    reason_of_change,
    turn_lines,
    turn_reasons,
    turn_trailers,
    turns,
    why_it_leaves,
)
from reconciler.rolling.restores import PUT_BACK
from schemas.assignment import DeploymentDecision, Phase, Verdict
from schemas.names import DeploymentName, NodeName, split_replica

# More lines than this nobody reads; the tree itself has them all.
LINES_MAX: Final = 50
REASONS_MAX: Final = 10
_WIDTH_MAX: Final = 200
# A subject names as many deployments, and counts more of them.
_SUBJECT_NAMES_MAX: Final = 3

# Each line of it is counted against the budget of the hour; see reconciler.rebalancing.
TRAILER: Final = "Rebalanced"

_VERBS: Final = {
    Fate.ADD: "place",
    Fate.MOVE: "move",
    Fate.CHANGE: "change",
    Fate.REMOVE: "remove",
}
_TRAILERS: Final = {
    Fate.ADD: "Placed",
    Fate.MOVE: "Moved",
    Fate.CHANGE: "Changed",
    Fate.REMOVE: "Removed",
}

_BOUNDED: Final = frozenset(
    {*_TRAILERS.values(), *TURN_TRAILERS, TRAILER, "Reason", "Held", "Deleted-Volume"}
)


def message(result: Pass, found: Preview) -> str:
    """Tell the whole decision. `found` is the preview of the pass."""
    body = _first(
        LINES_MAX,
        (
            *map(_line, found.replicas),
            *map(_flat, turn_lines(result)),
            *_node_lines(result),
            *_verdicts(result),
        ),
    )
    reasons = _at_least_one(_reasons(result, found), result)
    trailers = [f"Source: {result.observed.source}"] if result.observed.source else []
    trailers += _first(REASONS_MAX, [f"Reason: {one}" for one in reasons])
    for fate, name in _TRAILERS.items():
        lines = [f"{name}: {_where(one)}" for one in found.replicas if one.fate is fate]
        trailers += _first(LINES_MAX, lines)
    gains = [f"{TRAILER}: {_gain(move)}, {_flat(move.why)}" for move in result.moves]
    trailers += _first(LINES_MAX, gains)
    trailers += _first(LINES_MAX, [f"Held: {name}" for name in result.held])
    trailers += _first(LINES_MAX, [f"Deleted-Volume: {one}" for one in _deleted(found)])
    trailers += _turned(result, found)
    parts = (_subject(result, found), "\n".join(body), "\n".join(trailers))
    return "\n\n".join(part for part in parts if part) + "\n"


def node_message(result: Pass, found: Preview, node: NodeName) -> str:
    """Tell one node's part, for its own ref."""
    ours = [one for one in found.replicas if node in (one.was_on, one.goes_to)]
    generation = result.assignments[node].generation
    body = "\n".join(_first(LINES_MAX, map(_line, ours)))
    source = f"Source: {result.observed.source}" if result.observed.source else ""
    parts = (f"{node}: generation {generation}", body, source)
    return "\n\n".join(part for part in parts if part) + "\n"


def _subject(result: Pass, found: Preview) -> str:
    if not found.replicas:
        return _quiet_subject(result)
    if result.moves:
        rest = f" and {len(result.moves) - 1} more" if len(result.moves) > 1 else ""
        return f"{TRAILER}: {_gain(result.moves[0])}{rest}"
    names = sorted({one.deployment for one in found.replicas})
    head = names[0] if len(names) == 1 else f"{len(names)} deployments"
    back = [turn.name for turn in turns(result) if turn.phase is Phase.ROLLED_BACK]
    if back:
        first = back[0] if len(back) == 1 else f"{len(back)} deployments"
        head = f"{first}: roll back" if back == names else f"{first}: roll back; {head}"
    if len(found.replicas) == 1:
        return f"{head}: {_VERBS[found.replicas[0].fate]} {_where(found.replicas[0])}"
    counts = Counter(one.fate for one in found.replicas)
    told = ", ".join(f"{_VERBS[fate]} {counts[fate]}" for fate in _VERBS if counts[fate])
    return f"{head}: {told}"


def _turned(result: Pass, found: Preview) -> list[str]:
    """The trailers of rollouts, each kind of them in bounds."""
    kinds: dict[str, list[str]] = {}
    for line in turn_trailers(result, found):
        kinds.setdefault(line.partition(":")[0], []).append(line)
    return [line for lines in kinds.values() for line in _first(LINES_MAX, lines)]


def _gain(move: Move) -> str:
    return f"{move.replica} from {move.was_on} to {move.to.node}: +{move.gain:.2f}"


def _quiet_subject(result: Pass) -> str:
    """What happened where no replica was touched."""
    return next(_quiet_subjects(result), "decision: other problems")


def _quiet_subjects(result: Pass) -> Iterator[str]:
    if result.facts.lifts and result.observed.frozen:
        yield "put back: nothing may change"
    elif result.facts.lifts and result.changes.nodes:
        yield f"put back: {_one_or_many(result.changes.nodes, 'tell it again', 'tell them again')}"
    before = {one.name: one.verdict for one in result.observed.decision.deployments}
    turned = [d for d in result.decision.deployments if before.get(d.name) is not d.verdict]
    admitted = sorted(result.assignments.keys() - result.observed.assignments.keys())
    waiting = sorted({split_replica(one.replicas[0])[0] for one in new_holds(result)})
    going_on = sorted(freed(result))
    if len(turned) == 1:
        yield f"{turned[0].name}: {turned[0].verdict}"
    elif turned:
        yield f"{len(turned)} deployments: {', '.join(sorted({d.verdict for d in turned}))}"
    if rolled := turns(result):
        yield _rolled_subject(rolled)
    if admitted:
        yield _one_or_many(admitted, "admit the node", "admit them")
    if waiting:
        yield f"{waiting[0]}: waits" if len(waiting) == 1 else f"{len(waiting)} deployments: wait"
    if result.changes.nodes:
        yield _one_or_many(result.changes.nodes, "tell the node again", "tell them again")
    if going_on:
        yield _waits_no_longer(going_on)


def _waits_no_longer(names: Sequence[DeploymentName]) -> str:
    if len(names) > _SUBJECT_NAMES_MAX:
        return f"{len(names)} deployments: wait no longer"
    return f"{', '.join(names)}: {'waits' if len(names) == 1 else 'wait'} no longer"


def _rolled_subject(rolled: Sequence[Turn]) -> str:
    if len(rolled) == 1:
        return f"{rolled[0].name}: {rolled[0].words}"
    return f"{len(rolled)} deployments: {', '.join(sorted({one.words for one in rolled}))}"


def _one_or_many(nodes: Sequence[NodeName], one: str, many: str) -> str:
    return f"{nodes[0]}: {one}" if len(nodes) == 1 else f"{len(nodes)} nodes: {many}"


def _line(change: ReplicaChange) -> str:
    why = f": {_flat(change.why)}" if change.why and change.fate in (Fate.ADD, Fate.MOVE) else ""
    return f"{_VERBS[change.fate]} {_where(change)}{why}"


def _deleted(found: Preview) -> Iterator[str]:
    for change in found.replicas:
        yield from (f"{volume} on {change.was_on}" for volume in change.volumes)


def _where(change: ReplicaChange) -> str:
    match change.fate:
        case Fate.ADD | Fate.CHANGE:
            return f"{change.replica} on {change.goes_to}"
        case Fate.MOVE:
            return f"{change.replica} from {change.was_on} to {change.goes_to}"
        case Fate.REMOVE:
            return f"{change.replica} from {change.was_on}"


def _node_lines(result: Pass) -> Iterator[str]:
    records = {record.name for record in result.observed.records}
    for name in sorted(result.assignments.keys() - result.observed.assignments.keys()):
        yield f"admit the node {name}"
    for name in sorted(result.observed.assignments.keys() - records):
        if name in result.changes.nodes:
            yield f"take the node {name} out: its document is gone"


def _verdicts(result: Pass) -> Iterator[str]:
    before = {one.name: one for one in result.observed.decision.deployments}
    for one in result.decision.deployments:
        if before.get(one.name) != one and one.verdict is not Verdict.PLACED:
            yield f"{one.name} is {one.verdict}: {_flat(_first_reason(one))}"


def _first_reason(decision: DeploymentDecision) -> str:
    if decision.problems:
        return str(decision.problems[0])
    texts = [reason.text for refusal in decision.refusals for reason in refusal.reasons]
    waits = [hold_text(hold.replicas, hold.text) for hold in decision.holds]
    return next(iter((*texts, *waits)), "no reason known")


def _reasons(result: Pass, found: Preview) -> Iterator[str]:
    known = {one.name for one in result.observed.decision.deployments}
    wanted = {one.name for one in result.decision.deployments}
    had = Counter(one.deployment for one in result.previous)
    rebalanced = {move.replica for move in result.moves}
    if result.facts.lifts:
        yield PUT_BACK
    if rebalanced:
        yield "the fleet is packed better so"
    for change in found.replicas:
        if change.replica not in rebalanced:
            told = reason_of_change(result, change)
            yield told or _reason(result, change, known, wanted, had)
    yield from map(_flat, turn_reasons(result, found))
    for name in sorted(result.assignments.keys() - result.observed.assignments.keys()):
        yield f"{name} was admitted"
    if result.observed.frozen:
        yield _flat(f"nothing may change: {result.observed.frozen[0].what}")
        return
    for one in result.decision.deployments:
        if one.verdict is Verdict.HELD:
            yield _flat(_held(one))
        elif one.verdict is not Verdict.PLACED:
            yield _flat(_lacks(one))


def _held(one: DeploymentDecision) -> str:
    match cause_of(one.problems):
        case Cause.DOCUMENTS:
            return f"{one.name} cannot be used as it is written"
        case Cause.NODE:
            return f"{one.name} is {said(one.problems)}"
        case Cause.REMOVALS:
            return f"{one.name} is held: {said(one.problems)}"


def _lacks(one: DeploymentDecision) -> str:
    """Why not all of it has a node. What has one and waits for something finds enough of them."""
    if one.holds and not one.refusals:
        return hold_text((one.name,), one.holds[0].text)
    return f"{one.name} finds too few nodes"


def _at_least_one(reasons: Iterator[str], result: Pass) -> list[str]:
    told = list(dict.fromkeys(reasons))
    if told or not result.changes.nodes:
        return told or ["the problems of documents changed"]
    return ["the fleet's settings, or where a node's own ref stood"]


def _reason(
    result: Pass,
    change: ReplicaChange,
    known: set[DeploymentName],
    wanted: set[DeploymentName],
    had: Counter[DeploymentName],
) -> str:
    name = change.deployment
    match change.fate:
        case Fate.ADD if name not in known:
            return f"{name} is new"
        case Fate.ADD:
            return f"{name} had {had[name]} replicas and wants more"
        case Fate.MOVE:
            why = why_it_leaves(result, change)
            return f"{change.replica} could not stay on {change.was_on}: {why}"
        case Fate.CHANGE:
            return f"{name} or its template changed"
        case Fate.REMOVE if name not in wanted:
            return f"{name} was removed"
        case Fate.REMOVE:
            return f"{name} wants fewer replicas, or none fits any more"


def _first(most: int, lines: Iterable[str]) -> list[str]:
    everything = list(lines)
    if len(everything) <= most:
        return everything
    rest = len(everything) - most
    head = everything[0].partition(": ")[0]
    trailer = head in _BOUNDED
    return [*everything[:most], f"{head}: and {rest} more" if trailer else f"and {rest} more"]


def _flat(text: str) -> str:
    """One line of bounded length, so that no text of others can look like a trailer.

    Nor steer a terminal; and Git takes no NUL at all.
    """
    words = " ".join(text.split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return line if len(line) <= _WIDTH_MAX else line[: _WIDTH_MAX - 1] + "…"
