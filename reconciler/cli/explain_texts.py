"""Why a deployment is where it is, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.cli.blockers import blockers, nobody_decides
from reconciler.cli.status_texts import problem_lines, refusal_lines
from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.web.replicas import is_left_behind
from reconciler.web.scores import points, two_digits
from reconciler.web.views import (
    AmountsView,
    DeploymentView,
    FleetView,
    GpuShareView,
    ReplicaView,
    WhyView,
)
from reconciler.web.words import cores, memory


def explanation(
    view: FleetView, one: DeploymentView, replicas: frozenset[str], terminal: Terminal
) -> str:
    """Write what these replicas wait for, and why each is where it is, or nowhere."""
    lines = [
        f"{terminal.paint(one.name, Paint.BOLD)}: {one.wanted} wanted, {one.placed} placed",
        *(f"  {line}" for line in problem_lines(one)),
        *(f"  {safe(line)}" for line in blockers(view, one, replicas)),
    ]
    for replica in one.replicas:
        if replica.name in replicas:
            lines += ["", *_replica(replica)]
    for absent in one.absent:
        if absent.name in replicas and absent.goes_to:
            lines += ["", f"{absent.name} has no node yet, and is to go to {absent.goes_to}"]
    for refusal in one.unplaced:
        if refusal.replica in replicas:
            lines += ["", *refusal_lines(refusal)]
    if len(lines) == 1:
        lines += ["", f"{one.sync.state}: {one.sync.why}", f"{one.health.state}: {one.health.why}"]
    return "\n".join((*map(safe, nobody_decides(view)), *lines)) + "\n"


def _replica(one: ReplicaView) -> Iterator[str]:
    if is_left_behind(one):
        yield safe(f"{one.name} was on {one.node}: {one.health.why}")
        return
    if not one.wanted:
        yield f"{one.name} is still on {one.node}: {one.sync.why}"
        return
    yield f"{one.name} is on {one.node}"
    yield safe(f"  because: {one.why.text}")
    yield f"  promised: {promised(one.resources, one.gpus, one.ports)}"
    yield from score_lines(one.why)


def score_lines(why: WhyView) -> Iterator[str]:
    """Say how a node scored by term, and who came next."""
    if why.terms or why.runners_up:
        yield f"  score {two_digits(why.score)}"
    terms = list(points(why.terms))
    width = max((len(f"{term.got} of {term.most}") for term in terms), default=0)
    for term in terms:
        share = f"{term.got} of {term.most}"
        meaning = f": {term.meaning}" if term.meaning else ""
        yield safe(f"    {share:<{width}}  {term.name}{meaning}")
    if why.runners_up:
        others = (f"{other.node} {two_digits(other.score)}" for other in why.runners_up)
        yield f"  next best: {', '.join(others)}"


def promised(needs: AmountsView, gpus: Iterable[GpuShareView], ports: Mapping[str, int]) -> str:
    """Say what a replica was promised."""
    parts = [
        cores(needs.cpu_milli),
        f"{memory(needs.memory_mib)} memory",
        f"{memory(needs.disk_mib)} disk",
        *(f"{memory(gpu.memory_mib)} of {gpu.model or 'a GPU'} ({gpu.uuid})" for gpu in gpus),
        *(f"port {number} ({name})" for name, number in ports.items()),
    ]
    return safe(", ".join(parts))
