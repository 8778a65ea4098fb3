"""The last step of a pass: what there is to tell, and when the next pass is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from agent.converge import intruders, own_containers
from agent.desk import Desk
from agent.memory import Since
from agent.reading import Listing
from agent.report import Course, replica_reports, shortened
from agent.speaker import News
from agent.watched import Watch
from schemas.heartbeat import ReplicaReport
from schemas.names import ReplicaName

Key = TypeVar("Key", bound=str)

# A pass that left something to do is repeated soon, and never in a tight loop.
AGAIN_SECONDS = 1.0
# What is due already is due soon: a pass has just been made.
SHORTEST_SECONDS = 0.1


def gather(desk: Desk, containers: Listing, docker_problem: str, own_problem: str) -> News:
    """What a heartbeat would tell now, beside the facts of the host.

    docker_problem: why the engine does not answer. own_problem: what the agent itself cannot do.
    """
    orders = desk.orders()
    memory, names = orders.memory, {*orders.trees(), *orders.memory.present}
    watches = desk.tools.vigil.watches(desk.notebook, orders.replicas())
    delays, grants, healed = orders.delays(containers), orders.grants(), orders.healed(containers)
    courses = {
        name: Course(
            tree=memory.present[name].tree if name in memory.present else "",
            message=orders.failure(name),
            delay=delays.get(name, ""),
            is_healed=name in healed,
            bar=grants.bar(name),
            epoch=grants.epochs.get(name, 0),
            intruders=intruders(desk.node, name, memory.findings.strangers),
            vain=memory.findings.vain,
            watch=watches.get(name, Watch()),
        )
        for name in map(ReplicaName, names)
    }
    own = None if containers is None else own_containers(desk.node, containers)
    full = desk.tools.janitor.problem(desk.notebook)
    problems = (docker_problem, own_problem, full, desk.tools.look.problem)
    host = _dated_host(
        desk, docker="silent" if docker_problem else "answers", disk="full" if full else "roomy"
    )
    return News(
        replicas=_dated(desk, replica_reports(orders.wanted(), own, courses)),
        problems=tuple(shortened(problem) for problem in problems if problem),
        runtime_error=docker_problem,
        containers=containers or (),
        ports=orders.ports(),
        docker_since=host["docker"],
        disk_since=host["disk"],
    )


def _dated(desk: Desk, reports: tuple[ReplicaReport, ...]) -> tuple[ReplicaReport, ...]:
    """The reports with since when each replica is in its state, which is remembered."""
    memory = desk.notebook.memory
    since = _turned(memory.since, {one.name: str(one.state) for one in reports}, _now(desk))
    if since != memory.since:
        desk.notebook.memory = replace(memory, since=since)
    return tuple(replace(one, since=datetime.fromisoformat(since[one.name].at)) for one in reports)


def _dated_host(desk: Desk, **states: str) -> Mapping[str, datetime]:
    """Since when each part of the host is in its state, which is remembered."""
    memory = desk.notebook.memory
    host = _turned(memory.host, states, _now(desk))
    if host != memory.host:
        desk.notebook.memory = replace(memory, host=host)
    return {name: datetime.fromisoformat(one.at) for name, one in host.items()}


def _turned(known: Mapping[Key, Since], states: Mapping[Key, str], now: str) -> dict[Key, Since]:
    """Since when everything is in its state: since ever, or since now if that is another one."""
    return {
        name: known[name]
        if name in known and known[name].state == state
        else Since(state=state, at=now)
        for name, state in states.items()
    }


def _now(desk: Desk) -> str:
    return desk.clock.wall().replace(microsecond=0).isoformat()


def wake(desk: Desk, news: News, *, left: bool) -> float:
    """When something becomes due. Looks at the remote are timed by who drives the passes.

    Closer looks that are due wait for an engine that does not answer: its own wait wakes us.
    """
    notebook, now = desk.notebook, desk.clock.boottime()
    memory = notebook.memory
    waits_over = [one.not_before for one in memory.tries.values() if one.not_before > now]
    waits_over += [one.until for one in memory.held.values() if one.until > now]
    speak = max(memory.speak_due, notebook.tries("push").not_before)
    soon = [now + AGAIN_SECONDS] if left else []
    chance = desk.tools.speaker.next_chance(notebook, news)
    chances = [] if chance is None else [max(chance, now + AGAIN_SECONDS)]
    lease_ends = desk.orders().grants().deadline()
    chances += [] if lease_ends is None else [max(lease_ends, now + SHORTEST_SECONDS)]
    looks = [] if news.runtime_error else [max(due, now + SHORTEST_SECONDS) for due in _looks(desk)]
    return max(now, min((speak, *waits_over, *soon, *chances, *looks)))


def _looks(desk: Desk) -> list[float]:
    """When to look closer again at what runs, on the boot clock."""
    look = desk.tools.vigil.next_look()
    audits = [] if desk.notebook.accepted is None else [desk.notebook.memory.audit_due]
    return audits if look is None else [look, *audits]
