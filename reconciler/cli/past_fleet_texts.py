"""What the whole fleet was to run in a past decision, in words and for programs. Pure.

Only what was decided: how it fared then is in no commit, for heartbeats are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.cli.past import Past
from reconciler.cli.past_texts import Remembered, past_json, remembered
from reconciler.cli.terminal import Paint, Terminal, safe, table
from reconciler.conditions.deployments import hold_text
from reconciler.observing.causes import said
from reconciler.observing.trailers import source_of
from reconciler.web.words import utc
from schemas.assignment import Phase, Verdict
from schemas.names import NodeName

_PAINTS = {
    Verdict.PLACED.value: Paint.GOOD,
    Verdict.PARTIAL.value: Paint.BUSY,
    Verdict.UNPLACED.value: Paint.BAD,
    Verdict.HELD.value: Paint.BUSY,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of a past decision that are wanted, each of them whole."""

    past: Past
    deployments: tuple[Remembered, ...]
    nodes: tuple[NodeName, ...]


def all_of(past: Past) -> Shown:
    """Everything that a past decision says."""
    return Shown(past, tuple(_deployments(past)), tuple(sorted(past.assignments)))


def some_of(past: Past, name: str) -> Shown | None:
    """What a past decision says of one deployment and where it was, or of one node and what it ran.

    None: it says nothing of it. The other replicas and nodes of what is shown are shown, too:
    without them, what was wanted and found its nodes would look as if it had not.
    """
    deployments = tuple(
        one
        for one in _deployments(past)
        if name == one.name or any(name == node for node, _ in one.replicas)
    )
    nodes = tuple(
        node
        for node, each in sorted(past.assignments.items())
        if name == node or any(name == one.deployment for one in each.replicas)
    )
    return Shown(past, deployments, nodes) if deployments or nodes else None


def fleet_past_text(shown: Shown, terminal: Terminal) -> str:
    """Write for a terminal."""
    past = shown.past
    source = source_of(past.commit.message)
    origin = f", from {source[:12]}" if source else ""
    parts = [f"as decided in {past.commit.id[:12]}, {utc(past.commit.at)}{origin}\n"]
    rows = [_row(one) for one in shown.deployments]
    if rows:
        head = ("DEPLOYMENT", "VERDICT", "REPLICAS", "NODES")
        parts.append(table([head, *rows], _PAINTS, terminal))
    lines = "".join(f"{safe(line)}\n" for one in shown.deployments for line in _told(one))
    parts += [lines] if lines else []
    nodes = [(str(node), str(len(names)), ", ".join(names)) for node, names in _nodes(shown)]
    if nodes:
        parts.append(table([("NODE", "REPLICAS", "WHICH"), *nodes], {}, terminal))
    problems = "".join(f"{safe(str(problem))}\n" for problem in past.decision.problems)
    return "\n".join([*parts, problems] if problems else parts)


def fleet_past_json(shown: Shown) -> dict[str, object]:
    """Write for a program."""
    past = shown.past
    return {
        "commit": past.commit.id,
        "at": past.commit.at,
        "source": source_of(past.commit.message) or "",
        "deployments": [past_json(past, one) for one in shown.deployments],
        "nodes": [{"name": node, "replicas": names} for node, names in _nodes(shown)],
        "problems": [str(problem) for problem in past.decision.problems],
    }


def _nodes(shown: Shown) -> Iterator[tuple[NodeName, list[str]]]:
    for node in shown.nodes:
        yield node, [one.name for one in shown.past.assignments[node].replicas]


def _deployments(past: Past) -> Iterator[Remembered]:
    running = {one.deployment for each in past.assignments.values() for one in each.replicas}
    for name in sorted({*running, *(one.name for one in past.decision.deployments)}):
        if (then := remembered(past, name)) is not None:
            yield then


def _told(then: Remembered) -> Iterator[str]:
    """How its newest version came in, what was held, and what had no node."""
    if then.verdict is None:
        return
    if then.verdict.problems:
        yield f"{then.name}: stays as it last was: {said(then.verdict.problems)}"
    if then.verdict.phase is not Phase.SETTLED:
        message = f": {then.verdict.message}" if then.verdict.message else ""
        yield f"{then.name}: {then.verdict.phase}{message}"
    for hold in then.verdict.holds:
        yield f"{then.name}: {hold_text(hold.replicas, hold.text)}"
    for refusal in then.verdict.refusals:
        reasons = "; ".join(reason.text for reason in refusal.reasons)
        yield f"{then.name}: {refusal.replica} has no node: {reasons or 'no node fits it'}"


def _row(then: Remembered) -> tuple[str, ...]:
    wanted = str(then.verdict.replicas) if then.verdict else "?"
    verdict = then.verdict.verdict.value if then.verdict else "unknown"
    nodes = ", ".join(sorted({str(node) for node, _ in then.replicas})) or "-"
    return then.name, verdict, f"{len(then.replicas)}/{wanted}", nodes
