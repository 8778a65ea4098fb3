"""What a version of a deployment is made of, and where the assignments keep it. Pure.

versions/<deployment>/good/...       what it is made of that last got ready everywhere
versions/<deployment>/next/...       what is coming in, while it is; what people took back, while
                                     replicas run it; what asks for no replicas
versions/<deployment>/rejected/...   what did not get ready: while people ask for just this, the
                                     good one is what is wanted
In each: deployment.yaml, and template/ with the files of its template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from reconciler.observing.documents import read_deployment, read_template
from reconciler.observing.parameters import filled
from reconciler.observing.snapshot import Observed, Snapshot, TemplateBundle
from schemas.deployment import Deployment
from schemas.layout import TEMPLATE_FILE, VERSIONS
from schemas.names import DeploymentName

Inputs: TypeAlias = Mapping[str, bytes]

DEPLOYMENT_FILE: Final = "deployment.yaml"
TEMPLATE_FOLDER: Final = "template/"


class Slot(StrEnum):
    """Which of its versions."""

    GOOD = "good"
    NEXT = "next"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The versions that are kept of one deployment. None: there is no such one."""

    good: Inputs | None = None
    next: Inputs | None = None
    rejected: Inputs | None = None


def kept_versions(snapshot: Snapshot) -> Mapping[DeploymentName, Versions]:
    """Read what the assignments keep."""
    found: dict[DeploymentName, dict[str, dict[str, bytes]]] = {}
    for path, content in snapshot.assignments.items():
        top, _, rest = path.partition("/")
        if top == VERSIONS:
            name, _, inner = rest.partition("/")
            slot, _, file = inner.partition("/")
            if slot in set(Slot):
                found.setdefault(DeploymentName(name), {}).setdefault(slot, {})[file] = content
    return {name: Versions(**slots) for name, slots in found.items()}


def version_files(versions: Mapping[DeploymentName, Versions]) -> Mapping[str, bytes]:
    """Say what the assignments are to keep, by path."""
    return {
        f"{VERSIONS}/{name}/{slot.value}/{path}": content
        for name, one in versions.items()
        for slot in Slot
        for path, content in (getattr(one, slot.value) or {}).items()
    }


def inputs_of(snapshot: Snapshot, deployment: Deployment, bundle: TemplateBundle) -> Inputs:
    """What people ask for now."""
    text = snapshot.desired[deployment.place.path]
    files = {f"{TEMPLATE_FOLDER}{path}": content for path, content in bundle.files.items()}
    return {DEPLOYMENT_FILE: text, **files}


def revision(inputs: Inputs) -> str:
    """A short name for inputs: equal for equal ones."""
    digest = hashlib.sha256()
    for path, content in sorted(inputs.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def understood(inputs: Inputs, name: DeploymentName) -> tuple[Deployment, TemplateBundle] | None:
    """Read inputs that were kept. None: this program no longer understands them.

    Their paths name where they are kept, so that nobody looks for a mistake in main.
    """
    folder = f"{VERSIONS}/{name}"
    deployment = read_deployment(inputs.get(DEPLOYMENT_FILE, b""), f"{folder}/{DEPLOYMENT_FILE}")
    place = f"{folder}/{TEMPLATE_FOLDER}{TEMPLATE_FILE}"
    template = read_template(inputs.get(f"{TEMPLATE_FOLDER}{TEMPLATE_FILE}", b""), place)
    if isinstance(deployment, tuple) or isinstance(template, tuple) or deployment.name != name:
        return None
    if isinstance(filled(template, deployment), tuple):
        return None
    files = {
        path.removeprefix(TEMPLATE_FOLDER): content
        for path, content in inputs.items()
        if path.startswith(TEMPLATE_FOLDER)
    }
    return deployment, TemplateBundle(template=template, files=files)


def asked_for(snapshot: Snapshot, observed: Observed) -> Mapping[DeploymentName, Inputs]:
    """What people ask for now, of every deployment that is not held."""
    return {
        one.name: inputs_of(snapshot, one, observed.templates[one.template])
        for one in observed.deployments
        if one.name not in observed.held and one.place.path in snapshot.desired
    }
