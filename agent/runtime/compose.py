"""Docker Compose behind the `Runtime` Protocol. The one door to python-on-whales."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.runtime import docker_audit, docker_closer, docker_removals, docker_stops
from agent.runtime.complaints import condensed, says_engine_is_down, unfinished
from agent.runtime.docker_socket import DEFAULT_HOST, DockerSocket, socket_path
from agent.runtime.plugin import compose_plugin, compose_version
from agent.runtime.port import (
    Container,
    Details,
    Image,
    Limits,
    Project,
    RuntimeDownError,
    RuntimeFailedError,
    UnfinishedError,
)
from schemas.heartbeat import RuntimeReport
from schemas.layout import COMPOSE_FILE

if TYPE_CHECKING:
    from python_on_whales import DockerClient
    from python_on_whales.exceptions import DockerException

CHILD_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# After the bound a child is asked to end; this much later it is killed with its whole group.
KILL_AFTER_SECONDS: Final = 5
# By this a plugin knows that it stands in for `docker compose`, and not for `docker-compose`.
PLUGIN_MARK: Final = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"
# Compose asks before it deletes a volume that its file describes otherwise by now. Nobody answers,
# which it takes for no: the volume stays as it is, and a terminal or a pipe is not waited for.
UNASKED: Final = ("-c", 'exec "$@" </dev/null', "sh")
# As coreutils' timeout answers: ended in time after being asked, or killed.
TIMED_OUT: Final = frozenset({124, 137, -9})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Longest time for each kind of call, in seconds.

    resolve: reads files only.
    pull: 10 GB of a model server's image over 100 Mbit/s take a quarter of an hour.
    up: starts take seconds; but it also waits for services that others depend on, which may take
        a model as long as it likes. The agent must be heard meanwhile, so it ends and is repeated.
    down: a container has its own grace period, usually 10 s; the engine goes on without us.
    """

    answer: float = 5
    resolve: float = 30
    pull: float = 3600
    up: float = 60
    down: float = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSettings:
    """Which engine and which client to use.

    host: DOCKER_HOST; a unix socket. config: DOCKER_CONFIG; holds logins and, if it is not
    installed for all, the Compose plugin. home: HOME for the client. path: where programs stand.
    """

    host: str = DEFAULT_HOST
    config: Path = Path("/etc/miaas/docker")
    home: Path = Path("/var/lib/miaas-agent")
    path: str = CHILD_PATH
    kill_after_seconds: float = KILL_AFTER_SECONDS
    bounds: Bounds = field(default_factory=Bounds)


class ComposeRuntime:
    """The engine of this host. Obeys `agent.runtime.port.Runtime`.

    Raises:
        BadDockerHostError: the settings name an engine that is not this host's.
    """

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._socket = DockerSocket(socket_path(settings.host), settings.bounds.answer)
        # By project: what its file was when it was resolved, and the images that it named.
        self._images: dict[str, tuple[object, _Wanted]] = {}

    def warm(self) -> None:
        """Load what a change needs, so that the first one does not wait for it. For services."""
        self._client(self._settings.bounds.resolve, "miaas", None)

    def containers(self, node: str) -> tuple[Container, ...]:
        return self._socket.containers(node)

    def images(self) -> tuple[str, ...]:
        return self._socket.images()

    def volume_projects(self) -> tuple[str, ...]:
        return self._socket.volume_projects()

    def limits(self, containers: tuple[str, ...]) -> Mapping[str, Limits]:
        return docker_audit.limits(self._socket, containers)

    def strangers(self, projects: frozenset[str]) -> tuple[Container, ...]:
        return docker_audit.strangers(self._socket, projects)

    def stored_images(self) -> tuple[Image, ...]:
        return docker_audit.stored_images(self._socket)

    def stop(self, containers: tuple[str, ...]) -> None:
        docker_stops.stop(socket_path(self._settings.host), containers)

    def remove(self, container: str) -> None:
        docker_removals.remove(self._socket, container)

    def remove_volumes(self, project: str) -> tuple[str, ...]:
        return docker_removals.remove_volumes(self._socket, project)

    def remove_image(self, image: str) -> None:
        docker_removals.remove_image(self._socket, image)

    def details(self, container: str) -> Details:
        return docker_closer.details(self._socket, container)

    def logs(self, container: str) -> str:
        return docker_closer.logs(self._socket, container)

    def report(self) -> RuntimeReport:
        try:
            docker = self._socket.version()
        except RuntimeDownError as error:
            return RuntimeReport(error=str(error))
        try:
            return RuntimeReport(docker=docker, compose=self._compose_version())
        except (RuntimeFailedError, RuntimeDownError) as error:
            return RuntimeReport(docker=docker, error=str(error))

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        bound, file = self._settings.bounds.resolve, folder / COMPOSE_FILE
        stamp = _stamp(file)  # before it is read: a file that changes meanwhile is read again
        # It reads files alone, and yet older clients ask the engine for its version first.
        with self._engine_call(project, folder, bound, file) as client:
            # As JSON: python-on-whales' own types would drop the GPUs that a service reserves.
            resolved: Mapping[str, object] = client.compose.config(return_json=True)
        if not resolved.get("services"):
            raise RuntimeFailedError("the compose file has no services. Fix: add one to it")
        self._images[project] = stamp, _images_by_policy(resolved)
        return resolved

    def lacking(self, project: Project) -> tuple[str, ...]:
        return self._socket.missing(self._wanted(project).images)

    def pull(self, project: Project) -> None:
        wanted = self._wanted(project)
        missing = set(self._socket.missing(wanted.images))
        kept_off = sorted(missing & wanted.never)
        if kept_off:
            raise RuntimeFailedError(
                f"image not found: {', '.join(kept_off)} has `pull_policy: never` and is not on "
                "this host. Fix: load it there (`docker load`), or allow it to be pulled"
            )
        services = wanted.to_pull(missing)
        if services:
            self._pull(project, services)

    def up(self, project: Project, within: float | None = None) -> None:
        bound, began = self._settings.bounds.up, time.monotonic()
        # Compose would also make anew whose tag means another image by now.
        is_current = docker_audit.are_current(self._socket, project)
        if within is not None:  # it is killed if it does not end when it is told to
            left = within - (time.monotonic() - began)
            bound = min(bound, max(left - self._settings.kill_after_seconds, 0.1))
        with self._engine_call(project.name, project.folder, bound, *_files(project)) as client:
            client.compose.up(
                detach=True,
                remove_orphans=True,
                no_build=True,
                quiet=True,
                recreate=not is_current,
            )

    def down(self, project: str) -> None:
        # Without files Compose goes by its labels, so that a project can go whose files are lost.
        with self._engine_call(project, None, self._settings.bounds.down) as client:
            client.compose.down(remove_orphans=True, quiet=True)

    def _pull(self, project: Project, services: list[str]) -> None:
        bound = self._settings.bounds.pull
        with self._engine_call(project.name, project.folder, bound, *_files(project)) as client:
            # Only the streaming form keeps what Compose says; the other one lets it go to ours.
            for _ in client.compose.pull(services, quiet=False, stream_logs=True):
                pass

    def _wanted(self, project: Project) -> _Wanted:
        """The images of a project. A file that was just resolved is not resolved again."""
        stamp, wanted = self._images.get(project.name, (None, None))
        if wanted is None or stamp != _stamp(project.folder / COMPOSE_FILE):
            self.resolve(project.folder, project.name)
            _, wanted = self._images[project.name]
        return wanted

    def _compose_version(self) -> str:
        return compose_version(
            [*self._call(self._settings.bounds.resolve), "compose", "version", "--short"],
            plugin=compose_plugin(self._settings.config),
            notes=self._settings.home,
        )

    @contextmanager
    def _engine_call(
        self, name: str, folder: Path | None, bound: float, *files: Path
    ) -> Iterator[DockerClient]:
        """A client for one call. An engine that hangs is noticed before Compose waits for it."""
        self._socket.ping()
        with self._translated(bound):
            yield self._client(bound, name, folder, *files)

    @contextmanager
    def _translated(self, bound: float) -> Iterator[None]:
        from python_on_whales.exceptions import DockerException  # noqa: PLC0415 - see _client

        try:
            yield
        except DockerException as error:
            raise self._judged(error, bound) from error
        except (OSError, ValueError) as error:  # a client that cannot start, or prints nonsense
            raise RuntimeFailedError(f"Docker's client does not work: {error}") from error

    def _judged(self, error: DockerException, bound: float) -> Exception:
        said = error.stderr or ""
        if error.return_code in TIMED_OUT:
            try:
                self._socket.ping()
            except RuntimeDownError as down:
                return down
            return UnfinishedError(unfinished(said, bound))
        if says_engine_is_down(said):
            return RuntimeDownError(condensed(said))
        return RuntimeFailedError(condensed(said))

    def _client(self, bound: float, name: str, folder: Path | None, *files: Path) -> DockerClient:
        # Here and not above: it costs a fifth of a second, and most passes change nothing.
        from python_on_whales import DockerClient  # noqa: PLC0415
        from python_on_whales.client_config import ClientConfig  # noqa: PLC0415

        return DockerClient(
            client_config=ClientConfig(
                client_call=self._call(bound),
                client_type="docker",
                compose_files=list(files),
                compose_env_files=[os.devnull],  # a file named .env is none of Compose's business
                compose_project_name=name,
                compose_project_directory=folder,
            )
        )

    def _call(self, bound: float) -> list[str]:
        """How every client is started: a clean environment, a bound in time, no folder of ours.

        python-on-whales has no bound of its own and hands on the agent's whole environment, from
        which `${NAME}` in a compose file would read.
        """
        settings = self._settings
        docker = self._program("docker")
        plugin = compose_plugin(settings.config)
        return [
            self._program("env"),
            "--ignore-environment",
            "--chdir=/",  # Compose looks for files here and above when it is given none
            f"PATH={settings.path}",
            f"HOME={settings.home}",
            f"DOCKER_CONFIG={settings.config}",
            f"DOCKER_HOST={settings.host or DEFAULT_HOST}",
            f"{PLUGIN_MARK}={docker}",
            self._program("sh"),
            *UNASKED,
            self._program("timeout"),
            f"--kill-after={settings.kill_after_seconds:g}",
            f"{bound:g}",
            # The plugin as Docker's client would start it. The client itself would start it twice,
            # once to ask for its name: 40 ms of CPU a call instead of 70 to 90.
            docker if plugin is None else str(plugin),
        ]

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=self._settings.path)
        if found is None:
            raise RuntimeFailedError(
                f"{name} is not installed in {self._settings.path}. Fix: install it"
            )
        return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The images of a project's services, by service, with what each one says about pulling."""

    image: Mapping[str, str]
    policy: Mapping[str, str]

    @property
    def images(self) -> frozenset[str]:
        return frozenset(self.image.values())

    @property
    def never(self) -> frozenset[str]:
        """Images that must come from elsewhere."""
        return frozenset(self.image[name] for name in self.image if self.policy[name] == "never")

    def to_pull(self, missing: set[str]) -> list[str]:
        """Services whose image has to be pulled: missing ones, and those that say `always`."""
        return sorted(
            name
            for name, image in self.image.items()
            if self.policy[name] == "always" or (image in missing and self.policy[name] != "never")
        )


def _images_by_policy(resolved: Mapping[str, object]) -> _Wanted:
    services = resolved.get("services")
    entries = services if isinstance(services, dict) else {}
    having = {name: entry for name, entry in entries.items() if entry.get("image")}
    return _Wanted(
        image={name: str(entry["image"]) for name, entry in having.items()},
        policy={name: str(entry.get("pull_policy") or "missing") for name, entry in having.items()},
    )


def _stamp(file: Path) -> object:
    """Something that is another one when the file is."""
    try:
        found = file.stat()
    except OSError:
        return None
    return str(file), found.st_mtime_ns, found.st_size, found.st_ino


def _files(project: Project) -> tuple[Path, Path]:
    """The rendered file as it is, and ours over it."""
    return project.folder / COMPOSE_FILE, project.overlay
