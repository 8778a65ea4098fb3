"""The Flask application: reads the latest view, shows it, and does nothing else."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, render_template
from flask import request as http
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from reconciler.web import api, filters, pages, request
from reconciler.web.plain import dumps
from reconciler.web.request import Clock, Source

_PULL_REQUEST: Final = "To change the fleet, make a pull request against the fleet repository."
# Nothing but our own files: no inline script, no inline style, no other host, no frame.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_FIXES: Final = {
    404: "See /docs for what there is.",
    405: _PULL_REQUEST,
    503: "Wait for the first look at Git, and see /health.",
}
_FOR_MACHINES: Final = ("/api/", "/health", "/metrics", "/openapi.json")


def create_app(latest: Source, clock: Clock, version: str) -> Flask:
    """Make the application around where the latest view comes from and what the time is."""
    app = Flask(__name__, static_url_path="/static")
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["MIAAS_VERSION"] = version
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    filters.install(app)
    app.register_blueprint(pages.pages)
    app.register_blueprint(api.api)
    app.before_request(lambda: request.remember(latest(), clock()))
    app.before_request(_only_read)
    app.after_request(_protect)
    app.context_processor(_surroundings)
    app.register_error_handler(HTTPException, _refuse)
    return app


def _only_read() -> None:
    if http.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(["GET", "HEAD"], f"This page only shows. {_PULL_REQUEST}")


def _protect(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if http.endpoint == "static":
        response.headers["Cache-Control"] = "public, max-age=3600"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


def _surroundings() -> dict[str, object]:
    held, now = request.latest(), request.now()
    return {"now": now, "latest": held, "stale": held.is_stale(now)}


def _refuse(error: HTTPException) -> Response:
    code, fix = error.code or 500, _FIXES.get(error.code or 500, "")
    if _is_for_machines():
        body = dumps({"error": error.description or "", "fix": fix})
        answer = Response(body, code, content_type="application/json")
    else:
        answer = Response(render_template("message.html", error=error, fix=fix), code)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = "GET, HEAD"
    return answer


def _is_for_machines() -> bool:
    if http.path.startswith(_FOR_MACHINES):
        return True
    kinds = ["text/html", "application/json"]
    return http.accept_mimetypes.best_match(kinds, "text/html") == "application/json"
