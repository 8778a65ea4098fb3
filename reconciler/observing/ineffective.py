"""What deployments say and what changes nothing. It is allowed, and hardly meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.deployment import Deployment
from schemas.problem import Problem


def ineffective(deployments: Iterable[Deployment]) -> tuple[Problem, ...]:
    """Name what has no effect, sorted by place."""
    found = (_soak(deployment) for deployment in deployments)
    return tuple(sorted(one for one in found if one is not None))


def _soak(deployment: Deployment) -> Problem | None:
    """A soak holds up those that are no canaries. Without replicas nothing has an effect."""
    update, replicas = deployment.update, deployment.replicas
    if not update.soak or 0 < update.canary < replicas or not replicas:
        return None
    place = deployment.marks.at("spec", "update", "soak")
    if not update.canary:
        what = "soak has no effect without canary: nobody waits for it"
        return Problem(place, what, "add `canary: 1`, or take soak away")
    what = (
        f"soak has no effect: with canary {update.canary} and replicas {replicas} all are "
        "canaries, and nobody waits for them"
    )
    return Problem(place, what, "let canary be less than replicas, or take soak away")
