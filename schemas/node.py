"""nodes/<name>.yaml: the operator's word on a node. Without it a node gets nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from schemas.marks import NO_MARKS, Marks
from schemas.names import NodeName
from schemas.page import Page, open_page
from schemas.problem import Place
from schemas.resources import Resources, Taint
from schemas.shape import present, read_resources, unless, write_document, write_resources


class Duty(StrEnum):
    """What the operator lets a node do: take work, keep what it has, or give all of it away."""

    ACTIVE = "active"
    CORDONED = "cordoned"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A parsed node document. Holding one means that it is valid.

    reserved: kept free for the host itself; None means the fleet's.
    suspend: nothing on it is changed; what runs goes on.
    marks: where each value stands in the file.
    """

    name: NodeName
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    duty: Duty = Duty.ACTIVE
    reserved: Resources | None = None
    suspend: bool = False
    place: Place
    marks: Marks = field(default=NO_MARKS, compare=False, repr=False)


def parse_node(text: str, *, path: str) -> NodeRecord:
    """Read nodes/<name>.yaml.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    page = open_page(text, path=path, schema="node")
    _check_labels(page)
    page.close()
    metadata, spec = page.get("metadata"), page.get("spec") or {}
    return NodeRecord(
        name=NodeName(metadata["name"]),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        taints=tuple(Taint(**taint) for taint in spec.get("taints", [])),
        duty=Duty(spec.get("duty", Duty.ACTIVE)),
        reserved=read_resources(spec["reserved"]) if "reserved" in spec else None,
        suspend=spec.get("suspend", False),
        place=Place(path),
        marks=page.marks,
    )


def dump_node(record: NodeRecord) -> str:
    """Write nodes/<name>.yaml, without what equals the defaults."""
    metadata = {
        "name": record.name,
        "labels": dict(record.labels),
        "annotations": dict(record.annotations),
    }
    spec = present(
        {
            "taints": [
                present({"key": taint.key, "value": taint.value}) for taint in record.taints
            ],
            "duty": unless(record.duty.value, Duty.ACTIVE.value),
            "suspend": record.suspend or None,
        }
    )
    if record.reserved is not None:
        # Written even when it is nothing, which is not the same as what the fleet reserves.
        spec["reserved"] = write_resources(record.reserved) or {"cpu": 0}
    return write_document("Node", metadata, spec)


_OUR_LABELS: Final = "miaas/"


def _check_labels(page: Page) -> None:
    for key, _ in page.entries("metadata", "labels"):
        if key.startswith(_OUR_LABELS):
            what = f"the label {key!r} is one of those that MIaaS sets itself"
            page.refuse(("metadata", "labels", key), (what, "use a key without miaas/"))
