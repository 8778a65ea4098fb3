"""Pulls beside the passes: ten gigabytes of an image must not silence the heartbeat."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.perform import StillPullingError
from agent.runtime.port import (
    Container,
    Details,
    Image,
    Limits,
    Project,
    Runtime,
    RuntimeDownError,
    RuntimeFailedError,
)
from schemas.heartbeat import RuntimeReport

# Images that are there already are looked up in this time, and then nothing has to wait.
PATIENCE_SECONDS = 2.0


class BackgroundPulls:
    """A runtime whose pulls go on in threads of their own; everything else is as it was.

    on_end: called when a pull ended, from its thread.
    """

    def __init__(
        self,
        runtime: Runtime,
        on_end: Callable[[], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._runtime = runtime
        self._on_end = on_end
        self._patience = patience_seconds
        self._pulls: dict[Project, _Pull] = {}

    def pull(self, project: Project) -> None:
        """Start a pull, or say how it ended.

        Raises:
            StillPullingError: it goes on.
            RuntimeFailedError, RuntimeDownError: it ended so.
        """
        pull = self._pulls.get(project)
        if pull is None:
            pull = self._pulls[project] = _Pull(self._runtime, project, self._on_end)
            pull.start()
        pull.join(self._patience)
        if pull.is_alive():
            pull.is_waited_for = True
            raise StillPullingError("its images are being pulled")
        del self._pulls[project]
        if pull.error is not None:
            raise pull.error

    def containers(self, node: str) -> tuple[Container, ...]:
        return self._runtime.containers(node)

    def details(self, container: str) -> Details:
        return self._runtime.details(container)

    def logs(self, container: str) -> str:
        return self._runtime.logs(container)

    def report(self) -> RuntimeReport:
        return self._runtime.report()

    def images(self) -> tuple[str, ...]:
        return self._runtime.images()

    def volume_projects(self) -> tuple[str, ...]:
        return self._runtime.volume_projects()

    def limits(self, containers: tuple[str, ...]) -> Mapping[str, Limits]:
        return self._runtime.limits(containers)

    def strangers(self, projects: frozenset[str]) -> tuple[Container, ...]:
        return self._runtime.strangers(projects)

    def stop(self, containers: tuple[str, ...]) -> None:
        self._runtime.stop(containers)

    def remove(self, container: str) -> None:
        self._runtime.remove(container)

    def remove_volumes(self, project: str) -> tuple[str, ...]:
        return self._runtime.remove_volumes(project)

    def stored_images(self) -> tuple[Image, ...]:
        return self._runtime.stored_images()

    def remove_image(self, image: str) -> None:
        self._runtime.remove_image(image)

    def lacking(self, project: Project) -> tuple[str, ...]:
        return self._runtime.lacking(project)

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        return self._runtime.resolve(folder, project)

    def up(self, project: Project, within: float | None = None) -> None:
        self._runtime.up(project, within)

    def down(self, project: str) -> None:
        self._runtime.down(project)


class _Pull(threading.Thread):
    """One pull. error: how it ended; None: well, or not yet."""

    def __init__(self, runtime: Runtime, project: Project, on_end: Callable[[], None]) -> None:
        super().__init__(name=f"pull {project.name}", daemon=True)
        self._runtime = runtime
        self._project = project
        self._on_end = on_end
        self.is_waited_for = False
        self.error: RuntimeFailedError | RuntimeDownError | None = None

    def run(self) -> None:
        try:
            self._runtime.pull(self._project)
        except (RuntimeFailedError, RuntimeDownError) as error:
            self.error = error
        if self.is_waited_for:
            self._on_end()
