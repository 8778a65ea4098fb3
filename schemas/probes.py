"""Probes: questions that the agent asks a replica from outside.

An image without a tool cannot check itself, and a server can listen long before its model answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProbeKind(StrEnum):
    """What is asked."""

    HTTP = "http"  # GET a path; a status of 200 to 399 is well
    TCP = "tcp"  # connect; a connection that is held is well


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question about one port of a replica, asked again and again.

    port: name of the template's port. path: for HTTP.
    start_period_seconds: how long it may take to be ready before silence counts as ill.
    failure_threshold, success_threshold: so many answers in a row change the mind.
    """

    name: str
    port: str
    kind: ProbeKind = ProbeKind.HTTP
    path: str = "/"
    start_period_seconds: int = 30
    interval_seconds: int = 10
    timeout_seconds: int = 5
    failure_threshold: int = 3
    success_threshold: int = 1
