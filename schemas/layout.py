"""Where everything stands: paths in the fleet repository and the names of its refs."""

from __future__ import annotations

from typing import Final

from schemas.names import NodeName, ReplicaName, TemplateName, is_replica

API_VERSION: Final = "miaas/v1"

# desired: what people write
FLEET_FILE: Final = "fleet.yaml"
DEPLOYMENTS: Final = "deployments"
TEMPLATES: Final = "templates"
NODES: Final = "nodes"
TEMPLATE_FILE: Final = "template.yaml"
COMPOSE_TEMPLATE: Final = "compose.yaml.j2"

# state: what machines write
ASSIGNMENTS_REF: Final = "refs/heads/assignments"
ASSIGNED_REFS: Final = "refs/miaas/assigned/"
NODE_REFS: Final = "refs/miaas/nodes/"
LEADER_REF: Final = "refs/miaas/leader"
LEADER_FILE: Final = "leader.json"
DECISION_FILE: Final = "decision.json"
ASSIGNMENT_FILE: Final = "assignment.json"
HEARTBEAT_FILE: Final = "heartbeat.json"
COMPOSE_FILE: Final = "compose.yaml"
VERSIONS: Final = "versions"

# labels that MIaaS gives to every container it starts, and to no other
LABEL_NODE: Final = "io.miaas.node"
LABEL_DEPLOYMENT: Final = "io.miaas.deployment"
LABEL_REPLICA: Final = "io.miaas.replica"
LABEL_HASH: Final = "io.miaas.hash"
# Seconds; only on containers of which no two copies may run, see `schemas.fencing`.
LABEL_STOP_AFTER: Final = "io.miaas.stop-after"
RESERVED_LABELS: Final = ("io.miaas.", "com.docker.compose.")


def desired_ref(branch: str) -> str:
    """Name the ref of the branch that people commit to, `main` unless configured otherwise."""
    return f"refs/heads/{branch}"


def template_folder(name: TemplateName) -> str:
    """Name the folder of a template in a fleet repository."""
    return f"{TEMPLATES}/{name}"


def node_folder(node: NodeName) -> str:
    """Name the folder of one node's decision in the assignments tree."""
    return f"{NODES}/{node}"


def replica_folder(node: NodeName, replica: ReplicaName) -> str:
    """Name the folder of one replica's rendered files in the assignments tree."""
    return f"{NODES}/{node}/{replica}"


def assigned_ref(node: NodeName) -> str:
    """Name the ref that a node's agent pulls: its own part of the decision."""
    return f"{ASSIGNED_REFS}{node}"


def heartbeat_ref(node: NodeName) -> str:
    """Name the ref that a node's agent, and nobody else, pushes.

    Git knows no rights of single refs: `fleet/server/miaas-doorkeeper` holds keys to it.
    """
    return f"{NODE_REFS}{node}"


def project_name(node: NodeName, replica: ReplicaName) -> str:
    """Name the Compose project of a replica.

    The node is part of it, so that two agents on one engine never take each other's containers.
    """
    return f"miaas-{node}-{replica}"


def replica_of(node: NodeName, project: str) -> ReplicaName | None:
    """Name the replica of a node that has this project; None: no replica of this node can have it.

    Good enough to prefer by, and never to own or delete by. On one engine with nodes `a` and `a-b`,
    the project `miaas-a-b-chat-0` is `chat-0` of `a-b` and reads as `b-chat-0` of `a` too.
    """
    prefix = project_name(node, ReplicaName(""))
    name = project.removeprefix(prefix)
    return ReplicaName(name) if name != project and is_replica(name) else None
