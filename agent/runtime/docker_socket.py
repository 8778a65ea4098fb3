"""Docker's API over its unix socket: what can be asked in milliseconds, without any client.

The agent looks here on every pass and calls Compose only when something has to change. So this
module imports next to nothing, and speaks HTTP/1.0: such an answer ends with the connection and
is never chunked.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.runtime.port import Container, RuntimeDownError, RuntimeFailedError
from schemas.layout import (
    LABEL_DEPLOYMENT,
    LABEL_HASH,
    LABEL_NODE,
    LABEL_REPLICA,
    LABEL_STOP_AFTER,
)

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
# A listing takes milliseconds. An engine under heavy load was seen to need a second.
ANSWER_SECONDS: Final = 5.0
# 10,000 containers with many labels stay below this.
MAX_ANSWER_BYTES: Final = 64 * 2**20
CHUNK_BYTES: Final = 2**16
OK: Final = 200
NOT_FOUND: Final = 404

COMPOSE_PROJECT: Final = "com.docker.compose.project"
COMPOSE_SERVICE: Final = "com.docker.compose.service"
_COMPOSE_ONE_OFF: Final = "com.docker.compose.oneoff"
_HEALTH: Final = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)\Z")
_YOUNG: Final = re.compile(r"\AUp (?:Less than a second|\d+ seconds?|About a minute|\d minutes)\b")
_EXIT_CODE: Final = re.compile(r"\A(?:Exited|Restarting) \((-?\d+)\)")
# Nothing that could end a request line, start a query, or climb out of a path.
_REFERENCE: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}\Z")
QUOTES: Final = {ord(char): f"%{ord(char):02X}" for char in '{}[]":,= %?#&+'}


class BadDockerHostError(ValueError):
    """DOCKER_HOST names an engine that the agent does not drive. The message says what to do."""


def socket_path(docker_host: str) -> Path:
    """Find the socket that DOCKER_HOST names; empty means Docker's usual one.

    Raises:
        BadDockerHostError: it is no unix socket. An engine elsewhere is not this host: its
            containers, GPUs and free memory would be told under the wrong node.
    """
    scheme, found, path = (docker_host or DEFAULT_HOST).partition("://")
    if found and scheme == "unix" and path.startswith("/"):
        return Path(path)
    raise BadDockerHostError(
        f"DOCKER_HOST is {docker_host!r}, and the agent drives only the engine of its own host. "
        f"Fix: unset it, or use {DEFAULT_HOST}, and run one agent on each host"
    )


class DockerSocket:
    """One engine's API. `seconds` bounds each question as a whole, whatever the engine does."""

    def __init__(self, path: Path, seconds: float = ANSWER_SECONDS) -> None:
        self._path = path
        self._seconds = seconds

    def containers(self, node: str) -> tuple[Container, ...]:
        """As `Runtime.containers`. A half answer raises: it is never a short list."""
        filters = json.dumps({"label": [f"{LABEL_NODE}={node}"]}).translate(QUOTES)
        listed = self.listed(f"/containers/json?all=1&filters={filters}")
        try:
            found = [container_of(entry) for entry in listed if _is_ours(entry, node)]
        except (AttributeError, KeyError, TypeError) as error:
            raise RuntimeDownError(f"Docker lists a container without {error}") from error
        return tuple(sorted(found, key=lambda container: container.id))

    def images(self) -> tuple[str, ...]:
        """References of the images present, by tag and by digest, sorted."""
        references: set[str] = set()
        for image in self.listed("/images/json"):
            for kind in ("RepoTags", "RepoDigests"):
                names = image.get(kind)
                references.update(names if isinstance(names, list) else ())
        return tuple(sorted(name for name in references if "<none>" not in name))

    def volume_projects(self) -> tuple[str, ...]:
        """As `Runtime.volume_projects`. Volumes that Compose did not make have no project."""
        projects = {labels_of(volume).get(COMPOSE_PROJECT) for volume in self._volumes()}
        return tuple(sorted(project for project in projects if project))

    def missing(self, references: Iterable[str]) -> tuple[str, ...]:
        """Which of these images the engine does not have, sorted. It judges names as Docker does.

        Raises:
            RuntimeFailedError: one of them cannot be a reference of an image.
            RuntimeDownError: no answer.
        """
        return tuple(name for name in sorted(set(references)) if not self._has_image(name))

    def version(self) -> str:
        """The engine's version, such as `28.2.2`."""
        answer = self.described("/version")
        return str(answer.get("Version", ""))

    def data_root(self) -> Path:
        """The folder that holds the engine's images, containers and volumes."""
        return Path(str(self.described("/info").get("DockerRootDir") or "/var/lib/docker"))

    def published_ports(self, node: str) -> tuple[frozenset[int], frozenset[int]]:
        """Host ports that running containers publish: this node's, and everybody else's.

        Docker may forward a port without anything that listens on it.
        """
        ours: set[int] = set()
        foreign: set[int] = set()
        for entry in self.listed("/containers/json"):
            ports = entry.get("Ports")
            found = {port.get("PublicPort") for port in ports} if isinstance(ports, list) else set()
            (ours if _is_ours(entry, node) else foreign).update(found - {None, 0})
        return frozenset(ours), frozenset(foreign - ours)

    def volume_folders(self, projects: frozenset[str]) -> tuple[Path, ...]:
        """Where the data of these projects' volumes stands on this host, in order."""
        folders = {
            Path(str(volume.get("Mountpoint")))
            for volume in self._volumes()
            if labels_of(volume).get(COMPOSE_PROJECT) in projects and volume.get("Mountpoint")
        }
        return tuple(sorted(folders))

    def image_mib(self, used: frozenset[str]) -> int:
        """Size of these images, by reference or id. Layers that several share count for each."""
        total = 0
        for image in self.listed("/images/json"):
            tags, size = image.get("RepoTags"), image.get("Size")
            names = {str(image.get("Id")), *(tags if isinstance(tags, list) else ())}
            if not used.isdisjoint(names) and isinstance(size, int):
                total += size
        return total // 2**20

    def ping(self) -> None:
        """Return if the engine answers.

        Raises:
            RuntimeDownError: it does not.
        """
        status, _ = self.ask("/_ping")
        if status != OK:
            raise RuntimeDownError(f"Docker answers {status} to a ping. Fix: see its log")

    def _volumes(self) -> list[dict[str, object]]:
        listed = self.described("/volumes").get("Volumes")
        return listed if isinstance(listed, list) else []

    def _has_image(self, name: str) -> bool:
        if not _REFERENCE.match(name) or ".." in name:
            raise RuntimeFailedError(
                f"{name[:80]!r} cannot be an image. Fix: write it as registry/name:tag"
            )
        status, body = self.ask(f"/images/{name}/json")
        if status not in {OK, NOT_FOUND}:
            raise RuntimeDownError(f"Docker answers {status} about an image: {message_of(body)}")
        return status == OK

    def described(self, path: str) -> dict[str, object]:
        """The object that the engine gives for a path.

        Raises:
            RuntimeDownError: no answer, or none that can be understood.
        """
        answer = self._decoded(path)
        if not isinstance(answer, dict):
            raise RuntimeDownError(f"Docker's answer to {path} is no object")
        return answer

    def listed(self, path: str) -> list[dict[str, object]]:
        """The list of objects that the engine gives for a path. Raises as `described`."""
        answer = self._decoded(path)
        if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
            raise RuntimeDownError(f"Docker's answer to {path} is no list")
        return answer

    def _decoded(self, path: str) -> object:
        status, body = self.ask(path)
        if status != OK:
            raise RuntimeDownError(f"Docker answers {status}: {message_of(body)}")
        try:
            return json.loads(body)
        except ValueError as error:
            raise RuntimeDownError(f"Docker's answer to {path} broke off") from error

    def ask(
        self, path: str, method: str = "GET", seconds: float | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one answer, within `seconds`, or the engine's usual bound.

        Raises:
            RuntimeDownError: no answer, or half of one.
        """
        bound = seconds or self._seconds
        head = f"{method} {path} HTTP/1.0\r\nHost: docker\r\n"
        length = "" if method == "GET" else "Content-Length: 0\r\n"
        try:
            answer = self._exchange(f"{head}{length}\r\n".encode(), bound)
        except TimeoutError as error:
            raise RuntimeDownError(
                f"Docker gives no answer within {bound:g} s. "
                "Fix: look at its log and at the host's load, or restart it"
            ) from error
        except OSError as error:
            raise RuntimeDownError(_unreachable(self._path, error)) from error
        return _parted(answer)

    def _exchange(self, request: bytes, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        pieces, size = [], 0
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(seconds)
            link.connect(str(self._path))
            link.sendall(request)
            while piece := _received(link, end):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise RuntimeDownError(f"Docker's answer is above {MAX_ANSWER_BYTES} bytes")
        return b"".join(pieces)


def _received(link: socket.socket, end: float) -> bytes:
    """The next piece. The bound is for the whole answer, so that a trickle ends too."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    link.settimeout(left)
    return link.recv(CHUNK_BYTES)


def _parted(answer: bytes) -> tuple[int, bytes]:
    """Take status and body out of an answer; refuse one that is shorter than it says."""
    head, complete, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = re.match(r"HTTP/1\.[01] (\d{3})", first)
    if not complete or status is None:
        raise RuntimeDownError("Docker closed the connection in the middle of its answer")
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and len(body) != int(value):
            raise RuntimeDownError("Docker's answer broke off")
    return int(status[1]), body


def _is_ours(entry: dict[str, object], node: str) -> bool:
    """Whether all labels that we give are there. Never go by a container's name."""
    labels = labels_of(entry)
    needed = (LABEL_REPLICA, LABEL_DEPLOYMENT, COMPOSE_PROJECT, COMPOSE_SERVICE)
    whole = labels.get(LABEL_NODE) == node and all(labels.get(name) for name in needed)
    return whole and not is_one_off(labels)


def is_one_off(labels: dict[str, str]) -> bool:
    """Whether `docker compose run` made it: such a container has every label of its service."""
    return labels.get(_COMPOSE_ONE_OFF, "").lower() == "true"


def container_of(entry: dict[str, object]) -> Container:
    """Read one entry of a listing of containers."""
    labels, status = labels_of(entry), str(entry["Status"])
    health, exited = _HEALTH.search(status), _EXIT_CODE.match(status)
    return Container(
        id=str(entry["Id"]),
        project=labels[COMPOSE_PROJECT],
        replica=labels.get(LABEL_REPLICA, ""),
        deployment=labels.get(LABEL_DEPLOYMENT, ""),
        service=labels.get(COMPOSE_SERVICE, ""),
        image=str(entry["Image"]),
        state=str(entry["State"]),
        health=health[1] if health else "",
        content_hash=labels.get(LABEL_HASH, ""),
        exit_code=int(exited[1]) if exited else None,
        young=bool(_YOUNG.match(status)),
        image_id=str(entry.get("ImageID", "")),
        networks=_networks(entry),
        stop_after=stop_after(labels),
    )


def stop_after(labels: dict[str, str]) -> int | None:
    """Seconds without contact after which a container has to stop; None: it runs on.

    A label that nobody can read was not written by us, and means at once.
    """
    written = labels.get(LABEL_STOP_AFTER)
    if written is None:
        return None
    return int(written) if written.isascii() and written.isdigit() else 0


def _networks(entry: dict[str, object]) -> tuple[str, ...] | None:
    settings = entry.get("NetworkSettings")
    networks = settings.get("Networks") if isinstance(settings, dict) else None
    return tuple(sorted(networks)) if isinstance(networks, dict) else None


def labels_of(entry: dict[str, object]) -> dict[str, str]:
    """The labels of anything that the engine lists."""
    labels = entry.get("Labels")
    return labels if isinstance(labels, dict) else {}


def message_of(body: bytes) -> str:
    """What the engine says of an error, in one line."""
    try:
        answer = json.loads(body)
        text = str(answer["message"]) if isinstance(answer, dict) else ""
    except (ValueError, KeyError):
        text = body.decode(errors="replace")
    return " ".join(text.split())[:200] or "it does not say why"


def _unreachable(path: Path, error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return f"no Docker here: {path} does not exist. Fix: install Docker, or start it"
        case PermissionError():
            return f"{path} may not be opened. Fix: run the agent as root or in group docker"
        case ConnectionRefusedError():
            return f"Docker does not run: nobody listens on {path}. Fix: start it"
        case _:
            return f"Docker cannot be asked on {path}: {error.strerror or error}"
