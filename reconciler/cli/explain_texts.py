"""Why a deployment is where it is, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.cli.status_texts import problem_line, refusal_lines
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.web.views import DeploymentView, ReplicaView
from reconciler.web.words import cores, memory


def explanation(one: DeploymentView, replicas: frozenset[str], terminal: Terminal) -> str:
    """Write why each of these replicas is where it is, or nowhere."""
    lines = [
        f"{terminal.paint(one.name, Paint.BOLD)}: {one.wanted} wanted, {one.placed} placed",
        *(f"  {problem_line(problem)}" for problem in one.problems),
    ]
    for replica in one.replicas:
        if replica.name in replicas:
            lines += ["", *_replica(replica)]
    for refusal in one.unplaced:
        if refusal.replica in replicas:
            lines += ["", *refusal_lines(refusal)]
    if len(lines) == 1:
        lines += ["", f"{one.sync.state}: {one.sync.why}", f"{one.health.state}: {one.health.why}"]
    return "\n".join(lines) + "\n"


def _replica(one: ReplicaView) -> Iterator[str]:
    if not one.wanted:
        yield f"{one.name} is still on {one.node}: {one.sync.why}"
        return
    yield f"{one.name} is on {one.node}"
    yield safe(f"  because: {one.why.text}")
    yield f"  promised: {_promised(one)}"
    if one.why.terms or one.why.runners_up:
        yield f"  score {one.why.score:.3f}"
    for term in one.why.terms:
        yield safe(f"    {term.name:<20} {term.value:.3f} x {term.weight:g}")
    for other in one.why.runners_up:
        yield f"  next best: {other.node} {other.score:.3f}"


def _promised(one: ReplicaView) -> str:
    needs = one.resources
    parts = [
        cores(needs.cpu_milli),
        f"{memory(needs.memory_mib)} memory",
        f"{memory(needs.disk_mib)} disk",
        *(f"{memory(gpu.memory_mib)} of {gpu.model or 'a GPU'} ({gpu.uuid})" for gpu in one.gpus),
        *(f"port {number} ({name})" for name, number in one.ports.items()),
    ]
    return safe(", ".join(parts))
