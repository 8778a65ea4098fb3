"""nodes/<name>.yaml: the operator's word on a node. Without it a node gets nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.names import NodeName
from schemas.problem import Place
from schemas.resources import Resources, Taint


class Duty(StrEnum):
    """What the operator lets a node do: take work, keep what it has, or give all of it away."""

    ACTIVE = "active"
    CORDONED = "cordoned"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A parsed node document. Holding one means that it is valid.

    reserved: kept free for the host itself; None means the fleet's.
    """

    name: NodeName
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    duty: Duty = Duty.ACTIVE
    reserved: Resources | None = None
    place: Place
