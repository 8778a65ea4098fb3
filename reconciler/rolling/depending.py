"""Deployments that wait for others, and whether those are ready. Pure."""

from __future__ import annotations

from reconciler.rolling.outlook import Outlook, Pending, is_ready, replicas_of, rolls
from schemas.deployment import Deployment
from schemas.names import DeploymentName


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
    return any(
        view.pending.get(one) is Pending.CHANGE and one not in view.held
        for one in replicas_of(deployment)
    )
