"""Values of the agent for tests, valid by default."""

from __future__ import annotations

from typing import Any

from agent.content import ServiceWant
from agent.converge import Wanted
from agent.runtime.port import Container
from schemas.layout import project_name
from schemas.names import DeploymentName, NodeName, ReplicaName, TreeId

NODE = NodeName("alpha")
CHAT = ReplicaName("chat-0")
CODE = ReplicaName("code-0")
TREE = TreeId("1" * 40)


def a_service(name: str = "web", **fields: Any) -> ServiceWant:
    return ServiceWant(**{"name": name, "hash": f"hash-of-{name}", **fields})


def a_want(replica: ReplicaName = CHAT, **fields: Any) -> Wanted:
    ours: dict[str, Any] = {
        "replica": replica,
        "deployment": DeploymentName(replica.rpartition("-")[0]),
        "tree": TREE,
        "services": (a_service(),),
    }
    return Wanted(**{**ours, **fields})


def a_container(service: str = "web", replica: ReplicaName = CHAT, **fields: Any) -> Container:
    ours: dict[str, Any] = {
        "id": f"{replica}.{service}",
        "project": project_name(NODE, replica),
        "replica": replica,
        "deployment": replica.rpartition("-")[0],
        "service": service,
        "image": "img:1",
        "state": "running",
        "content_hash": f"hash-of-{service}",
    }
    return Container(**{**ours, **fields})
