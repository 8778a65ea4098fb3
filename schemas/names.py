"""Names: one NewType a kind of name, so that a node can never stand where a deployment should."""

from __future__ import annotations

import re
from typing import Final, NewType

FleetName = NewType("FleetName", str)
DeploymentName = NewType("DeploymentName", str)
TemplateName = NewType("TemplateName", str)
NodeName = NewType("NodeName", str)
ReplicaName = NewType("ReplicaName", str)
GpuUuid = NewType("GpuUuid", str)
CommitId = NewType("CommitId", str)
TreeId = NewType("TreeId", str)
BlobId = NewType("BlobId", str)

# 40 characters keep `miaas-<node>-<replica>` with its service under the 253 of a host name.
NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"
NAME_RULE: Final = "1 to 40 of a-z, 0-9 and '-', with a letter or digit at both ends"

_NAME = re.compile(NAME_PATTERN.replace("$", r"\Z"))
_REPLICA = re.compile(
    r"^(?P<deployment>[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?)-(?P<index>0|[1-9][0-9]{0,4})\Z"
)


def is_name(text: str) -> bool:
    """Whether this may name a fleet, deployment, template, node, port or volume."""
    return _NAME.match(text) is not None


def replica_name(deployment: DeploymentName, index: int) -> ReplicaName:
    """Name replica number `index` (from 0) of a deployment: `chat-0`."""
    return ReplicaName(f"{deployment}-{index}")


def is_replica(text: str) -> bool:
    """Whether this may name a replica."""
    return _REPLICA.match(text) is not None


def split_replica(replica: str) -> tuple[DeploymentName, int]:
    """Take a replica's name apart: `chat-0` -> (`chat`, 0).

    Raises:
        ValueError: it is not the name of a replica.
    """
    found = _REPLICA.match(replica)
    if found is None:
        raise ValueError(f"{replica!r} is not the name of a replica, such as 'chat-0'")
    return DeploymentName(found["deployment"]), int(found["index"])
