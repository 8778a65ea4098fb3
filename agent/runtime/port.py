"""What the agent asks of a container engine, and not one thing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from schemas.heartbeat import RuntimeReport

# A stack trace of Python with its cause is that long; a status is no place to read a whole log.
LOG_LINES = 40
LOG_BYTES = 64 * 1024


class RuntimeFailedError(Exception):
    """The engine answered and could not do it. The message says what the engine said, shortened."""


class UnfinishedError(RuntimeFailedError):
    """It takes longer than a call may: begun, and to be taken up again. Nothing says it failed."""


class RuntimeDownError(Exception):
    """The engine does not answer. Nothing may be concluded about what runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use, and when the engine starts it again: all that `docker update` sets.

    An amount of 0 means no limit; None means that this engine does not keep such limits.
    cpu_milli: thousandths of a core. cpus: numbers of the cores that it is kept to; empty: any.
    restart: `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`.
    """

    memory_bytes: int | None = 0
    cpu_milli: int | None = 0
    pids: int | None = 0
    cpus: str | None = ""
    restart: str = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of ours, known by its labels.

    state: as the engine says: `running`, `exited`, `created`, `paused`, `restarting`, `dead`.
    health: `healthy`, `unhealthy`, `starting`, or empty where the image has no check.
    content_hash: of what the service was made from; the label that we gave it.
    exit_code: None while it runs. young: whether it started less than ten minutes ago.
    image_id: of the image that it was made from. networks: names of those that it is connected to;
    None: the engine does not say. limits: None where nobody asked for them.
    stop_after: seconds without contact after which it has to stop, by its label; None: it has none.
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
    young: bool = field(default=False, compare=False)
    image_id: str = ""
    networks: tuple[str, ...] | None = None
    limits: Limits | None = None
    stop_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image on this host. tags: all names that it has here; empty: none points to it now.

    digests: `repository@sha256:...` of each repository that it was pulled from. Who pulls by such a
    name gives it no tag.
    """

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a listing does not tell of a container.

    restarts: how often the engine itself started it anew. started: another text at each start.
    exit_code: how it last ended; None while it runs. out_of_memory: whether that was its limit.
    environment: of its first process; it may hold secrets.
    """

    restarts: int = 0
    started: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


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

    def details(self, container: str) -> Details:
        """More about a container, by its id.

        Raises:
            RuntimeFailedError: there is no such container any longer.
            RuntimeDownError: no answer.
        """

    def logs(self, container: str) -> str:
        """The last lines of a container's log, as they are: at most LOG_LINES, 64 KiB of them.

        Nobody else may see them before secrets are masked.

        Raises:
            RuntimeFailedError: there is no such container, or its log cannot be read.
            RuntimeDownError: no answer.
        """

    def report(self) -> RuntimeReport:
        """The engine's versions, or why it does not answer. Raises nothing."""

    def images(self) -> tuple[str, ...]:
        """References of the images present, sorted."""

    def volume_projects(self) -> tuple[str, ...]:
        """Names of the Compose projects whose volumes stand here, in use or not, sorted.

        Raises:
            RuntimeDownError: no answer.
        """

    def limits(self, containers: tuple[str, ...]) -> Mapping[str, Limits]:
        """The limits of containers as they are now, by id. One that is gone is left out.

        Raises:
            RuntimeDownError: no answer.
        """

    def strangers(self, projects: frozenset[str]) -> tuple[Container, ...]:
        """Containers in these projects that no agent put there, in order of id.

        They carry the project's name and no label of ours, or were started beside the services by
        `docker compose run`.

        Raises:
            RuntimeDownError: no answer.
        """

    def stop(self, containers: tuple[str, ...]) -> None:
        """Stop containers side by side, within `schemas.fencing.STOP_TIME`, and leave them there.

        Raises:
            RuntimeFailedError: some may still run.
            RuntimeDownError: no answer; nobody knows.
        """

    def remove(self, container: str) -> None:
        """Stop a container with its own grace period, and remove it. One that is gone is fine.

        Raises:
            RuntimeFailedError: the engine does not let it go; `UnfinishedError`: not so soon.
            RuntimeDownError: no answer to anything.
        """

    def remove_volumes(self, project: str) -> tuple[str, ...]:
        """Delete the volumes of a project, data and all, and name them. No other way does that.

        Raises:
            RuntimeFailedError: something still uses one of them; `UnfinishedError`: not so soon.
            RuntimeDownError: no answer to anything.
        """

    def stored_images(self) -> tuple[Image, ...]:
        """The images present, in order of id.

        Raises:
            RuntimeDownError: no answer.
        """

    def remove_image(self, image: str) -> None:
        """Remove an image by id. One that is gone is fine.

        Raises:
            RuntimeFailedError: some container was made from it.
        """

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        """The compose file of a folder as Compose understands it: `docker compose config`.

        Raises:
            RuntimeFailedError: Compose refuses it.
        """

    def lacking(self, project: Project) -> tuple[str, ...]:
        """References of the project's images that are not here, and would have to be pulled.

        Raises:
            RuntimeFailedError: some reference is none.
        """

    def pull(self, project: Project) -> None:
        """Bring the images that are missing. What runs goes on running.

        Raises:
            RuntimeFailedError: some image cannot be had.
        """

    def up(self, project: Project, within: float | None = None) -> None:
        """Make the project run as its files say, remove services that left it.

        Does not wait for health. within: seconds after which nothing more of it may be started;
        None: however long a start may take.

        Raises:
            RuntimeFailedError: some service did not start.
        """

    def down(self, project: str) -> None:
        """Stop and remove a project's containers and networks. Its volumes stay."""
