"""`miaas-agent status`: what this host was told, what it does about it, and what it waits for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from agent.loop import Agent
from schemas.heartbeat import ReplicaReport
from schemas.timestamps import format_timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How things stand on one host.

    accepted, converged: generations; 0: none yet. waits: seconds until something is tried again,
    by what it is. replicas: as a heartbeat would tell them.
    """

    node: str
    accepted: int
    commit: str
    converged: int
    replicas: tuple[ReplicaReport, ...]
    waits: dict[str, int]
    problems: tuple[str, ...]


def survey(agent: Agent, now: float) -> Survey:
    """Look around. Nothing is changed, fetched or pushed."""
    news = agent.look_around()
    accepted, memory = agent.notebook.accepted, agent.notebook.memory
    return Survey(
        node=agent.node,
        accepted=accepted.assignment.generation if accepted else 0,
        commit=accepted.commit if accepted else "",
        converged=memory.generation,
        replicas=news.replicas,
        waits={
            name: round(tries.not_before - now)
            for name, tries in sorted(memory.tries.items())
            if tries.not_before > now
        },
        problems=news.problems,
    )


def as_json(found: Survey) -> str:
    """A survey for machines."""
    text = json.dumps(asdict(found), indent=2, sort_keys=True, default=format_timestamp)
    return f"{text}\n"


def as_text(found: Survey) -> str:
    """A survey for a person in a terminal."""
    lines = [f"node {found.node}", _assignment(found)]
    for replica in found.replicas:
        lines.append(f"  {replica.name:<24} {replica.state}")
        lines += [
            f"    {service.name:<22} {service.state}{_health(service.health)}  {service.image}"
            for service in replica.services
        ]
        lines += [f"    {line}" for line in replica.message.splitlines()]
    lines += [f"{name} is tried again in {seconds} s" for name, seconds in found.waits.items()]
    lines += [f"problem: {problem}" for problem in found.problems]
    return "\n".join(lines) + "\n"


def _assignment(found: Survey) -> str:
    if not found.commit:
        return "nothing is assigned yet"
    told = f"assignment {found.commit[:12]}, generation {found.accepted}"
    if found.converged == found.accepted:
        return f"{told}, reached"
    return f"{told}, not reached; the last one that was is generation {found.converged}"


def _health(health: str) -> str:
    return f" ({health})" if health else ""
