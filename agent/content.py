"""What each service is made of: a hash of everything that it depends on, and the overlay file.

Compose recreates a container only when its own description changed; a changed file behind a bind,
a config or a secret goes unnoticed. So every service carries a hash of all of it as a label, and
files are handed to Compose under a path that holds their digest: the path of an unchanged file
stays the same over any number of commits, and a running container never sees a file change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from agent.runtime.port import Limits
from schemas.layout import (
    LABEL_DEPLOYMENT,
    LABEL_HASH,
    LABEL_NODE,
    LABEL_REPLICA,
    LABEL_STOP_AFTER,
)

# Docker's own default: a service that says nothing is not started again.
FINISHING = ("", "no", "none", "on-failure")

# What Compose calls by another name than the engine.
ENGINE_WORDS = {"": "no", "none": "no", "any": "always"}

NAMED_KINDS = ("configs", "secrets")
# 128 bits of SHA-256 name a file for all time, and keep paths readable.
STORE_CHARACTERS = 32


class BadContentError(Exception):
    """The files do not hold what the services refer to. The message names it, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWant:
    """One service as it should be.

    hash: of everything it is made from. copies: containers of it.
    finishes: whether to end with code 0 is its normal end (no restart policy that says otherwise).
    image: its reference. networks: names of those that it is connected to. limits: what it may use;
    None: nobody said.
    """

    name: str
    hash: str
    copies: int = 1
    finishes: bool = False
    image: str = ""
    networks: tuple[str, ...] = ()
    limits: Limits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A replica's files, understood.

    stored: for each digest the path inside the replica's folder that must stand in the store.
    overlay: text of the second compose file, which adds our labels and the stored paths.
    """

    services: tuple[ServiceWant, ...]
    stored: Mapping[str, str]
    overlay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose containers they are: the values of our labels.

    stop_after: seconds without contact after which they are stopped; None: they run on.
    """

    node: str
    deployment: str
    replica: str
    stop_after: int | None = None


def contents(
    resolved: Mapping[str, Any],
    files: Mapping[str, bytes],
    *,
    folder: Path,
    store: Path,
    owner: Owner,
) -> Contents:
    """Understand a resolved compose file: hashes, files to store, and the overlay.

    Args:
        resolved: the compose file as Compose understands it, with absolute paths.
        files: the folder's files by path inside it.
        folder: where those files stand; it never becomes part of a hash.
        store: where files stand under the names of their digests.
        owner: for the labels.

    Raises:
        BadContentError: something refers to a file that is not there.
    """
    reader = _Reader(files, folder, store)
    named = {kind: _named_files(resolved.get(kind) or {}, reader) for kind in NAMED_KINDS}
    services: list[ServiceWant] = []
    overlay: dict[str, Any] = {"services": {}}
    for name, service in sorted((resolved.get("services") or {}).items()):
        volumes = [reader.volume(name, volume) for volume in service.get("volumes") or ()]
        want = _want(name, service, resolved, reader, volumes=volumes)
        if owner.stop_after is not None:
            want = _fenced(want, owner.stop_after)
            overlay["services"][name] = _fence_overlay(service)
        services.append(want)
        overlay["services"].setdefault(name, {})["labels"] = _labels(owner, want.hash)
        moved = [moved for moved, was_moved in volumes if was_moved]
        if moved:
            overlay["services"][name]["volumes"] = moved
    overlay.update({kind: moved for kind, moved in named.items() if moved})
    text = json.dumps(overlay, indent=2, sort_keys=True) + "\n"
    return Contents(services=tuple(services), stored=reader.stored, overlay=text)


class _Reader:
    """Digests of what stands in the folder; remembers all that was asked for."""

    def __init__(self, files: Mapping[str, bytes], folder: Path, store: Path) -> None:
        self._files = files
        self._folder = folder
        self._store = store
        self.stored: dict[str, str] = {}

    def inside(self, path: str) -> str | None:
        """The path inside the folder; None: it stands elsewhere on the host."""
        try:
            return str(PurePosixPath(path).relative_to(self._folder))
        except ValueError:
            return None

    def digest(self, path: str, user: str) -> str:
        """Digest of a file, or of all files below a folder.

        Raises:
            BadContentError: nothing stands there.
        """
        below = {
            name: data
            for name, data in self._files.items()
            if path in (".", name) or name.startswith(f"{path}/")
        }
        if not below:
            raise BadContentError(
                f"{user} refers to ./{path}, which is not among its files. "
                "Fix: add the file to the template, or use a named volume for data"
            )
        return _digest({name: hashlib.sha256(data).hexdigest() for name, data in below.items()})

    def store(self, path: str, user: str) -> str:
        """Where that file or folder stands in the store."""
        digest = self.digest(path, user)[:STORE_CHARACTERS]
        self.stored[digest] = path
        return str(self._store / stored_path(digest, path))

    def volume(self, service: str, volume: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """A volume with its source in the store, and whether it had to be moved there."""
        path = self.inside(str(volume.get("source", ""))) if volume.get("type") == "bind" else None
        if path is None:
            return volume, False
        return {**volume, "source": self.store(path, f"service {service}")}, True


def stored_path(digest: str, path: str) -> str:
    """Where something stands in the store. Its name stays, for readers of `docker inspect`."""
    return f"{digest}/{PurePosixPath(path).name or 'files'}"


def _named_files(entries: Mapping[str, Any], reader: _Reader) -> dict[str, Any]:
    """The configs or secrets that come from files, with the files in the store."""
    moved = {}
    for name, entry in sorted(entries.items()):
        path = reader.inside(str(entry["file"])) if entry.get("file") else None
        if path is not None:
            moved[name] = {"file": reader.store(path, f"'{name}'")}
    return moved


def _want(
    name: str,
    service: Mapping[str, Any],
    resolved: Mapping[str, Any],
    reader: _Reader,
    *,
    volumes: list[tuple[Mapping[str, Any], bool]],
) -> ServiceWant:
    """Hash one service together with everything it refers to."""
    env_files = [reader.digest(path, f"service {name}") for path in _env_files(service, reader)]
    own = {key: value for key, value in service.items() if key != "env_file"}
    body = {
        "service": {**own, "volumes": [volume for volume, _ in volumes]},
        "named": [
            _named_content(kind, grant, resolved, reader)
            for kind in NAMED_KINDS
            for grant in service.get(kind) or ()
        ],
        "env_files": env_files,
        "networks": _used(resolved, "networks", service.get("networks") or ()),
        "volumes": _used(resolved, "volumes", [volume.get("source", "") for volume, _ in volumes]),
    }
    return ServiceWant(
        name=name,
        hash=_digest(body),
        copies=_copies(service),
        finishes=_finishes(service),
        image=str(service.get("image") or ""),
        networks=_networks(service, resolved),
        limits=_limits(service),
    )


def _named_content(
    kind: str, grant: Mapping[str, Any], resolved: Mapping[str, Any], reader: _Reader
) -> Mapping[str, Any]:
    """A config or secret that a service uses, with its content in place of its path."""
    entry = dict((resolved.get(kind) or {}).get(grant.get("source"), {}))
    path = reader.inside(str(entry["file"])) if entry.get("file") else None
    if path is not None:
        entry["file"] = reader.digest(path, f"'{grant.get('source')}'")
    return entry


def _env_files(service: Mapping[str, Any], reader: _Reader) -> Iterator[str]:
    """Paths of env files inside the folder; Compose writes them as text or as a mapping."""
    entries = service.get("env_file") or ()
    for entry in [entries] if isinstance(entries, str) else entries:
        path = reader.inside(str(entry["path"] if isinstance(entry, Mapping) else entry))
        if path is not None:
            yield path


def _used(resolved: Mapping[str, Any], kind: str, names: Any) -> dict[str, Any]:
    """The top-level entries of a kind that are among `names`."""
    entries = resolved.get(kind) or {}
    return {name: entries[name] for name in sorted(set(names)) if name in entries}


def _copies(service: Mapping[str, Any]) -> int:
    replicas = (service.get("deploy") or {}).get("replicas")
    return int(service.get("scale", 1) if replicas is None else replicas)


def _finishes(service: Mapping[str, Any]) -> bool:
    policy = (service.get("deploy") or {}).get("restart_policy") or {}
    restart = str(service.get("restart") or policy.get("condition") or "")
    return restart.partition(":")[0] in FINISHING


def _networks(service: Mapping[str, Any], resolved: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a service's networks, as the engine knows them."""
    entries = _used(resolved, "networks", service.get("networks") or ())
    return tuple(sorted(str(entry["name"]) for entry in entries.values() if entry))


def _limits(service: Mapping[str, Any]) -> Limits:
    """What a service may use, as Compose tells the engine: `deploy` is over the older keys."""
    deploy = service.get("deploy") or {}
    most = (deploy.get("resources") or {}).get("limits") or {}
    return Limits(
        memory_bytes=int(most.get("memory") or service.get("mem_limit") or 0),
        cpu_milli=round(float(most.get("cpus") or service.get("cpus") or 0) * 1000),
        pids=max(0, int(most.get("pids") or service.get("pids_limit") or 0)),
        restart=_restart(str(service.get("restart") or ""), deploy.get("restart_policy")),
    )


def _restart(restart: str, policy: Mapping[str, Any] | None) -> str:
    """The restart policy in the engine's words, where attempts count for `on-failure` alone."""
    name, _, attempts = restart.partition(":")
    if policy is not None:
        name = str(policy.get("condition") or "")  # the specification says any; Compose says no
        attempts = str(policy.get("max_attempts") or "")
    name = ENGINE_WORDS.get(name, name)
    most = int(attempts or 0)  # the engine keeps a number, of which 0 is none
    return f"{name}:{most}" if name == "on-failure" and most else name


def _fenced(want: ServiceWant, stop_after: int) -> ServiceWant:
    """The service where no second copy may run: other labels and another restart policy.

    Whether its end with code 0 is normal stays what its own file says.
    """
    limits = replace(want.limits or Limits(), restart="no")
    return replace(want, hash=_digest([want.hash, stop_after]), limits=limits)


def _fence_overlay(service: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the engine from starting it: only the agent knows whether the host still may."""
    overlay: dict[str, Any] = {"restart": "no"}
    if (service.get("deploy") or {}).get("restart_policy") is not None:
        overlay["deploy"] = {"restart_policy": {"condition": "none"}}
    return overlay


def _labels(owner: Owner, content_hash: str) -> dict[str, str]:
    labels = {
        LABEL_NODE: owner.node,
        LABEL_DEPLOYMENT: owner.deployment,
        LABEL_REPLICA: owner.replica,
        LABEL_HASH: content_hash,
    }
    if owner.stop_after is not None:
        labels[LABEL_STOP_AFTER] = str(owner.stop_after)
    return labels


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
