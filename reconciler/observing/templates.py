"""The templates that deployments may name: the fleet's own, then the built-in ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.observing.documents import Problems, no_folder, read_template, unread
from reconciler.observing.snapshot import Snapshot, TemplateBundle
from schemas.layout import COMPOSE_FILE, COMPOSE_TEMPLATE, TEMPLATE_FILE, TEMPLATES
from schemas.names import TemplateName
from schemas.problem import Place, Problem

# Stands before the paths of built-in templates in messages, so that nobody looks in the fleet.
BUILT_IN: Final = "built-in/"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Templates that can be used, and the problems of those that cannot, by name."""

    usable: Mapping[TemplateName, TemplateBundle]
    broken: Mapping[TemplateName, Problems]

    @property
    def names(self) -> tuple[TemplateName, ...]:
        """Every name, usable or not, sorted."""
        return tuple(sorted({*self.usable, *self.broken}))


def catalogue(snapshot: Snapshot) -> Catalogue:
    """Understand every template. A folder of the fleet wins over a built-in one of its name."""
    own = _folders(snapshot.desired)
    usable: dict[TemplateName, TemplateBundle] = {}
    broken: dict[TemplateName, Problems] = _unread(snapshot)
    built_in = {k: v for k, v in _folders(snapshot.builtin).items() if k not in {*own, *broken}}
    for prefix, folders in ((BUILT_IN, built_in), ("", own)):
        for name, files in folders.items():
            found = _bundle(name, files, f"{prefix}{TEMPLATES}/{name}")
            if isinstance(found, TemplateBundle):
                usable[name] = found
            else:
                broken[name] = (*broken.get(name, ()), *found)
    return Catalogue({k: v for k, v in usable.items() if k not in broken}, broken)


def _folders(files: Mapping[str, bytes]) -> dict[TemplateName, dict[str, bytes]]:
    folders: dict[TemplateName, dict[str, bytes]] = {}
    for path, content in files.items():
        name, inner = _inside(path)
        if inner:
            folders.setdefault(name, {})[inner] = content
    return folders


def _inside(path: str) -> tuple[TemplateName, str]:
    """The template that a path belongs to, and its path in there; empty: to none."""
    top, _, rest = path.partition("/")
    name, _, inner = rest.partition("/")
    return TemplateName(name), inner if top == TEMPLATES else ""


def _unread(snapshot: Snapshot) -> dict[TemplateName, Problems]:
    found: dict[TemplateName, Problems] = {}
    for path in sorted({*snapshot.too_large, *snapshot.ignored}):
        name, inner = _inside(path)
        if inner:
            found[name] = (*found.get(name, ()), *unread(snapshot, path))
        elif path in snapshot.ignored and path.startswith(f"{TEMPLATES}/"):
            # Or else the built-in template of this name would take its place in silence.
            found[name] = (no_folder(path),)
    return found


def _bundle(
    name: TemplateName, files: Mapping[str, bytes], folder: str
) -> TemplateBundle | Problems:
    place = Place(f"{folder}/{TEMPLATE_FILE}")
    if TEMPLATE_FILE not in files:
        return (Problem(place, "the template has no such file", "write it; the name matters"),)
    template = read_template(files[TEMPLATE_FILE], place.path)
    if isinstance(template, tuple):
        return template
    if COMPOSE_TEMPLATE not in files and COMPOSE_FILE not in files:
        missing = Place(f"{folder}/{COMPOSE_TEMPLATE}")
        return (Problem(missing, "the template has no such file", "write the compose file"),)
    if template.name != name:
        where = template.marks.at("metadata", "name")
        what = f"the template is called {template.name!r} and its folder {name!r}"
        return (Problem(where, what, "give both the same name"),)
    return TemplateBundle(template=template, files=files)
