"""The pages for people."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template
from flask import request as http

from reconciler.web import request
from reconciler.web.openapi import openapi
from reconciler.web.search import matching

pages = Blueprint("pages", __name__)


@pages.get("/")
def overview() -> Response:
    """One line first, then what is not as it should be, then everything."""
    view = request.latest().view
    if view is None:
        return Response(render_template("starting.html"), 503)
    asked = http.args.get("q", "")[:100]
    shown = matching(view, asked)
    return Response(render_template("overview.html", view=view, shown=shown, asked=asked))


@pages.get("/nodes/<name>")
def node(name: str) -> Response:
    """One node."""
    return Response(render_template("node.html", node=request.node(name)))


@pages.get("/deployments/<name>")
def deployment(name: str) -> Response:
    """One deployment."""
    return Response(render_template("deployment.html", deployment=request.deployment(name)))


@pages.get("/problems")
def problems() -> Response:
    """Everything that has to be mended."""
    return Response(render_template("problems.html", view=request.view()))


@pages.get("/docs")
def docs() -> Response:
    """Describe the API, for people."""
    described = openapi(current_app.config["MIAAS_VERSION"])
    return Response(render_template("docs.html", api=described))
