"""Which paths of the fleet repository count, and how many of them are too many. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.observing.bounds import FILES_MAX, TOTAL_MAX
from schemas.layout import DEPLOYMENTS, FLEET_FILE, NODES, TEMPLATES
from schemas.problem import Place, Problem

# Where documents are. What stands in the place of one of these and is no folder counts too.
FOLDERS: Final = (DEPLOYMENTS, NODES, TEMPLATES)
_DEEP: Final = (f"{DEPLOYMENTS}/", f"{TEMPLATES}/")
_FLAT: Final = f"{NODES}/"


def counts(path: str) -> bool:
    """Whether a file, or what should be one, means anything to a pass."""
    if path.startswith(_FLAT):
        return "/" not in path[len(_FLAT) :]
    return path == FLEET_FILE or path in FOLDERS or path.startswith(_DEEP)


def too_much(sizes: Mapping[str, int]) -> tuple[Problem, ...]:
    """Say that there is too much to read, in files or in bytes. `sizes`: of every path."""
    place, fix = Place("."), "move what is no deployment or template out of the fleet repository"
    total = sum(sizes.values())
    if len(sizes) > FILES_MAX:
        return (Problem(place, f"{len(sizes)} files are more than {FILES_MAX}", fix),)
    if total > TOTAL_MAX:
        return (Problem(place, f"{total} bytes in all are more than {TOTAL_MAX}", fix),)
    return ()
