"""What deployments say and what changes nothing. It is allowed, and hardly meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.observing.consistency import meant, no_such_node
from schemas.deployment import Deployment
from schemas.layout import DEPLOYMENTS
from schemas.names import DeploymentName, NodeName
from schemas.problem import Problem


def ineffective(
    deployments: Iterable[Deployment],
    known: Iterable[DeploymentName],
    nodes: Iterable[NodeName],
) -> tuple[Problem, ...]:
    """Name what has no effect, sorted by place.

    known, nodes: every name that people wrote, also in documents that are broken.
    """
    names, hosts = frozenset(known), frozenset(nodes)
    return tuple(
        sorted(
            problem
            for one in deployments
            for problem in (*_soak(one), *_apart(one, names), *_pins(one, hosts))
        )
    )


def _apart(deployment: Deployment, known: frozenset[DeploymentName]) -> Iterator[Problem]:
    """Go through those that it is to be apart from and nobody wrote.

    It is placed as if that had not been asked for. It is not held: a name that was deleted must not
    cost others their failover.
    """
    for index, neighbourhood in enumerate(deployment.placement.apart):
        for at, other in enumerate(neighbourhood.deployments):
            if other not in known:
                keys = ("spec", "placement", "apart", index, "deployments", at)
                what = f"it has to be apart from {other!r}, and there is no such deployment"
                fix = meant(other, known, f"{DEPLOYMENTS}/{other}.yaml")
                yield Problem(deployment.marks.at(*keys), what, fix)


def _pins(deployment: Deployment, nodes: frozenset[NodeName]) -> Iterator[Problem]:
    """Go through the nodes of a pin that nobody wrote. The others may have it."""
    for index, node in enumerate(deployment.placement.pin):
        if node not in nodes:
            yield no_such_node(deployment, index, nodes)


def _soak(deployment: Deployment) -> Iterator[Problem]:
    """A soak holds up those that are no canaries. Without replicas nothing has an effect."""
    update, replicas = deployment.update, deployment.replicas
    if not update.soak or 0 < update.canary < replicas or not replicas:
        return
    place = deployment.marks.at("spec", "update", "soak")
    if not update.canary:
        what = "soak has no effect without canary: nobody waits for it"
        yield Problem(place, what, "add `canary: 1`, or take soak away")
        return
    what = (
        f"soak has no effect: with canary {update.canary} and replicas {replicas} all are "
        "canaries, and nobody waits for them"
    )
    yield Problem(place, what, "let canary be less than replicas, or take soak away")
