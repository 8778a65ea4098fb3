"""Deployments that can be planned, and those that are held, each with the reasons. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from reconciler.observing.documents import Problems, document, paths_of, read_deployment
from reconciler.observing.parameters import filled
from reconciler.observing.snapshot import Snapshot, TemplateBundle
from reconciler.observing.templates import Catalogue
from schemas.deployment import Deployment
from schemas.layout import DEPLOYMENTS
from schemas.names import NAME_RULE, DeploymentName, is_name
from schemas.problem import Place, Problem

_ENDING: Final = ".yaml"
_OLD_ENDING: Final = ".yml"


@dataclass(slots=True)
class Sorted:
    """Deployments that are whole, those that are held and why, and problems that hold nothing.

    aside: held ones whose own documents can be understood.
    """

    whole: list[Deployment] = field(default_factory=list)
    held: dict[DeploymentName, Problems] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    aside: dict[DeploymentName, Deployment] = field(default_factory=dict)


def sort_deployments(snapshot: Snapshot, templates: Catalogue) -> Sorted:
    """Understand every deployment file.

    A file that cannot be understood stands for the deployment that its own name says, because
    that is the name the deployment had while it could be.
    """
    found = Sorted()
    for name, paths in _files(snapshot).items():
        if not is_name(name):
            found.problems += [_odd_name(path) for path in paths]
        elif (why := _duplicates(paths) or _wrong_ending(paths)) or (
            why := _one(snapshot, paths[0], templates, found)
        ):
            found.held[DeploymentName(name)] = why
    return found


def hides_deployments(ignored: str) -> bool:
    """Whether something that is no file stands where a folder of deployments may have been."""
    return ignored.startswith(f"{DEPLOYMENTS}/") and not ignored.endswith((_ENDING, _OLD_ENDING))


def _files(snapshot: Snapshot) -> dict[str, list[str]]:
    """Paths of deployment files by the name that each one's own name says."""
    files: dict[str, list[str]] = {}
    for path in paths_of(snapshot):
        stem, dot, ending = path.rpartition("/")[2].rpartition(".")
        if path.startswith(f"{DEPLOYMENTS}/") and stem and dot + ending in (_ENDING, _OLD_ENDING):
            files.setdefault(stem, []).append(path)
    return files


def _one(snapshot: Snapshot, path: str, templates: Catalogue, found: Sorted) -> Problems:
    """Add the deployment of one file, or say why it is held."""
    deployment = document(snapshot, path, read_deployment)
    if isinstance(deployment, tuple):
        return deployment
    if why := tuple(_objections(path, deployment, templates)):
        return why
    found.whole.append(deployment)
    return ()


def _objections(path: str, deployment: Deployment, templates: Catalogue) -> Iterator[Problem]:
    stem = path.rpartition("/")[2].removesuffix(_ENDING)
    if deployment.name != stem:
        place = deployment.marks.at("metadata", "name")
        what = f"the deployment is called {deployment.name!r} and its file {stem + _ENDING!r}"
        yield Problem(place, what, f"rename the file to {deployment.name}{_ENDING}")
    bundle = templates.usable.get(deployment.template)
    if bundle is None:
        yield _no_template(deployment, templates)
    else:
        yield from _against_template(deployment, bundle)


def _no_template(deployment: Deployment, templates: Catalogue) -> Problem:
    place = deployment.marks.at("spec", "template")
    broken = templates.broken.get(deployment.template)
    if broken:
        what = f"the template {deployment.template!r} cannot be used: {broken[0].what}"
        return Problem(place, what, f"mend {broken[0].place}")
    what = f"there is no template {deployment.template!r}"
    return Problem(place, what, _meant(deployment.template, templates.names))


def _against_template(deployment: Deployment, bundle: TemplateBundle) -> Iterator[Problem]:
    params = filled(bundle.template, deployment)
    if isinstance(params, tuple):
        yield from params
    names = [port.name for port in bundle.template.ports]
    for name in deployment.ports:
        if name not in names:
            place = deployment.marks.at_key("spec", "ports", name)
            what = f"the template {deployment.template!r} has no port {name!r}"
            yield Problem(place, what, _meant(name, names))


def _meant(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"write one of: {', '.join(names)}" if names else "remove it: there are none"


def _odd_name(path: str) -> Problem:
    return Problem(Place(path), "the file's name cannot name a deployment", f"use {NAME_RULE}")


def _duplicates(paths: list[str]) -> Problems:
    if len(paths) == 1:
        return ()
    return tuple(
        Problem(
            Place(path),
            f"the same deployment is also written in {' and '.join(p for p in paths if p != path)}",
            "keep one of the files",
        )
        for path in paths
    )


def _wrong_ending(paths: list[str]) -> Problems:
    if paths[0].endswith(_ENDING):
        return ()
    fix = f"rename it to {paths[0].rpartition('.')[0]}{_ENDING}"
    return (Problem(Place(paths[0]), "deployments are read from .yaml files only", fix),)
