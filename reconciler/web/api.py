"""The same for machines: JSON, metrics, and whether all this can be trusted."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from reconciler.web import request
from reconciler.web.latest import look_view
from reconciler.web.metrics import CONTENT_TYPE
from reconciler.web.metrics import metrics as written
from reconciler.web.openapi import openapi
from reconciler.web.plain import dumps

api = Blueprint("api", __name__)


@api.get("/health")
def health() -> Response:
    """Whether the views can be trusted: 200 while they can, 503 while they cannot."""
    look = look_view(request.latest(), request.now())
    return _json(look, 200 if look.status == "ok" else 503)


@api.get("/api/v1/nodes")
def list_nodes() -> Response:
    """All nodes."""
    return _json(_dated(nodes=request.view().nodes))


@api.get("/api/v1/nodes/<name>")
def get_node(name: str) -> Response:
    """One node."""
    return _json(_dated(node=request.node(name)))


@api.get("/api/v1/deployments")
def list_deployments() -> Response:
    """All deployments."""
    return _json(_dated(deployments=request.view().deployments))


@api.get("/api/v1/deployments/<name>")
def get_deployment(name: str) -> Response:
    """One deployment."""
    return _json(_dated(deployment=request.deployment(name)))


@api.get("/openapi.json")
def description() -> Response:
    """Describe this API, for machines."""
    return _json(openapi(current_app.config["MIAAS_VERSION"]))


@api.get("/metrics")
def metrics() -> Response:
    """Everything that can be counted."""
    return Response(written(request.latest(), request.now()), content_type=CONTENT_TYPE)


def _dated(**views: object) -> dict[str, object]:
    return {"look": look_view(request.latest(), request.now()), **views}


def _json(value: object, status: int = 200) -> Response:
    return Response(dumps(value), status, content_type="application/json")
