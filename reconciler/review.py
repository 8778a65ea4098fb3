"""The last look at a finished plan, by other means than those it was made with. Pure.

Whatever is found here is our own fault, and then nothing of the pass is published.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.observing.node import Freshness, Node
from reconciler.placing.plan import FREE, Bound, Desired, Keep, Need, Placement, Plan
from schemas.names import GpuUuid, NodeName, ReplicaName
from schemas.node import Duty
from schemas.resources import Sharing


class BrokenPlanError(AssertionError):
    """A finished plan breaks a promise. The message says which, for each breach."""


def review(
    plan: Plan,
    desired: tuple[Desired, ...],
    nodes: tuple[Node, ...],
    previous: tuple[Placement, ...],
    bound: Bound = FREE,
) -> None:
    """Check that a plan keeps its promises.

    Amounts are checked on every node that got something new or more. Elsewhere a node may have
    become too small for what it runs already, and moving it is not always right.

    Raises:
        BrokenPlanError: it does not.
    """
    breaches = [
        *_twice(plan.placements),
        *_uncalled(plan, desired, bound),
        *_not_kept(plan, desired, previous, bound),
        *_overfull(plan.placements, nodes, previous),
    ]
    if breaches:
        raise BrokenPlanError("; ".join(breaches))


def crowded(
    plan: Plan,
    nodes: tuple[Node, ...],
    previous: tuple[Placement, ...],
    moved: Collection[ReplicaName],
) -> frozenset[ReplicaName]:
    """Name the moved replicas that have no room where they were moved to.

    previous: what is placed. A plan takes for granted that who was moved is there already, and
    whoever moved them may not have known of all who stay for a while.
    """
    known = {node.name: node for node in nodes}
    before = {(one.node, one.replica): one for one in previous}
    arrived = [
        one
        for one in plan.placements
        if one.replica in moved and (one.node, one.replica) not in before
    ]
    crowds = {
        name
        for name in {one.node for one in arrived}
        if any(_on_node(known[name], [o for o in plan.placements if o.node == name], before))
    }
    return frozenset(one.replica for one in arrived if one.node in crowds)


def _twice(placements: tuple[Placement, ...]) -> Iterator[str]:
    for replica, count in Counter(one.replica for one in placements).items():
        if count > 1:
            yield f"{replica} is placed {count} times"


def _uncalled(plan: Plan, desired: tuple[Desired, ...], bound: Bound) -> Iterator[str]:
    needs = {one.deployment: one for one in desired}
    counts = Counter(one.deployment for one in plan.placements if one.replica not in bound.frozen)
    for replica in sorted({one.replica for one in plan.placements} & bound.absent):
        yield f"{replica} is placed and must not run yet"
    for name, count in sorted(counts.items()):
        need = needs.get(name)
        if need is None:
            yield f"{name} is placed and nobody asked for it"
        elif isinstance(need, Need) and count > need.replicas:
            yield f"{name} has {count} replicas and {need.replicas} were asked for"


def _not_kept(
    plan: Plan, desired: tuple[Desired, ...], previous: tuple[Placement, ...], bound: Bound
) -> Iterator[str]:
    kept = {one.deployment for one in desired if isinstance(one, Keep)}

    def is_kept(one: Placement) -> bool:
        return one.deployment in kept or one.replica in bound.frozen

    before = {one.replica: one for one in previous if is_kept(one)}
    now = {one.replica: one for one in plan.placements if is_kept(one)}
    for replica in sorted(before.keys() | now.keys()):
        if before.get(replica) != now.get(replica):
            yield f"{replica} is held and would change"


def _overfull(
    placements: tuple[Placement, ...], nodes: tuple[Node, ...], previous: tuple[Placement, ...]
) -> Iterator[str]:
    known = {node.name: node for node in nodes}
    before = {(one.node, one.replica): one for one in previous}
    by_node: dict[NodeName, list[Placement]] = defaultdict(list)
    for one in placements:
        by_node[one.node].append(one)
    for name, ours in sorted(by_node.items()):
        new = [one for one in ours if before.get((name, one.replica)) != one]
        if new and name not in known:
            yield f"{name} is not a node and got {new[0].replica}"
        elif new:
            yield from _on_node(known[name], ours, before)


def _on_node(
    node: Node, ours: list[Placement], before: Mapping[tuple[NodeName, ReplicaName], Placement]
) -> Iterator[str]:
    arrived = [one for one in ours if (node.name, one.replica) not in before]
    if arrived and (node.freshness is not Freshness.READY or node.duty is not Duty.ACTIVE):
        yield f"{node.name} is {node.freshness}, {node.duty}, and got {arrived[0].replica}"
    if arrived and node.disk_pressure:
        yield f"{node.name} has a disk that is nearly full, and got {arrived[0].replica}"
    for amount in ("cpu_milli", "memory_mib", "disk_mib"):
        yield from _amount(node, ours, before, amount)
    # Who keeps a card that became too small may get another port all the same.
    pairs = [(before.get((node.name, one.replica)), one) for one in ours]
    new_ports = [one for old, one in pairs if old is None or old.ports != one.ports]
    new_gpus = [one for old, one in pairs if old is None or old.gpus != one.gpus]
    yield from _ports(node, ours, new_ports)
    yield from _gpus(node, ours, new_gpus)


def _amount(
    node: Node,
    ours: list[Placement],
    before: Mapping[tuple[NodeName, ReplicaName], Placement],
    amount: str,
) -> Iterator[str]:
    total = sum(getattr(one.resources, amount) for one in ours)
    room = getattr(node.room, amount)
    if total <= room:
        return
    for one in ours:
        old = before.get((node.name, one.replica))
        if getattr(one.resources, amount) > (getattr(old.resources, amount) if old else 0):
            yield f"{node.name} has {room} of {amount}, and {total} are promised with {one.replica}"
            return


def _ports(node: Node, ours: list[Placement], new: list[Placement]) -> Iterator[str]:
    counts = Counter(port for one in ours for port in one.ports.values())
    for port, count in sorted(counts.items()):
        if count > 1:
            yield f"port {port} of {node.name} is promised {count} times"
    for port in sorted({port for one in new for port in one.ports.values()} & node.ports):
        yield f"port {port} of {node.name} is used by something else"


def _gpus(node: Node, ours: list[Placement], new: list[Placement]) -> Iterator[str]:
    free = {gpu.uuid: gpu.free_mib for gpu in node.gpus}
    promised: Mapping[GpuUuid, list[Placement]] = _by_gpu(ours)
    for uuid in sorted(_by_gpu(new)):
        holders = promised[uuid]
        if uuid not in free:
            yield f"{node.name} has no usable GPU {uuid}"
            continue
        if len(holders) > 1 and any(one.sharing is Sharing.EXCLUSIVE for one in holders):
            yield f"GPU {uuid} is promised whole, and to {len(holders)} replicas"
        total = sum(share.memory_mib for one in holders for share in one.gpus if share.uuid == uuid)
        if all(one.sharing is Sharing.SHARED for one in holders) and total > free[uuid]:
            yield f"GPU {uuid} has {free[uuid]} MiB free and {total} are promised"


def _by_gpu(placements: Iterable[Placement]) -> Mapping[GpuUuid, list[Placement]]:
    found: dict[GpuUuid, list[Placement]] = defaultdict(list)
    for one in placements:
        for share in one.gpus:
            found[share.uuid].append(one)
    return found
