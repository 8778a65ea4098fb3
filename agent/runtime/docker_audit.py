"""The thorough look at an engine: what no listing tells. Too dear for every pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from agent.runtime.docker_socket import (
    COMPOSE_PROJECT,
    COMPOSE_SERVICE,
    NOT_FOUND,
    OK,
    QUOTES,
    DockerSocket,
    container_of,
    is_one_off,
    labels_of,
    message_of,
)
from agent.runtime.port import (
    Container,
    Image,
    Limits,
    Project,
    RuntimeDownError,
    RuntimeFailedError,
)
from schemas.layout import LABEL_HASH, LABEL_NODE

# Docker's default for the span that a CPU quota speaks of, in microseconds.
CPU_PERIOD: Final = 100_000
_ID: Final = re.compile(r"\A(sha256:)?[0-9a-f]{12,64}\Z")


def limits(engine: DockerSocket, containers: Iterable[str]) -> dict[str, Limits]:
    """As `Runtime.limits`: one question about the engine, and one about each container."""
    keeps = engine.described("/info")
    found: dict[str, Limits] = {}
    for container in containers:
        status, body = engine.ask(f"/containers/{checked_id(container)}/json")
        if status == NOT_FOUND:
            continue
        if status != OK:
            raise RuntimeDownError(f"Docker answers {status}: {message_of(body)}")
        found[container] = limits_of(body, keeps)
    return found


def strangers(engine: DockerSocket, projects: frozenset[str]) -> tuple[Container, ...]:
    """As `Runtime.strangers`."""
    filters = json.dumps({"label": [COMPOSE_PROJECT]}).translate(QUOTES)
    listed = engine.listed(f"/containers/json?all=1&filters={filters}")
    found = [
        container_of(entry)
        for entry in listed
        if labels_of(entry).get(COMPOSE_PROJECT) in projects and _is_strange(entry)
    ]
    return tuple(sorted(found, key=lambda container: container.id))


def are_current(engine: DockerSocket, project: Project) -> bool:
    """Whether each container of a project was made of what its overlay wants by now.

    False as well where nobody can say. Containers of services that left the project do not count.
    """
    wanted = _wanted_hashes(project)
    filters = json.dumps({"label": [f"{COMPOSE_PROJECT}={project.name}"]}).translate(QUOTES)
    found = engine.listed(f"/containers/json?all=1&filters={filters}") if wanted else []
    made = [
        (labels.get(COMPOSE_SERVICE), labels.get(LABEL_HASH)) for labels in map(labels_of, found)
    ]
    return bool(wanted) and all(wanted.get(name, text) == text for name, text in made)


def stored_images(engine: DockerSocket) -> tuple[Image, ...]:
    """As `Runtime.stored_images`."""
    found = []
    for image in engine.listed("/images/json"):
        tags, digests = (_image_names(image, kind) for kind in ("RepoTags", "RepoDigests"))
        found.append(Image(id=str(image.get("Id", "")), tags=tags, digests=digests))
    return tuple(sorted(found, key=lambda image: image.id))


def limits_of(body: bytes, keeps: dict[str, object]) -> Limits:
    """Read the limits of one container from its description.

    keeps: what the engine says its kernel can limit. What it cannot, it drops when a container is
    made; to call that drift would make the container anew for ever.
    """
    try:
        config = json.loads(body)["HostConfig"]
        policy = config.get("RestartPolicy") or {}
        name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
        return Limits(
            memory_bytes=_amount(config, "Memory") if keeps.get("MemoryLimit", True) else None,
            cpu_milli=_cpu_milli(config) if keeps.get("CpuCfsQuota", True) else None,
            pids=_amount(config, "PidsLimit") if keeps.get("PidsLimit", True) else None,
            cpus=str(config.get("CpusetCpus") or "") if keeps.get("CPUSet", True) else None,
            restart=f"{name}:{most}" if name == "on-failure" and most else str(name),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RuntimeDownError(f"Docker's description of a container is odd: {error}") from error


def _wanted_hashes(project: Project) -> dict[str | None, str]:
    """The content hash of each service, by the labels that we add; nothing where they are lost."""
    try:
        services = json.loads(project.overlay.read_bytes())["services"]
        return {name: str(service["labels"][LABEL_HASH]) for name, service in services.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def checked_id(text: str) -> str:
    """An id that the engine gave, doubted once more since it becomes part of a path.

    Raises:
        RuntimeFailedError: it is none.
    """
    if not _ID.match(text):
        raise RuntimeFailedError(f"{text[:80]!r} is no id of Docker's")
    return text


def _image_names(image: dict[str, object], kind: str) -> tuple[str, ...]:
    listed = image.get(kind)
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    return tuple(sorted(name for name in names if "<none>" not in name))


def _amount(config: dict[str, int | None], key: str) -> int:
    """An amount; what Docker writes for no limit is -1, 0 or nothing."""
    return max(0, int(config.get(key) or 0))


def _cpu_milli(config: dict[str, int | None]) -> int:
    period = config.get("CpuPeriod") or CPU_PERIOD
    # Compose writes a core's share as a float of 32 bits: 0.7 becomes 699999988.
    return round(_amount(config, "NanoCpus") / 1e6) or _amount(config, "CpuQuota") * 1000 // period


def _is_strange(entry: dict[str, object]) -> bool:
    """Whether no agent made it. What another agent made is that agent's, by its label."""
    labels = labels_of(entry)
    return not labels.get(LABEL_NODE) or is_one_off(labels)
