"""A machine that the fleet does not have yet: what a simulation adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.marks import NO_MARKS, Marks
from schemas.names import NodeName
from schemas.page import Page, open_page
from schemas.problem import Place
from schemas.quantity import format_memory, memory_mib
from schemas.resources import Taint
from schemas.shape import (
    present,
    read_amounts,
    read_version,
    unless,
    write_amounts,
    write_document,
    write_version,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """GPUs of one kind. compute_capability, driver, cuda: None meets no minimum."""

    model: str
    memory_mib: int
    count: int = 1
    vendor: str = "nvidia"
    compute_capability: tuple[int, int] | None = None
    driver: tuple[int, ...] | None = None
    cuda: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A parsed machine document. Holding one means that it is valid.

    like: a node whose hardware stands for whatever is None or empty here. Without it, cpu_milli,
        memory_mib and disk_mib are not None; the others may be: amd64, linux and no GPUs.
    marks: where each value stands in the file.
    """

    name: NodeName
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    like: NodeName | None = None
    cpu_milli: int | None = None
    memory_mib: int | None = None
    disk_mib: int | None = None
    architecture: str | None = None
    os: str | None = None
    gpus: tuple[Card, ...] = ()
    place: Place
    marks: Marks = field(default=NO_MARKS, compare=False, repr=False)


def parse_machine(text: str, *, path: str) -> Machine:
    """Read a machine document.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    page = open_page(text, path=path, schema="machine")
    _check_whole(page)
    page.close()
    metadata, spec = page.get("metadata"), page.get("spec")
    return Machine(
        name=NodeName(metadata["name"]),
        labels=metadata.get("labels", {}),
        taints=tuple(Taint(**taint) for taint in spec.get("taints", [])),
        like=spec.get("like"),
        **read_amounts(spec),
        architecture=spec.get("architecture"),
        os=spec.get("os"),
        gpus=tuple(map(_card, spec.get("gpus", []))),
        place=Place(path),
        marks=page.marks,
    )


def dump_machine(machine: Machine) -> str:
    """Write a machine document, without what equals the defaults."""
    spec = {
        "like": machine.like,
        "taints": [present({"key": taint.key, "value": taint.value}) for taint in machine.taints],
        **write_amounts(machine.cpu_milli, machine.memory_mib, machine.disk_mib),
        "architecture": machine.architecture,
        "os": machine.os,
        "gpus": list(map(_written, machine.gpus)),
    }
    metadata = {"name": machine.name, "labels": dict(machine.labels)}
    return write_document("Machine", metadata, spec)


def _check_whole(page: Page) -> None:
    spec = page.get("spec")
    if not isinstance(spec, dict) or not page.sound("spec") or "like" in spec:
        return
    missing = [key for key in ("cpu", "memory", "disk") if key not in spec]
    if missing:
        what = f"spec says neither what it is like nor its {' and '.join(missing)}"
        page.refuse(("spec",), (what, "add `like: NODE`, or cpu, memory and disk"))


def _card(plain: Mapping[str, Any]) -> Card:
    major_minor = read_version(plain.get("computeCapability"))
    return Card(
        model=plain["model"],
        memory_mib=memory_mib(plain["memory"]),
        count=plain.get("count", 1),
        vendor=plain.get("vendor", "nvidia"),
        compute_capability=(major_minor[0], major_minor[1]) if major_minor else None,
        driver=read_version(plain.get("driver")),
        cuda=read_version(plain.get("cuda")),
    )


def _written(card: Card) -> dict[str, Any]:
    return present(
        {
            "model": card.model,
            "count": unless(card.count, 1),
            "memory": format_memory(card.memory_mib),
            "vendor": unless(card.vendor, "nvidia"),
            "computeCapability": write_version(card.compute_capability),
            "driver": write_version(card.driver),
            "cuda": write_version(card.cuda),
        }
    )
