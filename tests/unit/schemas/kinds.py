"""Every kind of document with all that belongs to it, so that one test can speak of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas import assignment, deployment, fleet, heartbeat, leader, machine, node, template
from tests.unit.schemas import strategies


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of document."""

    name: str
    dataclass: type
    parse: Callable[..., Any]
    dump: Callable[[Any], str]
    drawn: Any
    path: str


PEOPLE = (
    Kind(
        "fleet", fleet.Fleet, fleet.parse_fleet, fleet.dump_fleet, strategies.fleets, "fleet.yaml"
    ),
    Kind(
        "template",
        template.Template,
        template.parse_template,
        template.dump_template,
        strategies.templates,
        "templates/x/template.yaml",
    ),
    Kind(
        "deployment",
        deployment.Deployment,
        deployment.parse_deployment,
        deployment.dump_deployment,
        strategies.deployments,
        "deployments/x.yaml",
    ),
    Kind(
        "node", node.NodeRecord, node.parse_node, node.dump_node, strategies.records, "nodes/x.yaml"
    ),
    Kind(
        "machine",
        machine.Machine,
        machine.parse_machine,
        machine.dump_machine,
        strategies.machines(),
        "new.yaml",
    ),
)
MACHINES = (
    Kind(
        "heartbeat",
        heartbeat.Heartbeat,
        heartbeat.parse_heartbeat,
        heartbeat.dump_heartbeat,
        strategies.heartbeats,
        "heartbeat.json",
    ),
    Kind(
        "assignment",
        assignment.Assignment,
        assignment.parse_assignment,
        assignment.dump_assignment,
        strategies.assignments,
        "assignment.json",
    ),
    Kind(
        "decision",
        assignment.Decision,
        assignment.parse_decision,
        assignment.dump_decision,
        strategies.decisions,
        "decision.json",
    ),
    Kind(
        "leader",
        leader.Leader,
        leader.parse_leader,
        leader.dump_leader,
        strategies.leaders,
        "leader.json",
    ),
)
ALL = PEOPLE + MACHINES
