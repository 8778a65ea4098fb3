"""An engine in memory that obeys the same promises: for tests, and for a tour without Docker.

It is honest: it refuses what a real one would refuse, recreates exactly the services whose
description changed, and keeps containers that are as they should be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.runtime.port import (
    LOG_BYTES,
    LOG_LINES,
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
from schemas.layout import (
    COMPOSE_FILE,
    LABEL_DEPLOYMENT,
    LABEL_HASH,
    LABEL_NODE,
    LABEL_REPLICA,
    LABEL_STOP_AFTER,
)
from schemas.yaml_text import read_yaml

# As long as the real client waits for a start, see `agent.runtime.compose.Bounds`.
UP_SECONDS = 60.0


@dataclass(slots=True, kw_only=True)
class Script:
    """What the engine does wrong, changed by a test at any time.

    down: it does not answer; the text is what a client would see. missing_images: cannot be had.
    failing: services that do not start, with what the engine says. broken: images likewise.
    stuck: projects that cannot be removed, likewise.
    unhealthy: services whose check fails. slow: services that stay `starting`.
    logs: what services printed. environment: of every container.
    start_seconds: how long a start takes, and wait: lets so much time pass.
    point: called before and after everything that
    changes something, with its name; what it raises goes through.
    """

    down: str = ""
    missing_images: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    stuck: dict[str, str] = field(default_factory=dict)
    unhealthy: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    logs: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    start_seconds: float = 0.0
    wait: Callable[[float], None] = lambda _seconds: None
    point: Callable[[str], None] = lambda _name: None


@dataclass(slots=True)
class _Made:
    """A container, the node it belongs to, and the description that it was made from.

    is_one_off: `docker compose run` made it, so that it has all labels of its service.
    listed: what the last listing told, of the container as it was then.
    """

    container: Container
    node: str
    description: str
    restarts: int = 0
    starts: int = 1
    out_of_memory: bool = False
    is_one_off: bool = False
    listed: Container | None = None
    listed_of: Container | None = None


class SimulatedRuntime:
    """Containers in a dictionary. `calls` holds the name of each call in order."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.calls: list[str] = []
        self.networks: set[str] = set()
        self.present_images: set[str] = set()
        self.volumes: dict[str, str] = {}  # by name: the project that it is labelled with
        self._made: dict[str, _Made] = {}
        self._next = 0

    def containers(self, node: str) -> tuple[Container, ...]:
        """All containers of a node."""
        self._enter("containers")
        own = (one for one in self._made.values() if one.node == node and not one.is_one_off)
        return tuple(sorted((self._listed(one) for one in own), key=lambda one: one.id))

    def details(self, container: str) -> Details:
        """More about a container."""
        self._enter("details")
        made = self._of_id(container)
        return Details(
            restarts=made.restarts,
            started=str(made.starts),
            exit_code=made.container.exit_code,
            out_of_memory=made.out_of_memory,
            environment={**_environment(made.description), **self.script.environment},
        )

    def logs(self, container: str) -> str:
        """What the script says that it printed."""
        self._enter("logs")
        text = self.script.logs.get(self._of_id(container).container.service, "")
        return "\n".join(text.splitlines()[-LOG_LINES:])[-LOG_BYTES:]

    def report(self) -> RuntimeReport:
        """Say plainly that nothing here is real."""
        return RuntimeReport(docker="simulated", compose="simulated", error=self.script.down)

    def images(self) -> tuple[str, ...]:
        """References of the images that were pulled."""
        return tuple(sorted(self.present_images))

    def volume_projects(self) -> tuple[str, ...]:
        """Projects that have volumes."""
        if self.script.down:
            raise RuntimeDownError(self.script.down)
        return tuple(sorted(set(self.volumes.values())))

    def limits(self, containers: tuple[str, ...]) -> Mapping[str, Limits]:
        """The limits of containers."""
        self._enter("limits")
        known = {key: self._made[key].container for key in containers if key in self._made}
        return {key: one.limits or Limits() for key, one in known.items()}

    def strangers(self, projects: frozenset[str]) -> tuple[Container, ...]:
        """Containers in these projects that no agent put there."""
        self._enter("strangers")
        return tuple(
            made.container
            for _, made in sorted(self._made.items())
            if made.container.project in projects and (not made.node or made.is_one_off)
        )

    def stop(self, containers: tuple[str, ...]) -> None:
        """End containers, and leave them where they are."""
        self._enter("stop")
        for one in (self._made[key].container for key in containers if key in self._made):
            if one.project in self.script.stuck:
                raise RuntimeFailedError(self.script.stuck[one.project])
            self.change(one.id, "exited", exit_code=137)
            self.script.point(f"stop {one.service}")

    def remove(self, container: str) -> None:
        """Remove one container."""
        self._enter("remove")
        self._made.pop(container, None)

    def remove_volumes(self, project: str) -> tuple[str, ...]:
        """Delete the volumes of a project."""
        self._enter("remove_volumes")
        if self._of(project):
            raise RuntimeFailedError("volume is in use")
        gone = tuple(sorted(name for name, owner in self.volumes.items() if owner == project))
        for name in gone:
            del self.volumes[name]
            self.script.point(f"volume {name}")
        return gone

    def stored_images(self) -> tuple[Image, ...]:
        """The images that were pulled."""
        self._enter("stored_images")
        return tuple(
            Image(id=_image_id(name), digests=(name,))
            if "@" in name
            else Image(id=_image_id(name), tags=(name,))
            for name in self.images()
        )

    def remove_image(self, image: str) -> None:
        """Remove an image, if no container was made from it."""
        self._enter("remove_image")
        if any(made.container.image_id == image for made in self._made.values()):
            raise RuntimeFailedError("conflict: the image is being used by a container")
        self.present_images -= {name for name in self.present_images if _image_id(name) == image}

    def resolve(self, folder: Path, project: str) -> Mapping[str, object]:
        """Read the compose file, and make its paths absolute as Compose does."""
        self._enter("resolve")
        path = folder / COMPOSE_FILE
        document: Any = read_yaml(path.read_text(encoding="utf-8"), path=COMPOSE_FILE).value
        if not isinstance(document, dict) or not document.get("services"):
            raise RuntimeFailedError("no service selected")
        return _resolved(document, folder, project)

    def lacking(self, project: Project) -> tuple[str, ...]:
        """Images that would have to be pulled."""
        self._enter("lacking")
        wanted = {str(service.get("image", "")) for service in self._services(project).values()}
        return tuple(sorted(wanted - self.present_images))

    def pull(self, project: Project) -> None:
        """Bring the images that are missing."""
        self._enter("pull")
        for service in self._services(project).values():
            image = str(service.get("image", ""))
            if image in self.script.missing_images:
                raise RuntimeFailedError(f"manifest for {image} not found")
            self.present_images.add(image)

    def up(self, project: Project, within: float | None = None) -> None:
        """Make services as described, in order; the first that fails ends it half done."""
        self._enter("up")
        self._take_time(UP_SECONDS if within is None else min(within, UP_SECONDS))
        services = self._services(project)
        self.networks.add(f"{project.name}_default")
        for one in self._of(project.name):
            if one.service not in services:
                del self._made[one.id]
        for name, service in sorted(services.items()):
            self._up_service(project.name, name, service)
            self.script.point(f"up {name}")

    def _take_time(self, bound: float) -> None:
        """Let a start take its time, and end it where that is too long."""
        if self.script.start_seconds:
            self.script.wait(min(self.script.start_seconds, bound))
        if self.script.start_seconds > bound:
            raise UnfinishedError(f"not finished within {bound:g} s")

    def down(self, project: str) -> None:
        """Remove containers and networks of a project."""
        self._enter("down")
        if project in self.script.stuck:
            raise RuntimeFailedError(self.script.stuck[project])
        for one in self._of(project):
            del self._made[one.id]
            self.script.point(f"down {one.service}")
        self.networks.discard(f"{project}_default")

    def put(self, container: Container, node: str) -> None:
        """Put a container there by hand, as an operator would."""
        self._made[container.id] = _Made(container, node, "by hand")

    def put_one_off(self, container_id: str, new_id: str) -> None:
        """Start a container beside another one, as `docker compose run` would."""
        made = self._made[container_id]
        copy = replace(made.container, id=new_id)
        self._made[new_id] = replace(made, container=copy, is_one_off=True)

    def cut_off(self, container_id: str) -> None:
        """Disconnect a container from its networks by hand."""
        made = self._made[container_id]
        made.container = replace(made.container, networks=())

    def limit(self, container_id: str, limits: Limits) -> None:
        """Give a container other limits, as `docker update` would."""
        made = self._made[container_id]
        made.container = replace(made.container, limits=limits)

    def fall(self, container_id: str, exit_code: int, *, out_of_memory: bool = False) -> None:
        """Let a container end, and start it anew as the engine does by itself."""
        made = self._made[container_id]
        made.restarts += 1
        made.starts += 1
        made.out_of_memory = out_of_memory
        made.container = replace(made.container, state="restarting", exit_code=exit_code)

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

    def _of_id(self, container_id: str) -> _Made:
        if container_id not in self._made:
            raise RuntimeFailedError(f"No such container: {container_id}")
        return self._made[container_id]

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
        complaint = self.script.failing.get(name) or self.script.broken.get(image)
        if complaint:
            raise RuntimeFailedError(complaint)
        if container.state == "paused":
            raise RuntimeFailedError("cannot start a paused container, try unpause instead")
        if container.state != "running":
            self._made[container.id].starts += 1
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
            image_id=_image_id(str(service.get("image", ""))),
            networks=_networks(project, service),
            limits=_limits(service),
            stop_after=int(labels[LABEL_STOP_AFTER]) if LABEL_STOP_AFTER in labels else None,
        )
        for volume in service.get("volumes") or ():
            if volume.get("type") == "volume":
                self.volumes[f"{project}_{volume['source']}"] = project
        self._made[container.id] = _Made(container, str(labels.get(LABEL_NODE, "")), description)
        return container

    def _listed(self, made: _Made) -> Container:
        """A container as a listing tells it: with what its health check says now, no limits."""
        health, known = self._health(made.container), made.listed
        if known is None or made.listed_of is not made.container or known.health != health:
            known = replace(made.container, limits=None, health=health)
            made.listed, made.listed_of = known, made.container
        return known

    def _health(self, container: Container) -> str:
        if not container.health or container.state != "running":
            return container.health
        if container.service in self.script.unhealthy:
            return "unhealthy"
        return "starting" if container.service in self.script.slow else "healthy"


def _merged(service: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """One service over another: labels by key, volumes by target, the rest replaced."""
    volumes = {volume["target"]: volume for volume in service.get("volumes", ())}
    volumes.update({volume["target"]: volume for volume in added.get("volumes", ())})
    labels = {**(service.get("labels") or {}), **added.get("labels", {})}
    merged = {**service, **added, "labels": labels}
    if "deploy" in added:
        merged["deploy"] = {**(service.get("deploy") or {}), **added["deploy"]}
    return {**merged, "volumes": list(volumes.values())} if volumes else merged


def _resolved(document: Mapping[str, Any], folder: Path, project: str) -> dict[str, Any]:
    """A compose file in its long form, with absolute paths and the content of its env files."""
    resolved = json.loads(json.dumps(document, default=str))
    resolved["name"] = project
    for service in resolved["services"].values():
        service.setdefault("networks", () if "network_mode" in service else ("default",))
        if service["networks"]:
            names = service["networks"]
            service["networks"] = {
                name: names[name] if isinstance(names, dict) else None for name in names
            }
        _in_bytes(service)
        service["volumes"] = [_volume(volume, folder) for volume in service.get("volumes") or ()]
        for kind in ("configs", "secrets"):
            grants = service.get(kind) or ()
            service[kind] = [
                {"source": grant} if isinstance(grant, str) else grant for grant in grants
            ]
        _with_environment(service, folder)
    used = {name for service in resolved["services"].values() for name in service["networks"]}
    resolved["networks"] = {name: {"name": f"{project}_{name}"} for name in sorted(used)}
    for kind in ("configs", "secrets"):
        for entry in (resolved.get(kind) or {}).values():
            if entry.get("file"):
                entry["file"] = _absolute(entry["file"], folder)
    return resolved  # type: ignore[no-any-return] # JSON has no types


def _in_bytes(service: dict[str, Any]) -> None:
    """Write amounts of memory as Compose does: as text, in bytes."""
    most = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    for holder, key in ((service, "mem_limit"), (most, "memory")):
        text = str(holder.get(key) or "").lower().removesuffix("b")
        if text:
            power = 1 + "kmg".index(text[-1]) if text[-1] in "kmg" else 0
            holder[key] = str(int(float(text.rstrip("kmg")) * 1024**power))


def _image_id(reference: str) -> str:
    """One id for one reference: nobody moves a tag here."""
    return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def _networks(project: str, service: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(f"{project}_{name}" for name in service.get("networks") or ()))


def _limits(service: Mapping[str, Any]) -> Limits:
    """What a container of this service may use. `deploy` is over the older keys, as in Compose."""
    deploy = service.get("deploy") or {}
    most = (deploy.get("resources") or {}).get("limits") or {}
    policy = deploy.get("restart_policy") or {}
    words = {"any": "always", "none": "no"}
    restart = str(service.get("restart") or "no")
    if policy:
        condition, attempts = str(policy.get("condition") or "no"), policy.get("max_attempts")
        restart = words.get(condition, condition) + (f":{attempts}" if attempts else "")
    return Limits(
        memory_bytes=int(most.get("memory") or service.get("mem_limit") or 0),
        cpu_milli=round(float(most.get("cpus") or service.get("cpus") or 0) * 1000),
        pids=int(most.get("pids") or service.get("pids_limit") or 0),
        restart=restart,
    )


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


def _environment(description: str) -> dict[str, str]:
    """The environment of a container; one that was put there by hand has none."""
    try:
        environment = json.loads(description).get("environment") or {}
    except ValueError:
        return {}
    return {name: str(value) for name, value in environment.items()}


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
