"""What is seen of a fleet, in words for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from reconciler.cli.terminal import Paint, Terminal, safe, table
from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.conditions.deployments import hold_text
from reconciler.observing.causes import is_of_a_node
from reconciler.web.replicas import homes
from reconciler.web.rollout_views import HoldView
from reconciler.web.views import (
    DeploymentView,
    FleetView,
    Health,
    Level,
    NodeState,
    NodeView,
    ProblemView,
    RefusalView,
    ReplicaView,
    Sync,
)
from reconciler.web.words import age, cores, count, enumerate_names, memory, span, utc
from schemas.assignment import Phase

_PAINTS: Final[dict[str, Paint]] = {
    Sync.SYNCED: Paint.GOOD,
    Sync.OUT_OF_SYNC: Paint.BUSY,
    Health.HEALTHY: Paint.GOOD,
    Health.PROGRESSING: Paint.BUSY,
    Health.DEGRADED: Paint.BAD,
    Health.MISSING: Paint.BAD,
    Health.UNKNOWN: Paint.SOFT,
    NodeState.READY: Paint.GOOD,
    NodeState.HELD_DOWN: Paint.BUSY,
    NodeState.CONTESTED: Paint.BAD,
    NodeState.LATE: Paint.BUSY,
    NodeState.LOST: Paint.BAD,
    NodeState.UNSEEN: Paint.SOFT,
    NodeState.NOT_ADMITTED: Paint.BUSY,
    Phase.ROLLING: Paint.BUSY,
    Phase.STALLED: Paint.BAD,
    Phase.ROLLED_BACK: Paint.BAD,
    "held": Paint.BUSY,
}
_LEVELS: Final = {Level.GOOD: Paint.GOOD, Level.BUSY: Paint.BUSY, Level.BAD: Paint.BAD}
# A table has to fit a terminal, where only the last column may go on; `status NAME` says it all.
_CELL_MAX: Final = 40
_LAST_MAX: Final = 120


def fleet_text(view: FleetView, now: datetime, terminal: Terminal) -> str:
    """Write the whole fleet: one line first, then the tables."""
    verdict = terminal.paint(view.verdict.text, _LEVELS.get(view.verdict.level, Paint.BOLD))
    parts = (
        f"{verdict}\n{_banners(view)}{_leader(view)}",
        _deployments(view.deployments, terminal),
        _nodes(view.nodes, now, terminal),
        _problems(view.problems, terminal),
    )
    return "\n".join(filter(None, parts))


def _banners(view: FleetView) -> str:
    told = (one.text for one in view.banners if one.text != view.verdict.text)
    return "".join(f"{safe(text)}\n" for text in told)


def _leader(view: FleetView) -> str:
    if view.leading_since is None:
        return ""
    return f"{safe(view.leader)} leads since {utc(view.leading_since)}\n"


def _deployments(deployments: tuple[DeploymentView, ...], terminal: Terminal) -> str:
    if not deployments:
        return "No deployment. Write deployments/<name>.yaml, commit and push it.\n"
    head = ("DEPLOYMENT", "SYNC", "HEALTH", "ROLLOUT", "REPLICAS", "ON", "WHY")
    rows = [
        (
            one.name,
            str(one.sync.state),
            str(one.health.state),
            _rollout(one),
            f"{one.healthy}/{one.wanted}",
            enumerate_names(homes(one.replicas), 3) or "-",
            _why(one),
        )
        for one in deployments
    ]
    return _table(head, rows, terminal)


def _rollout(one: DeploymentView) -> str:
    return "held" if one.rollout.phase is Phase.SETTLED and one.holds else str(one.rollout.phase)


def _why(one: DeploymentView) -> str:
    if one.rollout.text:
        return one.rollout.text
    if one.holds and not one.last_error:
        return hold_text(one.holds[0].replicas, one.holds[0].text)
    if one.last_error:
        return one.last_error
    if one.health.state is not Health.HEALTHY:
        return one.health.why
    return "" if one.sync.state is Sync.SYNCED else one.sync.why


def _nodes(nodes: tuple[NodeView, ...], now: datetime, terminal: Terminal) -> str:
    if not nodes:
        return "No node. Write nodes/<name>.yaml, commit it, and start miaas-agent on the host.\n"
    head = ("NODE", "STATE", "HEARD OF", "REPLICAS", "CPU", "MEMORY", "GPUS", "WHY")
    rows = [
        (
            one.name,
            str(one.mark.state),
            age(one.seen_at, now),
            str(len(one.replicas)),
            _part(cores(one.promised.cpu_milli).split()[0], cores(one.room.cpu_milli)),
            _part(memory(one.promised.memory_mib), memory(one.room.memory_mib)),
            _cards(one),
            _node_why(one),
        )
        for one in nodes
    ]
    return _table(head, rows, terminal)


def _node_why(one: NodeView) -> str:
    if one.mark.state is NodeState.READY:
        return one.duty_text
    until = f", until {utc(one.held_down_until)}" if one.held_down_until else ""
    return f"{one.mark.why}{until}" if not one.duty_text else f"{one.mark.why}; {one.duty_text}"


def _part(part: str, whole: str) -> str:
    return f"{part} of {whole}" if not whole.startswith("0 ") else "-"


def _cards(node: NodeView) -> str:
    models = [gpu.model for gpu in node.gpus]
    return ", ".join(f"{models.count(m)} x {m}" for m in dict.fromkeys(models)) or "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], terminal: Terminal) -> str:
    cells = [[*(_cell(c, _CELL_MAX) for c in row[:-1]), _cell(row[-1], _LAST_MAX)] for row in rows]
    return table([head, *cells], _PAINTS, terminal)


def _cell(text: str, longest: int) -> str:
    line = " ".join(safe(text).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _problems(problems: tuple[ProblemView, ...], terminal: Terminal) -> str:
    if not problems:
        return ""
    head = terminal.paint(f"{count(len(problems), 'problem')} in documents:", Paint.BAD)
    lines = "".join(f"  {problem_line(problem)}\n" for problem in problems)
    return f"{head}\n{lines}"


def problem_line(problem: ProblemView) -> str:
    """Write a problem as compilers do."""
    where = f"{problem.place}: " if problem.place else ""
    return safe(f"{where}{problem.what}. Fix: {problem.fix}")


def problem_lines(one: DeploymentView) -> Iterator[str]:
    """Write why a deployment stays as it last was; where that is a node, that it is held by it."""
    for problem in one.problems:
        whose = "held by " if is_of_a_node(problem.path) else ""
        yield f"{whose}{problem_line(problem)}"


def node_text(node: NodeView, now: datetime, terminal: Terminal) -> str:
    """Write all that is known of a node."""
    seen = f"{age(node.seen_at, now)} ({utc(node.seen_at)})" if node.seen_at else "never"
    facts = [
        ("state", _marked(node.mark.state, node.mark.why, terminal)),
        ("sync", _marked(node.sync.state, node.sync.why, terminal)),
        ("heard of", seen),
        ("duty", node.duty_text or node.duty),
        ("held down", f"until {utc(node.held_down_until)}" if node.held_down_until else ""),
        ("host", ", ".join(filter(None, (node.os, node.architecture, node.kernel)))),
        ("software", _software(node)),
        ("addresses", ", ".join(node.addresses)),
        ("labels", " ".join(f"{key}={value}" for key, value in node.labels.items())),
        ("taints", " ".join(node.taints)),
        ("cpu", f"{cores(node.promised.cpu_milli)} given out of {cores(node.room.cpu_milli)}"),
        ("memory", _given(node.promised.memory_mib, node.room.memory_mib)),
        ("disk", _given(node.promised.disk_mib, node.room.disk_mib)),
    ]
    gpus = (f"  {line}\n" for line in _gpus(node))
    broken = (f"  {problem_line(problem)}\n" for problem in node.to_mend)
    problems = (f"  {safe(text)}\n" for text in node.problems)
    replicas = (line for one in node.replicas for line in _replica(one, now, terminal))
    head = _facts(f"node {node.name}", facts, terminal)
    told = condition_lines(node.conditions, now, terminal)
    return "".join((head, *broken, *gpus, *problems, *told, *replicas))


def condition_lines(
    conditions: Sequence[Condition], now: datetime, terminal: Terminal
) -> Iterator[str]:
    """Write the conditions that say something: those that are so, and readiness."""
    for one in conditions:
        if one.status is Status.FALSE and one.type is not ConditionType.READY:
            continue
        since = _lasting(one.since, now)
        paint = Paint.BAD if one.status is Status.FALSE else None
        status = terminal.paint(str(one.status), paint)
        yield f"  {one.type}={status}{since}: {one.reason}, {_one_line(safe(one.message))}\n"


def _gpus(node: NodeView) -> Iterator[str]:
    for gpu in node.gpus:
        given = _given(gpu.promised_mib, gpu.memory_mib)
        sick = f"; {gpu.sickness}" if gpu.sickness else ""
        slow = f"; slowed down by {', '.join(gpu.throttles)}" if gpu.throttles else ""
        kept = f"; not given out: {gpu.withheld}" if gpu.withheld else ""
        used = f"; {memory(gpu.used_mib)} in use"
        yield safe(f"GPU {gpu.index}: {gpu.model}, {given}{used}{slow}{sick}{kept}  {gpu.uuid}")


def _given(part: int, whole: int) -> str:
    return f"{memory(part)} given out of {memory(whole)}"


def _software(node: NodeView) -> str:
    if not node.agent:
        return ""
    docker, compose = node.docker or "not found", node.compose or "not found"
    return f"{node.agent}, Docker {docker}, Compose {compose}"


def deployment_text(one: DeploymentView, now: datetime, terminal: Terminal) -> str:
    """Write all that is known of a deployment."""
    facts = [
        ("health", _marked(one.health.state, one.health.why, terminal)),
        ("sync", _marked(one.sync.state, one.sync.why, terminal)),
        ("rollout", _going(one, now, terminal)),
        ("depends on", ", ".join(one.depends_on)),
        ("replicas", f"{one.wanted} wanted, {one.placed} placed, {one.healthy} healthy"),
        ("template", one.template),
        ("written in", one.source),
        ("last error", one.last_error),
    ]
    problems = (f"  {line}\n" for line in problem_lines(one))
    replicas = (line for replica in one.replicas for line in _replica(replica, now, terminal))
    unplaced = (f"  {line}\n" for refusal in one.unplaced for line in refusal_lines(refusal))
    head = _facts(f"deployment {one.name}", facts, terminal)
    told = condition_lines(one.conditions, now, terminal)
    waiting = (f"  {_waiting(hold, now)}\n" for hold in one.holds[1:])
    holders = (f"  {line}\n" for line in holder_lines(one))
    return "".join((head, *problems, *told, *waiting, *holders, *replicas, *unplaced))


def _going(one: DeploymentView, now: datetime, terminal: Terminal) -> str:
    since = _lasting(one.rollout.since, now)
    phase = terminal.paint(str(one.rollout.phase), _PAINTS.get(one.rollout.phase))
    text = f": {safe(one.rollout.text)}" if one.rollout.text else ""
    return f"{phase}{since}{text}"


def _waiting(hold: HoldView, now: datetime) -> str:
    return f"{safe(hold_text(hold.replicas, hold.text))}{_lasting(hold.since, now)}"


def _lasting(since: datetime | None, now: datetime) -> str:
    """For how long something is so; empty: nobody knows."""
    return f" for {span(now - since)}" if since else ""


def holder_lines(one: DeploymentView) -> Iterator[str]:
    """Say who may run each replica of which no two copies may run."""
    for holder in one.holders:
        goes = f", on its way to {holder.moves_to}" if holder.moves_to else ""
        yield f"{holder.replica} is held by {holder.node} (epoch {holder.epoch}){goes}"


def refusal_lines(refusal: RefusalView) -> Iterator[str]:
    """Say why a replica has no node."""
    yield f"{refusal.replica} has no node:"
    for reason in refusal.reasons:
        nodes = f"{enumerate_names(reason.nodes)}: " if reason.nodes else ""
        yield safe(f"  {nodes}{reason.text}")
    if refusal.hint:
        yield safe(f"  what would help: {refusal.hint}")


def _replica(one: ReplicaView, now: datetime, terminal: Terminal) -> Iterator[str]:
    state = terminal.paint(str(one.health.state), _PAINTS.get(one.health.state))
    ready = (each.since for each in one.conditions if each.type is ConditionType.READY)
    since = _lasting(next(ready, None), now)
    yield f"  {one.name} on {one.node}: {state}{since}: {safe(one.health.why)}\n"
    if one.sync.state is not Sync.SYNCED:
        yield f"    {_marked(one.sync.state, one.sync.why, terminal)}\n"
    for service in one.services:
        code = "" if service.exit_code is None else f" with code {service.exit_code}"
        health = f", {service.health}" if service.health else ""
        yield safe(f"    {service.name}: {service.state}{code}{health}  {service.image}\n")
    for log in one.logs:
        yield f"    last lines of {safe(log.service)}:\n"
        yield from (f"      {safe(line)}\n" for line in log.text.splitlines())
    for endpoint in one.endpoints:
        yield f"    {endpoint.port}: {endpoint.url or endpoint.address}\n"


def _facts(title: str, facts: list[tuple[str, str]], terminal: Terminal) -> str:
    lines = (f"  {key:<12}{_one_line(value)}\n" for key, value in facts if value)
    return f"{terminal.paint(title, Paint.BOLD)}\n{''.join(lines)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _marked(state: str, why: str, terminal: Terminal) -> str:
    return f"{terminal.paint(str(state), _PAINTS.get(state))}: {safe(why)}"
