"""An engine in memory that obeys the same promises: for tests, and for a tour without Docker.

It is honest: it refuses what a real one would refuse, recreates exactly the services whose
description changed, and keeps containers that are as they should be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.runtime.port import Container, Project, RuntimeDownError, RuntimeFailedError
from schemas.heartbeat import RuntimeReport
from schemas.layout import COMPOSE_FILE, LABEL_DEPLOYMENT, LABEL_HASH, LABEL_NODE, LABEL_REPLICA
from schemas.yaml_text import read_yaml


@dataclass(slots=True, kw_only=True)
class Script:
    """What the engine does wrong, changed by a test at any time.

    down: it does not answer; the text is what a client would see. missing_images: cannot be had.
    failing: services that do not start, with what the engine says. unhealthy: services whose check
    fails. slow: services that stay `starting`. point: called before and after everything that
    changes something, with its name; what it raises goes through.
    """

    down: str = ""
    missing_images: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    unhealthy: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    point: Callable[[str], None] = lambda _name: None


@dataclass(slots=True)
class _Made:
    """A container, the node it belongs to, and the description that it was made from."""

    container: Container
    node: str
    description: str


class SimulatedRuntime:
    """Containers in a dictionary. `calls` holds the name of each call in order."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.calls: list[str] = []
        self.networks: set[str] = set()
        self.present_images: set[str] = set()
        self._made: dict[str, _Made] = {}
        self._next = 0

    def containers(self, node: str) -> tuple[Container, ...]:
        """All containers of a node."""
        self._enter("containers")
        own = (made.container for made in self._made.values() if made.node == node)
        return tuple(sorted((self._checked(one) for one in own), key=lambda one: one.id))

    def report(self) -> RuntimeReport:
        """Say plainly that nothing here is real."""
        return RuntimeReport(docker="simulated", compose="simulated", error=self.script.down)

    def images(self) -> tuple[str, ...]:
        """References of the images that were pulled."""
        return tuple(sorted(self.present_images))

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        """Read the compose file, and make its paths absolute as Compose does."""
        self._enter("resolve")
        path = folder / COMPOSE_FILE
        document: Any = read_yaml(path.read_text(encoding="utf-8"), path=COMPOSE_FILE).value
        if not isinstance(document, dict) or not document.get("services"):
            raise RuntimeFailedError("no service selected")
        return _resolved(document, folder, project)

    def pull(self, project: Project) -> None:
        """Bring the images that are missing."""
        self._enter("pull")
        for service in self._services(project).values():
            image = str(service.get("image", ""))
            if image in self.script.missing_images:
                raise RuntimeFailedError(f"manifest for {image} not found")
            self.present_images.add(image)

    def up(self, project: Project) -> None:
        """Make services as described, in order; the first that fails ends it half done."""
        self._enter("up")
        services = self._services(project)
        self.networks.add(f"{project.name}_default")
        for one in self._of(project.name):
            if one.service not in services:
                del self._made[one.id]
        for name, service in sorted(services.items()):
            self._up_service(project.name, name, service)
            self.script.point(f"up {name}")

    def down(self, project: str) -> None:
        """Remove containers and networks of a project."""
        self._enter("down")
        for one in self._of(project):
            del self._made[one.id]
            self.script.point(f"down {one.service}")
        self.networks.discard(f"{project}_default")

    def put(self, container: Container, node: str) -> None:
        """Put a container there by hand, as an operator would."""
        self._made[container.id] = _Made(container, node, "by hand")

    def remove(self, container_id: str) -> None:
        """Remove a container by hand."""
        del self._made[container_id]

    def change(self, container_id: str, state: str, exit_code: int | None = None) -> None:
        """Change a container's state by hand: stop, kill, pause."""
        made = self._made[container_id]
        made.container = replace(made.container, state=state, exit_code=exit_code)

    def everything(self) -> tuple[Container, ...]:
        """All containers, whoever made them."""
        return tuple(made.container for _, made in sorted(self._made.items()))

    def _enter(self, call: str) -> None:
        if self.script.down:
            raise RuntimeDownError(self.script.down)
        self.script.point(call)
        self.calls.append(call)

    def _of(self, project: str) -> tuple[Container, ...]:
        return tuple(
            made.container for made in self._made.values() if made.container.project == project
        )

    def _services(self, project: Project) -> Mapping[str, Mapping[str, Any]]:
        """The services of both compose files, merged as Compose merges them: by key and target."""
        path = project.folder / COMPOSE_FILE
        document: Any = read_yaml(path.read_text(encoding="utf-8"), path=COMPOSE_FILE).value
        services = _resolved(document, project.folder, project.name)["services"]
        overlay = json.loads(project.overlay.read_text(encoding="utf-8"))
        for name, added in overlay["services"].items():
            services[name] = _merged(services[name], added)
        return services  # type: ignore[no-any-return] # what YAML holds is checked by the policy

    def _up_service(self, project: str, name: str, service: Mapping[str, Any]) -> None:
        description = json.dumps(service, sort_keys=True, default=str)
        for one in self._of(project):
            if one.service == name and self._made[one.id].description != description:
                del self._made[one.id]
        image = str(service.get("image", ""))
        if image in self.script.missing_images and image not in self.present_images:
            raise RuntimeFailedError(f"No such image: {image}")
        same = [one for one in self._of(project) if one.service == name]
        container = same[0] if same else self._create(project, name, service, description)
        if name in self.script.failing:
            raise RuntimeFailedError(self.script.failing[name])
        if container.state == "paused":
            raise RuntimeFailedError("cannot start a paused container, try unpause instead")
        self.change(container.id, "running")

    def _create(
        self, project: str, name: str, service: Mapping[str, Any], description: str
    ) -> Container:
        self._next += 1
        labels = service.get("labels") or {}
        container = Container(
            id=f"{self._next:012x}",
            project=project,
            replica=str(labels.get(LABEL_REPLICA, "")),
            deployment=str(labels.get(LABEL_DEPLOYMENT, "")),
            service=name,
            image=str(service.get("image", "")),
            state="created",
            health="starting" if service.get("healthcheck") else "",
            content_hash=str(labels.get(LABEL_HASH, "")),
        )
        self._made[container.id] = _Made(container, str(labels.get(LABEL_NODE, "")), description)
        return container

    def _checked(self, container: Container) -> Container:
        """A container with what its health check says now."""
        if not container.health or container.state != "running":
            return container
        if container.service in self.script.unhealthy:
            return replace(container, health="unhealthy")
        health = "starting" if container.service in self.script.slow else "healthy"
        return replace(container, health=health)


def _merged(service: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """One service over another: labels by key, volumes by target, the rest replaced."""
    volumes = {volume["target"]: volume for volume in service.get("volumes", ())}
    volumes.update({volume["target"]: volume for volume in added.get("volumes", ())})
    labels = {**(service.get("labels") or {}), **added.get("labels", {})}
    merged = {**service, **added, "labels": labels}
    return {**merged, "volumes": list(volumes.values())} if volumes else merged


def _resolved(document: Mapping[str, Any], folder: Path, project: str) -> dict[str, Any]:
    """A compose file in its long form, with absolute paths and the content of its env files."""
    resolved = json.loads(json.dumps(document, default=str))
    resolved["name"] = project
    for service in resolved["services"].values():
        service["volumes"] = [_volume(volume, folder) for volume in service.get("volumes") or ()]
        for kind in ("configs", "secrets"):
            grants = service.get(kind) or ()
            service[kind] = [
                {"source": grant} if isinstance(grant, str) else grant for grant in grants
            ]
        _with_environment(service, folder)
    for kind in ("configs", "secrets"):
        for entry in (resolved.get(kind) or {}).values():
            if entry.get("file"):
                entry["file"] = _absolute(entry["file"], folder)
    return resolved  # type: ignore[no-any-return] # JSON has no types


def _volume(volume: Any, folder: Path) -> dict[str, Any]:
    """A volume in its long form."""
    if isinstance(volume, dict):
        long = dict(volume)
    else:
        source, target, *_ = str(volume).split(":")
        kind = "bind" if source.startswith((".", "/")) else "volume"
        long = {"type": kind, "source": source, "target": target}
    if long.get("type") == "bind":
        long["source"] = _absolute(str(long["source"]), folder)
    return long


def _with_environment(service: dict[str, Any], folder: Path) -> None:
    """Read env files into the environment, where Compose puts them."""
    entries = service.pop("env_file", None) or ()
    environment = service.get("environment") or {}
    if isinstance(environment, list):
        environment = dict(entry.split("=", 1) for entry in environment)
    for entry in [entries] if isinstance(entries, str) else entries:
        lines = (folder / entry).read_text(encoding="utf-8").splitlines()
        environment = {**dict(line.split("=", 1) for line in lines if "=" in line), **environment}
    service["environment"] = environment


def _absolute(path: str, folder: Path) -> str:
    return str(folder / path) if not path.startswith("/") else path
