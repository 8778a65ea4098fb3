"""What a template gets to know: one replica, its node, and what it was promised. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.observing.node import Node
from reconciler.observing.snapshot import TemplateBundle
from reconciler.placing.plan import Placement
from reconciler.rendering.port import RenderJob
from schemas.deployment import Deployment
from schemas.given import Given
from schemas.names import split_replica


def job_of(
    placement: Placement,
    node: Node,
    deployment: Deployment,
    bundle: TemplateBundle,
    params: Mapping[str, object],
) -> RenderJob:
    """Make the rendering job of one placed replica. `params` are filled and checked."""
    _, index = split_replica(placement.replica)
    needs = placement.resources
    context: dict[str, object] = {
        "params": dict(params),
        "deployment": {"name": deployment.name, "labels": dict(deployment.labels)},
        "replica": {"name": placement.replica, "index": index},
        "node": {"name": node.name, "labels": dict(sorted(node.labels.items()))},
        "ports": dict(sorted(placement.ports.items())),
        "gpus": [{"uuid": one.uuid, "memory_mib": one.memory_mib} for one in placement.gpus],
        "resources": {
            "cpu_milli": needs.cpu_milli,
            "cpus": needs.cpu_milli / 1000,
            "memory_mib": needs.memory_mib,
            "disk_mib": needs.disk_mib,
        },
    }
    given = Given(
        gpus=frozenset(one.uuid for one in placement.gpus),
        ports=frozenset(placement.ports.values()),
    )
    return RenderJob(replica=placement.replica, bundle=bundle, context=context, given=given)
