"""Where a replica's ports answer, ready to copy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from reconciler.web.views import EndpointView
from schemas.assignment import AssignedReplica
from schemas.template import Template, TemplatePort

# An address comes from a heartbeat. Whatever does not look like a host never becomes a link.
_HOST: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?\Z")
_PATH: Final = re.compile(r"/[-A-Za-z0-9._~/%?=&+]*\Z")
_HTTP: Final = re.compile(r"(http|api|web|ui|metrics)(-.*)?\Z")


def endpoints(
    replica: AssignedReplica, template: Template | None, addresses: tuple[str, ...]
) -> tuple[EndpointView, ...]:
    """List where each port of a replica answers; nothing while the node has told no address."""
    host = next((host for host in map(_host, addresses) if host), "")
    if not host:
        return ()
    known = _ports(template)
    return tuple(
        _endpoint(replica.name, f"{host}:{number}", name, known.get(name))
        for name, number in sorted(replica.ports.items())
    )


def _endpoint(replica: str, address: str, name: str, port: TemplatePort | None) -> EndpointView:
    url = f"http://{address}{_path(port)}" if _HTTP.match(name) else ""
    curl = f"curl -fsS '{url}'" if url else ""
    return EndpointView(replica=replica, port=name, address=address, url=url, curl=curl)


def _ports(template: Template | None) -> Mapping[str, TemplatePort]:
    return {port.name: port for port in template.ports} if template else {}


def _path(port: TemplatePort | None) -> str:
    return port.path if port is not None and _PATH.match(port.path) else "/"


def _host(address: str) -> str:
    if "%" in address:  # an IPv6 scope may hold any character, and means nothing elsewhere
        return ""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address if _HOST.match(address) else ""
    return f"[{parsed}]" if isinstance(parsed, ipaddress.IPv6Address) else str(parsed)
