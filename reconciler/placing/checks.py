"""Why a node will not do: one small function a reason, None meaning no objection.

STATIC checks read what does not change while a plan is made; FREE checks read what is left.
Checks about other replicas (near, apart, spread) stand in neighbours.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final, TypeAlias

from reconciler.observing.node import Freshness, Gpu, Node
from reconciler.placing.gpus import gib, kind_objection
from reconciler.placing.hosted import Hosted
from reconciler.placing.labels import described, holds
from reconciler.placing.plan import Need
from reconciler.placing.ports import choose_ports
from schemas.node import Duty
from schemas.resources import GpuNeed, Sharing, Taint, Toleration

# Which disk, and how full it is, the node itself tells: a refusal must not change with each byte.
DISK_PRESSURE: Final = "its disk is nearly full (DiskPressure)"

NodeCheck: TypeAlias = Callable[[Need, Node], str | None]
FreeCheck: TypeAlias = Callable[[Need, Hosted], str | None]


def node_speaks(_need: Need, node: Node) -> str | None:
    """Refuse a node that is not heard of in time."""
    match node.freshness:
        case Freshness.READY:
            return None
        case Freshness.RETURNING:
            return "back after it was lost, and held down for a while"
        case Freshness.CONTESTED:
            return "two machines speak under its name"
        case Freshness.LATE:
            return "late: its heartbeats are overdue"
        case Freshness.LOST:
            return "lost: silent for long"
        case Freshness.UNSEEN:
            return "has never been heard of"


def node_takes_work(_need: Need, node: Node) -> str | None:
    """Refuse a cordoned or draining node."""
    return None if node.duty is Duty.ACTIVE else str(node.duty)


def docker_works(_need: Need, node: Node) -> str | None:
    """Refuse a node whose Docker cannot start anything."""
    return f"Docker cannot start anything: {node.runtime_error}" if node.runtime_error else None


def disk_has_room(_need: Need, node: Node) -> str | None:
    """Refuse a node whose disk is nearly full: images need room too, beside what was promised."""
    return DISK_PRESSURE if node.disk_pressure else None


def pin_allows(need: Need, node: Node) -> str | None:
    """Refuse a node outside the pin."""
    if not need.rules.pin or node.name in need.rules.pin:
        return None
    return f"pinned to {', '.join(sorted(need.rules.pin))}"


def labels_match(need: Need, node: Node) -> str | None:
    """Refuse a node whose labels miss a requirement."""
    missed = [described(one) for one in need.rules.require if not holds(one, node.labels)]
    return f"requires {' and '.join(missed)}" if missed else None


def taints_tolerated(need: Need, node: Node) -> str | None:
    """Refuse a node with a taint that is not tolerated."""
    wrong = [
        one for one in node.taints if not any(tolerates(t, one) for t in need.rules.tolerations)
    ]
    named = ", ".join(sorted(f"{one.key}={one.value}" if one.value else one.key for one in wrong))
    return f"taint {named} is not tolerated" if wrong else None


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether this consent covers that taint."""
    return toleration.key == taint.key and toleration.value in (None, taint.value)


def gpus_suit(need: Need, node: Node) -> str | None:
    """Refuse a node that, even empty, has not enough GPUs of a kind that will do."""
    if need.gpus is None:
        return None
    if not node.gpus:
        sick = "; ".join(sorted(set(node.sick_gpus.values())))
        return f"no healthy GPU ({sick})" if sick else "no GPU"
    objections = [kind_objection(need.gpus, gpu) for gpu in node.gpus]
    most = _most_of_one_model(
        [g for g, no in zip(node.gpus, objections, strict=True) if no is None]
    )
    if most >= need.gpus.count:
        return None
    if most == 0:
        return min(filter(None, objections), default="no GPU")
    return f"needs {need.gpus.count} suitable GPUs of one model, has {most}"


def cpu_fits(need: Need, hosted: Hosted) -> str | None:
    """Refuse when too little CPU is left."""
    left = hosted.free().cpu_milli
    if need.resources.cpu_milli <= max(left, 0):
        return None
    return f"needs {cores(need.resources.cpu_milli)} CPUs, {cores(left)} free"


def memory_fits(need: Need, hosted: Hosted) -> str | None:
    """Refuse when too little memory is left."""
    left = hosted.free().memory_mib
    if need.resources.memory_mib <= max(left, 0):
        return None
    return f"needs {gib(need.resources.memory_mib)} of memory, {gib(left)} free"


def disk_fits(need: Need, hosted: Hosted) -> str | None:
    """Refuse when too little disk is left."""
    left = hosted.free().disk_mib
    if need.resources.disk_mib <= max(left, 0):
        return None
    return f"needs {gib(need.resources.disk_mib)} of disk, {gib(left)} free"


def gpus_are_free(need: Need, hosted: Hosted) -> str | None:
    """Refuse when too few suitable GPUs have enough left."""
    if need.gpus is None:
        return None
    suitable = [gpu for gpu in hosted.node.gpus if kind_objection(need.gpus, gpu) is None]
    usable = [gpu for gpu in suitable if gpu_takes(need.gpus, hosted, gpu)]
    if _most_of_one_model(usable) >= need.gpus.count:
        return None
    return _gpu_shortage(need.gpus, hosted, suitable, usable)


def gpu_takes(need: GpuNeed, hosted: Hosted, gpu: Gpu) -> bool:
    """Whether this GPU, of a suitable kind, has what is needed left."""
    match need.sharing:
        case Sharing.EXCLUSIVE:
            alone = hosted.gpu_holders[gpu.uuid] == 0
            return alone and gpu.free_mib >= max(need.memory_mib or 0, 1)
        case Sharing.SHARED:
            return hosted.gpu_free(gpu) >= (need.memory_mib or 0)


def ports_are_free(need: Need, hosted: Hosted) -> str | None:
    """Refuse when a fixed host port is taken or no `auto` one is left."""
    for name, number in sorted(need.ports.items()):
        if number is not None and number in hosted.node.ports:
            return f"port {number} ({name}) is used by something else"
        if number is not None and number in hosted.ports:
            return f"port {number} ({name}) is taken by {hosted.ports[number]}"
    taken = hosted.node.ports | hosted.ports.keys()
    if choose_ports(need.ports, within=need.auto_ports, taken=taken, avoid=(), before={}) is None:
        return f"no free port from {need.auto_ports.first} to {need.auto_ports.last}"
    return None


STATIC_CHECKS: Final[tuple[NodeCheck, ...]] = (
    pin_allows,
    labels_match,
    gpus_suit,
    taints_tolerated,
    node_takes_work,
    node_speaks,
    docker_works,
    disk_has_room,
)
FREE_CHECKS: Final[tuple[FreeCheck, ...]] = (
    cpu_fits,
    memory_fits,
    disk_fits,
    gpus_are_free,
    ports_are_free,
)


def cores(milli: int) -> str:
    """Print an amount of CPU as people say it: `2`, `0.5`."""
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def _most_of_one_model(gpus: list[Gpu]) -> int:
    """Count the GPUs of the model that is there most."""
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    for gpu in gpus:
        counts[gpu.vendor, gpu.model] += 1
    return max(counts.values(), default=0)


def _gpu_shortage(need: GpuNeed, hosted: Hosted, suitable: list[Gpu], usable: list[Gpu]) -> str:
    """Say what is missing in numbers: the largest free part, or how many are free."""
    exclusive = need.sharing is Sharing.EXCLUSIVE
    if not suitable:
        return "has no GPU that would do"
    if need.count > 1:
        word = "free GPUs" if exclusive else f"GPUs with {gib(need.memory_mib or 0)} free"
        return f"needs {need.count} {word} of one model, has {_most_of_one_model(usable)}"
    if exclusive and not any(hosted.gpu_holders[gpu.uuid] == 0 for gpu in suitable):
        return "needs a GPU of its own, all are in use"
    if exclusive:
        largest = max(g.free_mib for g in suitable if hosted.gpu_holders[g.uuid] == 0)
    else:
        largest = max((hosted.gpu_free(gpu) for gpu in suitable), default=0)
    return f"needs {gib(need.memory_mib or 0)} on one GPU, largest free {gib(max(largest, 0))}"
