"""What was decided on a deployment in the past, in words and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.cli.explain_texts import promised, score_lines
from reconciler.cli.past import Past
from reconciler.cli.plan_json import refusal_json
from reconciler.cli.plan_texts import reason_lines
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.observing.trailers import source_of
from reconciler.web.replicas import amounts, why_view
from reconciler.web.views import GpuShareView
from reconciler.web.words import utc
from schemas.assignment import AssignedReplica, DeploymentDecision, Refusal
from schemas.names import NodeName, split_replica


@dataclass(frozen=True, slots=True)
class Remembered:
    """A deployment, or one of its replicas, in a past decision. verdict: None: it said none."""

    name: str
    verdict: DeploymentDecision | None
    replicas: tuple[tuple[NodeName, AssignedReplica], ...]


def remembered(past: Past, name: str) -> Remembered | None:
    """Find a deployment or replica in a past decision; None: it says nothing of it."""
    placed = [(node, one) for node, a in past.assignments.items() for one in a.replicas]
    verdicts = {str(one.name): one for one in past.decision.deployments}
    of_it = tuple(sorted((p for p in placed if p[1].deployment == name), key=_number))
    if of_it or name in verdicts:
        return Remembered(name, verdicts.get(name), of_it)
    one = tuple(p for p in placed if p[1].name == name)
    owner = verdicts.get(name.rpartition("-")[0])
    refused = owner is not None and any(r.replica == name for r in owner.refusals)
    return Remembered(name, owner, one) if one or refused else None


def past_text(past: Past, then: Remembered, terminal: Terminal) -> str:
    """Write for a terminal."""
    subject = past.commit.message.partition("\n")[0]
    lines = [
        f"{terminal.paint(then.name, Paint.BOLD)} at {past.commit.id[:12]}, {utc(past.commit.at)}",
        safe(f"  {subject}"),
    ]
    if then.verdict is not None:
        lines.append(f"  {then.verdict.verdict}: {then.verdict.replicas} wanted")
        lines += [safe(f"  {problem}") for problem in then.verdict.problems]
    for node, replica in then.replicas:
        lines += ["", *_replica(node, replica)]
    for refusal in _refusals(then):
        lines += ["", f"{refusal.replica} has no node", *(f"  {x}" for x in reason_lines(refusal))]
    return "\n".join(lines) + "\n"


def past_json(past: Past, then: Remembered) -> dict[str, object]:
    """Write for a program."""
    return {
        "name": then.name,
        "commit": past.commit.id,
        "at": past.commit.at,
        "source": source_of(past.commit.message) or "",
        "verdict": then.verdict.verdict if then.verdict else None,
        "replicas": [
            {
                "name": replica.name,
                "node": node,
                "why": why_view(replica.why),
                "resources": amounts(replica.resources),
                "gpus": [{"uuid": g.uuid, "memoryMib": g.memory_mib} for g in replica.gpus],
                "ports": dict(replica.ports),
            }
            for node, replica in then.replicas
        ],
        "unplaced": [refusal_json(refusal) for refusal in _refusals(then)],
        "problems": [str(one) for one in then.verdict.problems] if then.verdict else [],
    }


def _refusals(then: Remembered) -> Iterator[Refusal]:
    for refusal in then.verdict.refusals if then.verdict else ():
        if then.name in (refusal.replica, split_replica(refusal.replica)[0]):
            yield refusal


def _replica(node: NodeName, replica: AssignedReplica) -> Iterator[str]:
    yield f"{replica.name} was on {node}"
    yield safe(f"  because: {replica.why.text}")
    gpus = tuple(
        GpuShareView(uuid=share.uuid, model="", memory_mib=share.memory_mib)
        for share in replica.gpus
    )
    yield f"  promised: {promised(amounts(replica.resources), gpus, replica.ports)}"
    yield from score_lines(why_view(replica.why))


def _number(pair: tuple[NodeName, AssignedReplica]) -> tuple[int, NodeName]:
    return split_replica(pair[1].name)[1], pair[0]
