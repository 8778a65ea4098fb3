"""What one request looks at: one view and one moment, from its beginning to its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, cast

from flask import g
from werkzeug.exceptions import NotFound, ServiceUnavailable

from reconciler.web.latest import Latest
from reconciler.web.views import DeploymentView, FleetView, NodeView

Source: TypeAlias = Callable[[], Latest]
Clock: TypeAlias = Callable[[], datetime]


def remember(latest: Latest, now: datetime) -> None:
    """Fix what this request looks at."""
    g.latest, g.now = latest, now


def latest() -> Latest:
    """The newest view when this request came."""
    return cast("Latest", g.latest)


def now() -> datetime:
    """When this request came."""
    return cast("datetime", g.now)


def view() -> FleetView:
    """What there is to show; 503 while there is nothing yet."""
    found = latest().view
    if found is None:
        raise ServiceUnavailable("Git has not been read yet.")
    return found


def node(name: str) -> NodeView:
    """One node; 404 where there is none."""
    found = view().nodes_by_name.get(name)
    if found is None:
        raise NotFound(f"There is no node {name!r}.")
    return found


def deployment(name: str) -> DeploymentView:
    """One deployment; 404 where there is none."""
    found = view().deployments_by_name.get(name)
    if found is None:
        raise NotFound(f"There is no deployment {name!r}.")
    return found
