"""Deployments that wait for others, and whether those are ready. Pure."""

from __future__ import annotations

from reconciler.rolling.outlook import Outlook, Pending, extra_of, is_ready, replicas_of, rolls
from schemas.deployment import Deployment
from schemas.names import DeploymentName
from schemas.rollout import UpdateStrategy


def missing(deployment: Deployment, view: Outlook) -> str | None:
    """Say which deployments it waits for; None: all replicas of those that it depends on are ready.

    One that is held or runs nothing is not.
    """
    waits = [_named(name, view) for name in deployment.depends_on if not _is_ready(name, view)]
    return f"waits for {', '.join(waits)} to be ready" if waits else None


def behind(deployment: Deployment, view: Outlook) -> str | None:
    """Say which of those it depends on take a new version first; None: none has to."""
    waits = [name for name in deployment.depends_on if _is_changing(name, view)]
    return f"waits for {', '.join(waits)} to have a new version everywhere" if waits else None


def _named(name: DeploymentName, view: Outlook) -> str:
    deployment = view.deployments.get(name)
    if deployment is None:
        return f"{name} (which is held)"
    return name if deployment.replicas else f"{name} (which asks for no replicas)"


def _is_ready(name: DeploymentName, view: Outlook) -> bool:
    deployment = view.deployments.get(name)
    if deployment is None or not deployment.replicas:
        return False
    return all(is_ready(one, view) for one in replicas_of(deployment))


def _is_changing(name: DeploymentName, view: Outlook) -> bool:
    """Whether a new version comes in that some replica has yet to get, and can."""
    deployment = view.deployments.get(name)
    if deployment is None or not rolls(name, view):
        return False
    starts_first = deployment.update.strategy is UpdateStrategy.START_FIRST
    if starts_first and extra_of(deployment) not in view.target.keys() | view.previous.keys():
        return False  # it has no room for the extra replica, and waits for that
    changing = {Pending.CHANGE, Pending.MOVE}
    return any(
        view.pending.get(one) in changing and one not in view.arrived and one not in view.held
        for one in replicas_of(deployment)
    )
