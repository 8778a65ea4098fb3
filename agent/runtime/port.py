"""What the agent asks of a container engine, and not one thing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.heartbeat import RuntimeReport


class RuntimeFailedError(Exception):
    """The engine answered and could not do it. The message says what the engine said, shortened."""


class RuntimeDownError(Exception):
    """The engine does not answer. Nothing may be concluded about what runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of ours, known by its labels.

    state: as the engine says: `running`, `exited`, `created`, `paused`, `restarting`, `dead`.
    health: `healthy`, `unhealthy`, `starting`, or empty where the image has no check.
    content_hash: of what the service was made from; the label that we gave it.
    exit_code: None while it runs.
    """

    id: str
    project: str
    replica: str
    deployment: str
    service: str
    image: str
    state: str
    health: str = ""
    content_hash: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A Compose project that is ready to be run.

    folder: holds the rendered files. overlay: a second compose file with the labels that we add.
    """

    name: str
    folder: Path
    overlay: Path


class Runtime(Protocol):
    """An engine on this host. Every call has a bound in time and ends in one of the two errors."""

    def containers(self, node: str) -> tuple[Container, ...]:
        """All containers that carry our label for this node, running or not, in order of id.

        Raises:
            RuntimeDownError: no answer. A failed listing is not an empty listing.
        """

    def report(self) -> RuntimeReport:
        """The engine's versions, or why it does not answer. Raises nothing."""

    def images(self) -> tuple[str, ...]:
        """References of the images present, sorted."""

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        """The compose file of a folder as Compose understands it: `docker compose config`.

        Raises:
            RuntimeFailedError: Compose refuses it.
        """

    def pull(self, project: Project) -> None:
        """Bring the images that are missing. What runs goes on running.

        Raises:
            RuntimeFailedError: some image cannot be had.
        """

    def up(self, project: Project) -> None:
        """Make the project run as its files say, remove services that left it.

        Does not wait for health.

        Raises:
            RuntimeFailedError: some service did not start.
        """

    def down(self, project: str) -> None:
        """Stop and remove a project's containers and networks. Its volumes stay."""
