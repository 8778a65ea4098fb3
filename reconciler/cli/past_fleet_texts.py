"""What the whole fleet was to run in a past decision, in words and for programs. Pure.

Only what was decided: how it fared then is in no commit, for heartbeats are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.cli.past import Past
from reconciler.cli.past_texts import Remembered, past_json, remembered
from reconciler.cli.terminal import Paint, Terminal, safe, table
from reconciler.conditions.deployments import hold_text
from reconciler.observing.causes import said
from reconciler.observing.trailers import source_of
from reconciler.web.words import utc
from schemas.assignment import Phase, Verdict

_PAINTS = {
    Verdict.PLACED.value: Paint.GOOD,
    Verdict.PARTIAL.value: Paint.BUSY,
    Verdict.UNPLACED.value: Paint.BAD,
    Verdict.HELD.value: Paint.BUSY,
}


def past_of(past: Past, name: str) -> Past:
    """Only what a past decision says of one deployment, or of one node."""
    assignments = {
        node: replace(
            each,
            replicas=tuple(one for one in each.replicas if name in (node, one.deployment)),
        )
        for node, each in past.assignments.items()
    }
    kept = {node: one for node, one in assignments.items() if one.replicas or node == name}
    here = {name, *(one.deployment for each in kept.values() for one in each.replicas)}
    decided = tuple(one for one in past.decision.deployments if one.name in here)
    return Past(past.commit, kept, replace(past.decision, deployments=decided))


def fleet_past_text(past: Past, terminal: Terminal) -> str:
    """Write for a terminal."""
    source = source_of(past.commit.message)
    origin = f", from {source[:12]}" if source else ""
    parts = [f"as decided in {past.commit.id[:12]}, {utc(past.commit.at)}{origin}\n"]
    rows = [_row(one) for one in _deployments(past)]
    if rows:
        head = ("DEPLOYMENT", "VERDICT", "REPLICAS", "NODES")
        parts.append(table([head, *rows], _PAINTS, terminal))
    lines = "".join(f"{safe(line)}\n" for one in _deployments(past) for line in _told(one))
    parts += [lines] if lines else []
    nodes = [
        (str(node), str(len(each.replicas)), ", ".join(one.name for one in each.replicas))
        for node, each in sorted(past.assignments.items())
    ]
    if nodes:
        parts.append(table([("NODE", "REPLICAS", "WHICH"), *nodes], {}, terminal))
    problems = "".join(f"{safe(str(problem))}\n" for problem in past.decision.problems)
    return "\n".join([*parts, problems] if problems else parts)


def fleet_past_json(past: Past) -> dict[str, object]:
    """Write for a program."""
    return {
        "commit": past.commit.id,
        "at": past.commit.at,
        "source": source_of(past.commit.message) or "",
        "deployments": [past_json(past, one) for one in _deployments(past)],
        "nodes": [
            {"name": node, "replicas": [one.name for one in each.replicas]}
            for node, each in sorted(past.assignments.items())
        ],
        "problems": [str(problem) for problem in past.decision.problems],
    }


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
