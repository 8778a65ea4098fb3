"""Deployments that wait for others, and whether those are ready. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.rolling.standing import Standing
from schemas.deployment import Deployment
from schemas.names import DeploymentName, ReplicaName, replica_name


def missing(
    deployment: Deployment,
    deployments: Mapping[DeploymentName, Deployment],
    standing: Mapping[ReplicaName, Standing],
) -> str | None:
    """Say which deployments it waits for; None: all that it depends on are ready."""
    waits = [
        name
        for name in deployment.depends_on
        if not is_ready(name, deployments.get(name), standing)
    ]
    return f"waits for {', '.join(waits)} to be ready" if waits else None


def is_ready(
    name: DeploymentName,
    deployment: Deployment | None,
    standing: Mapping[ReplicaName, Standing],
) -> bool:
    """Whether all replicas of a deployment are ready. One that is held or runs nothing is not."""
    if deployment is None or not deployment.replicas:
        return False
    names = (replica_name(name, index) for index in range(deployment.replicas))
    return all(one in standing and standing[one].ready for one in names)
