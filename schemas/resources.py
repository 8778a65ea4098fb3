"""What a replica needs of a node, and the words that say where it may go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.names import DeploymentName, NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Amounts of the divisible resources: milli-cores, MiB of memory, MiB of disk."""

    cpu_milli: int = 0
    memory_mib: int = 0
    disk_mib: int = 0


class Sharing(StrEnum):
    """Whether a replica can live with others on its GPU."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuNeed:
    """The GPUs that one replica needs, all on one node.

    memory_mib: memory needed on each GPU; None means that any GPU is large enough, and with
        sharing `shared` it is never None.
    vendor: `nvidia`, `amd` or `intel`; None means any.
    model: a shell pattern over the model name, matched without case; None means any.
    compute_capability: least (major, minor); None means any.
    driver, cuda: least version as numbers, (550, 54, 14) or (12, 4); None means any.
    More than one GPU is always of one model, because tensor parallelism wants equals.
    """

    count: int = 1
    memory_mib: int | None = None
    sharing: Sharing = Sharing.EXCLUSIVE
    vendor: str | None = None
    model: str | None = None
    compute_capability: tuple[int, int] | None = None
    driver: tuple[int, ...] | None = None
    cuda: tuple[int, ...] | None = None


class Drift(StrEnum):
    """What an agent does where what runs is no longer what was assigned."""

    HEAL = "heal"
    REPORT = "report"


class VolumeRemoval(StrEnum):
    """What becomes of a replica's volumes when its node no longer has to run it."""

    KEEP = "keep"
    DELETE = "delete"


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER_THAN = "Gt"
    LESS_THAN = "Lt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One condition on a node's labels. `values` is empty for Exists and DoesNotExist."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A condition that is better met than not. Weight 1 to 100."""

    expression: Expression
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """Other deployments to be near to or apart from, within equal values of the label `over`.

    `over` is `miaas/node` (the node itself) or any label key.
    """

    deployments: tuple[DeploymentName, ...]
    over: str = "miaas/node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Keep the replicas of a deployment even over the values of a label, within `max_skew`."""

    over: str
    max_skew: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A node's mark that keeps deployments away which do not tolerate it."""

    key: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A deployment's consent to a taint. Value None tolerates every value of the key."""

    key: str
    value: str | None = None


class Strategy(StrEnum):
    """Whether to fill nodes up or to level them."""

    PACK = "pack"
    SPREAD = "spread"


class Preemption(StrEnum):
    """Whether a deployment may push out others of lower priority."""

    NEVER = "never"
    LOWER_PRIORITY = "lowerPriority"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRules:
    """Where the replicas of a deployment may and should go. Empty means anywhere.

    pin: only these nodes; empty means no pin.
    strategy: None means the fleet's.
    gang: a group of deployments that is placed whole or not at all; None means no group.
    """

    require: tuple[Expression, ...] = ()
    prefer: tuple[Preference, ...] = ()
    near: tuple[Neighbourhood, ...] = ()
    apart: tuple[Neighbourhood, ...] = ()
    spread: tuple[Spread, ...] = ()
    pin: tuple[NodeName, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    strategy: Strategy | None = None
    gang: str | None = None
    preemption: Preemption = Preemption.NEVER
