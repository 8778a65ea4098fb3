"""What a rendered compose file names and nobody defined, as Compose itself would refuse it. Pure.

The policy says what a file may do to a host. This says whether it hangs together: without it, such
a file would be found out by the agent, on every node, after it was published.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Any, Final, TypeAlias

from schemas.check import Finding
from schemas.compose_values import contradictions
from schemas.marks import Keys
from schemas.page import Page, map_of
from schemas.problem import BadDocumentError, Problem
from schemas.words import dotted, nearest, shown
from schemas.yaml_text import PROBLEMS_MAX, read_yaml

_Named: TypeAlias = Iterator[tuple[Keys, str]]

# Compose makes it for every project, and a service may name it.
_DEFAULT_NETWORK: Final = "default"
_WAITS: Final = "depends_on"


def unresolved(text: str, *, path: str, files: Collection[str]) -> tuple[Problem, ...]:
    """Everything for which Compose would refuse a file that the policy allows, sorted by place.

    Meant for a file against which `schemas.policy.check` says nothing, for that one bounds how
    much there is to look at. Of any other it finds what it can.
    files: paths of all files of the replica, as seen from the compose file's folder.
    """
    try:
        reading = read_yaml(text, path=path)
    except BadDocumentError:
        return ()
    document = map_of(reading.value)
    page = Page(document, reading.marks, [])
    page.take(islice(_findings(document, files), PROBLEMS_MAX))
    return tuple(sorted(set(page.problems)))


def _findings(document: Mapping[str, Any], files: Collection[str]) -> Iterator[Finding]:
    yield from _circle(document)
    yield from _lost_names(document)
    for name, service in map_of(document.get("services")).items():
        keys = ("services", name)
        yield from _lost_files((*keys, "env_file"), map_of(service).get("env_file"), files)
        yield from contradictions(keys, map_of(service))


def _entries(value: object) -> Iterator[tuple[int, Any]]:
    yield from enumerate(value if isinstance(value, list) else ())


def _names(keys: Keys, value: object) -> _Named:
    """Names as a list, or as the keys of a map."""
    entries = value.items() if isinstance(value, dict) else ()
    yield from (((*keys, name), name) for name, _ in entries)
    for index, name in _entries(value):
        if isinstance(name, str):
            yield (*keys, index), name


def _sources(keys: Keys, value: object) -> _Named:
    """Names as a list of texts, or of maps with a source."""
    for index, entry in _entries(value):
        name = entry.get("source") if isinstance(entry, dict) else entry
        if isinstance(name, str):
            yield (*keys, index, "source") if isinstance(entry, dict) else (*keys, index), name


# By the key of a service: where it is defined, what one of it is called, and how it is named.
_KINDS: Final[Mapping[str, tuple[str, str, Callable[[Keys, object], _Named]]]] = {
    _WAITS: ("services", "service", _names),
    "networks": ("networks", "network", _names),
    "secrets": ("secrets", "secret", _sources),
    "configs": ("configs", "config", _sources),
}


def _lost_names(document: Mapping[str, Any]) -> Iterator[Finding]:
    for service, entry in map_of(document.get("services")).items():
        for key, (home, kind, named) in _KINDS.items():
            known = [*map_of(document.get(home))]
            always = (_DEFAULT_NETWORK,) if home == "networks" else ()
            for keys, name in named(("services", service, key), map_of(entry).get(key)):
                if name not in (*known, *always):
                    what = f"{dotted(keys)}: there is no {kind} {shown(name)} in this file"
                    # A service that waits for itself was hardly meant.
                    others = [one for one in known if one != service or key != _WAITS]
                    yield Finding(keys, what, _meant(name, others, home), at_key=True)


def _meant(name: str, known: Iterable[str], home: str) -> str:
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else f"add it under {home}, or take it out"


def _circle(document: Mapping[str, Any]) -> Iterator[Finding]:
    """One circle of depends_on. It is refused whatever `required` says."""
    waits: dict[str, dict[str, Keys]] = {}
    for name, entry in map_of(document.get("services")).items():
        named = _names(("services", name, _WAITS), map_of(entry).get(_WAITS))
        waits[name] = {other: keys for keys, other in named}
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        # graphlib tells it from the one that is waited for to the one that waits.
        circle: list[str] = list(reversed(error.args[1]))
        what = f"the services wait for each other: {' -> '.join(circle)}"
        keys = waits[circle[0]][circle[1]]
        yield Finding(keys, what, "take one of these out of its depends_on", at_key=True)


def _lost_files(keys: Keys, value: object, files: Collection[str]) -> Iterator[Finding]:
    listed = [((*keys, index), entry) for index, entry in _entries(value)]
    for where, entry in [(keys, value)] if isinstance(value, str) else listed:
        named = entry.get("path") if isinstance(entry, dict) else entry
        if not isinstance(named, str) or not named or _leads_out(named):
            continue
        # Compose reads `$$` as a dollar sign.
        path = posixpath.normpath(named.replace("$$", "$"))
        if path == "." or any(one.startswith(f"{path}/") for one in files):
            yield Finding(where, f"{shown(named)} is a folder", "name a file")
        elif path not in files and map_of(entry).get("required") is not False:
            what = f"there is no file {shown(named)} beside the compose file"
            near = nearest(path, files)
            fix = f"did you mean ./{near}?" if near else "put it into the template's folder"
            yield Finding(where, what, f"{fix}{_OR_NOT}")


_OR_NOT: Final = "; or say {path: ..., required: false}"


def _leads_out(path: str) -> bool:
    # Of these the policy speaks.
    return path.startswith(("/", "~")) or ".." in path.split("/")
