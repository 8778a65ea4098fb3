"""What a rendered compose file may say, so that no template can take over a host.

A positive list: `policy.schema.json` holds every key that is allowed, and the rules here look at
what a schema cannot say. The same function speaks in a pull request, in the reconciler and in the
agent, whose word is final; it refuses what was not given to the replica, too. The agent runs
Compose with an empty environment besides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from schemas.check import Finding, check_named
from schemas.given import GPU_FIX, GPU_VARIABLE, NO_GPUS, Given, taken, taken_by_variable
from schemas.layout import RESERVED_LABELS
from schemas.marks import UNREADABLE, Keys
from schemas.page import Page, map_of
from schemas.problem import BadDocumentError, Place, Problem
from schemas.words import dotted, shown
from schemas.yaml_text import PROBLEMS_MAX, read_yaml

Rule: TypeAlias = Callable[[Keys, Any], Iterator[Finding]]


def check(text: str, *, path: str) -> tuple[Problem, ...]:
    """Everything that a rendered compose file may not say, sorted by place. Empty: it may run."""
    try:
        page = _page(text, path)
    except BadDocumentError as error:
        return error.problems
    return _sorted(page)


def check_replica(
    text: str, *, path: str, files: Mapping[str, bytes], given: Given
) -> tuple[Problem, ...]:
    """Like `check`, and everything that a replica takes of its host without having been given it.

    text: its compose file. files: all of its files, by path inside its folder.
    """
    try:
        page = _page(text, path)
    except BadDocumentError as error:
        return error.problems
    page.take(taken(page.value, given))
    page.problems.extend(taken_by_variable(page.value, files, path=path))
    return _sorted(page)


def _page(text: str, path: str) -> Page:
    """Read a compose file, and note all that it may not say, whoever runs it.

    Raises:
        BadDocumentError: it cannot be read at all, or not by all programs alike.
    """
    odd = _ODD_CHARACTER.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        column = odd.start() - text.rfind("\n", 0, odd.start())
        raise BadDocumentError((Problem(Place(path, line, column), *_ODD_WORDS),))
    reading = read_yaml(text, path=path)
    page = Page(reading.value, reading.marks, list(reading.problems))
    page.take(_explained(finding) for finding in check_named("policy", reading.value))
    for rule in _DOCUMENT_RULES:
        page.take(rule((), reading.value))
    for name, service in map_of(map_of(reading.value).get("services")).items():
        for key, service_rule in _SERVICE_RULES.items():
            page.take(service_rule(("services", name, key), map_of(service).get(key)))
    return page


def _sorted(page: Page) -> tuple[Problem, ...]:
    return tuple(sorted(set(page.problems)))[:PROBLEMS_MAX]


# Some readers of YAML end a line at these, and others do not. A file that two programs read
# differently passes the check of one and does its work in the other.
_ODD_CHARACTER = re.compile("[\r\x85\u2028\u2029\ufeff]")
_ODD_WORDS: Final = (
    "there is a character here that some programs take for the end of a line",
    "end lines with a plain newline, and write such a character as an escape in double quotes",
)

_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "privileged": ("gives the container the whole host", "remove it"),
    "cap_add": ("gives the container rights over the host", "remove it"),
    "devices": ("hands out devices of the host", "ask for GPUs with deploy.resources.reservations"),
    "device_cgroup_rules": ("hands out devices of the host", "remove it"),
    "gpus": ("takes GPUs that the planner did not give", "list the UUIDs under device_ids"),
    "count": ("takes GPUs that the planner did not give", "list the UUIDs under device_ids"),
    "runtime": ("chooses how the host runs it", "ask for GPUs with deploy.resources.reservations"),
    "ipc": ("shares memory with the host or others", "use shm_size"),
    "pid": ("shows it the processes of others", "remove it"),
    "uts": ("shares the host's name", "remove it"),
    "userns_mode": ("takes away the mapping of users", "remove it"),
    "cgroup": ("shares the host's control groups", "remove it"),
    "cgroup_parent": ("leaves the limits that it was given", "remove it"),
    "sysctls": ("changes the kernel", "remove it"),
    "oom_kill_disable": ("keeps the host from freeing memory", "remove it"),
    "oom_score_adj": ("has others killed in its place", "remove it"),
    "credential_spec": ("reads credentials of the host", "remove it"),
    "use_api_socket": ("hands out the engine itself", "remove it"),
    "volumes_from": ("takes over volumes of other containers", "name the volumes under volumes"),
    "driver_opts": ("can mount any folder of the host", "remove it"),
    "external": ("reaches into what is not this project's", "let the project have its own"),
    "name": ("can collide with other projects", "remove it: the agent names everything"),
    "container_name": ("can collide with other projects", "remove it: the agent names everything"),
    "include": ("reads files outside the check", "write everything into this file"),
    "extends": ("reads files outside the check", "write everything into this file"),
    "label_file": ("reads files outside the check", "write the labels into this file"),
    "build": ("builds on the host", "build the image elsewhere and name it under image"),
    "post_start": ("runs commands with rights of their own", "do it in the entrypoint"),
    "pre_stop": ("runs commands with rights of their own", "use stop_signal"),
    "profiles": ("would never be started", "leave the service out where it is not wanted"),
    "scale": ("is decided by the planner", "set spec.replicas of the deployment"),
    "replicas": ("is decided by the planner", "set spec.replicas of the deployment"),
    "version": ("is no longer read by Compose", "remove it"),
}  # fmt: skip


def _explained(finding: Finding) -> Finding:
    """Say why a key is refused, where it is one of those that are known to do harm."""
    key = finding.keys[-1] if finding.keys else ""
    if not finding.is_unknown or key not in _REASONS:
        return finding
    reason, fix = _REASONS[str(key)]
    return replace(finding, what=f"{dotted(finding.keys)} is refused: it {reason}", fix=fix)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dollars(keys: Keys, value: object) -> Iterator[Finding]:
    """Compose would put its own environment in place of `$NAME`."""
    if isinstance(value, str) and "$" in value.replace("$$", ""):
        what = f"{dotted(keys)} has a single $, which Compose would fill from the agent's own"
        yield Finding(keys, f"{what} environment", "write $$ for a dollar sign")
    for key, entry in map_of(value).items():
        if "$" in key:
            what = f"the key {shown(key)} has a $"
            yield Finding((*keys, key), what, "use a key without it", at_key=True)
        yield from _dollars((*keys, key), entry)
    for index, entry in enumerate(_list(value)):
        yield from _dollars((*keys, index), entry)


def _files(_: Keys, value: object) -> Iterator[Finding]:
    """Configs and secrets come from files of the project."""
    for kind in ("configs", "secrets"):
        for name, entry in map_of(map_of(value).get(kind)).items():
            if "file" in map_of(entry):
                yield from _inside((kind, name, "file"), entry["file"])
    configs = map_of(map_of(value).get("configs"))
    for name, entry in configs.items():
        if isinstance(entry, dict) and ("file" in entry) == ("content" in entry):
            what = f"configs.{name} needs either a file or a content"
            yield Finding(("configs", name), what, "write one of the two")


def _own_labels(_: Keys, value: object) -> Iterator[Finding]:
    for kind in ("volumes", "networks", "configs", "secrets"):
        for name, entry in map_of(map_of(value).get(kind)).items():
            yield from _labels((kind, name, "labels"), map_of(entry).get("labels"))


def _declared(_: Keys, value: object) -> Iterator[Finding]:
    """What a service uses by name has to be the project's own."""
    document = map_of(value)
    for service, entry in map_of(document.get("services")).items():
        for index, mount in enumerate(_list(map_of(entry).get("volumes"))):
            name = _volume_of(mount)
            if name is not None and name not in map_of(document.get("volumes")):
                keys = ("services", service, "volumes", index)
                what = f"the volume {shown(name)} is not declared"
                yield Finding(keys, what, "add it under volumes, or begin with ./")


def _labels(keys: Keys, value: object) -> Iterator[Finding]:
    spots: list[tuple[Keys, str]] = [((*keys, key), key) for key in map_of(value)]
    spots += [((*keys, index), str(entry)) for index, entry in enumerate(_list(value))]
    for where, key in spots:
        if key.lower().startswith(RESERVED_LABELS):
            what = f"the label {shown(key)} is one of those that the agent sets"
            yield Finding(where, what, "use another key", at_key=True)


def _environment(keys: Keys, value: object) -> Iterator[Finding]:
    bare = [(*keys, name) for name, entry in map_of(value).items() if entry is None]
    bare += [
        (*keys, index)
        for index, entry in enumerate(_list(value))
        if isinstance(entry, str) and "=" not in entry
    ]
    for where in bare:
        what = f"{dotted(where)} has no value, and would copy the agent's own"
        yield Finding(where, what, 'give it a value, "" for an empty one')
    yield from _taken_gpus(keys, value)


def _taken_gpus(keys: Keys, value: object) -> Iterator[Finding]:
    entries = [((*keys, name), name, str(entry)) for name, entry in map_of(value).items()]
    for index, entry in enumerate(_list(value)):
        name, _, text = str(entry).partition("=")
        entries.append(((*keys, index), name, text))
    for where, name, text in entries:
        if name == GPU_VARIABLE and text.strip() not in NO_GPUS:
            what = f"{dotted(where)} would take GPUs that were not assigned"
            yield Finding(where, what, GPU_FIX)


def _env_files(keys: Keys, value: object) -> Iterator[Finding]:
    if isinstance(value, str):
        yield from _inside(keys, value)
    for index, entry in enumerate(_list(value)):
        named = entry.get("path") if isinstance(entry, dict) else entry
        yield from _inside((*keys, index), named)


def _mounts(keys: Keys, value: object) -> Iterator[Finding]:
    for index, entry in enumerate(_list(value)):
        if isinstance(entry, str):
            yield from _short_mount((*keys, index), entry)
        elif isinstance(entry, dict):
            yield from _long_mount((*keys, index), entry)


_SHORT: Final = re.compile(
    r"(?:(?P<source>[^:]+):)?(?P<target>/[^:]*)(?::(?P<options>[a-zA-Z,]+))?\Z"
)
_OPTIONS: Final = frozenset({"ro", "rw", "z", "Z", "nocopy"})
# Two characters at least: Compose takes `c:/path` for a path of Windows.
_VOLUME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]+\Z")


def _short_mount(keys: Keys, text: str) -> Iterator[Finding]:
    found = _SHORT.match(text)
    options = set((found["options"] or "rw").split(",")) if found else set()
    if found is None or not options <= _OPTIONS:
        fix = "write source:/path or source:/path:ro"
        yield Finding(keys, f"{shown(text)} is no mount that is allowed", fix)
    elif found["source"] is None or _VOLUME.match(found["source"]):
        return
    elif found["source"].startswith((".", "/", "~")):
        yield from _bind(keys, found["source"], "ro" in options)
    else:
        what = f"{shown(found['source'])} is neither a volume nor a path"
        fix = "name a volume with two or more letters, digits and ._-, or begin a path with ./"
        yield Finding(keys, what, fix)


def _long_mount(keys: Keys, mount: Mapping[str, Any]) -> Iterator[Finding]:
    match mount.get("type"):
        case "bind":
            yield from _bind(keys, mount.get("source"), mount.get("read_only") is True)
        case "volume" if "source" in mount and not _VOLUME.match(str(mount["source"])):
            what = f"{shown(mount['source'])} is not the name of a volume"
            yield Finding((*keys, "source"), what, "name a volume of this project")


def _bind(keys: Keys, source: object, read_only: bool) -> Iterator[Finding]:  # noqa: FBT001 - a fact of the mount
    outside = [*_inside(keys, source)]
    yield from outside
    if not outside and not read_only:
        # A container that may write where the agent writes could plant a link there.
        what = "a file of the project is mounted so that it can be written"
        yield Finding(keys, what, "add :ro, and keep what is written in a volume")


def _inside(keys: Keys, named: object) -> Iterator[Finding]:
    """A path has to stay inside the project's folder."""
    if named is UNREADABLE:
        return
    text = named if isinstance(named, str) else ""
    parts = text.split("/")
    if not text or text.startswith(("/", "~")) or "\\" in text or ".." in parts:
        what = f"the path {shown(text)} leads out of the project's folder"
        fix = "put the file into the template's folder and write it like ./file"
        yield Finding(keys, what, fix)


def _volume_of(mount: object) -> str | None:
    """The named volume that is mounted, if it is one."""
    if isinstance(mount, dict):
        source = mount.get("source") if mount.get("type") == "volume" else None
        return source if isinstance(source, str) else None
    found = _SHORT.match(mount) if isinstance(mount, str) else None
    source = found["source"] if found else None
    return source if source is not None and _VOLUME.match(source) else None


_DOCUMENT_RULES: Final[tuple[Rule, ...]] = (_dollars, _files, _own_labels, _declared)
_SERVICE_RULES: Final[Mapping[str, Rule]] = {
    "labels": _labels,
    "environment": _environment,
    "env_file": _env_files,
    "volumes": _mounts,
}
