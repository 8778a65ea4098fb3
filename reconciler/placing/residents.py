"""Who is there already: stays, stays with new numbers, or has to go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.observing.node import TOLD_BY_HEARTBEATS, Freshness, Gpu, Node
from reconciler.placing.checks import FREE_CHECKS, gpu_takes, labels_match, pin_allows
from reconciler.placing.draft import Draft
from reconciler.placing.gpus import kind_objection
from reconciler.placing.hosted import Hosted, domain
from reconciler.placing.newcomers import find_place, shares_of, sharing_of
from reconciler.placing.plan import Need, Placement
from reconciler.placing.ports import choose_ports
from schemas.assignment import GpuShare, Reason
from schemas.names import GpuUuid, ReplicaName, split_replica
from schemas.node import Duty
from schemas.resources import Sharing


def settle_residents(draft: Draft) -> None:
    """Leave everyone where they are who may stay. Who must go is no longer counted.

    All count first as they were, so that one who grows cannot take another's place. Then each who
    changed is looked at: those who shrink before those who grow, the more important first.
    """
    residents = [one for one in draft.before.values() if _still_wanted(one, draft)]
    draft.seat_all(residents)
    changed: list[tuple[Placement, Need]] = []
    for old in residents:
        need = draft.needs.get(old.deployment)
        if need is not None and old.replica in draft.placed and not draft.holds(old):
            _settle(old, need, draft, changed)
    changed.sort(key=lambda pair: (_grows(*pair), -pair[1].priority, pair[0].replica))
    left = len(changed) + 1
    while len(changed) < left:
        # One who found a place may have made room for one before.
        left = len(changed)
        changed = [(old, need) for old, need in changed if not _refit(old, need, draft)]
    for old, need in changed:
        _keep_old_numbers(old, need, draft)


def _still_wanted(old: Placement, draft: Draft) -> bool:
    """Whether the deployment still has a replica of this number, and the node a record."""
    if draft.holds(old):
        return True
    wanted = split_replica(old.replica)[1] < draft.needs[old.deployment].replicas
    return wanted and draft.row(old) is not None


def _settle(
    old: Placement, need: Need, draft: Draft, changed: list[tuple[Placement, Need]]
) -> None:
    """Let one resident stay, send it away, or note that its numbers changed."""
    row = draft.ground.index[old.node]
    reason = _must_go(old, need, row, draft)
    if reason is not None:
        _leave(old, need, reason, draft)
    elif not _as_promised(old, need):
        changed.append((old, need))
    elif (old.priority, old.pinned) != (need.priority, need.pinned):
        _swap(old, replace(old, priority=need.priority, pinned=need.pinned), draft)


def _must_go(old: Placement, need: Need, row: int, draft: Draft) -> str | None:
    """Say why a resident cannot stay whatever is free; None if it may."""
    node = draft.ground.nodes[row]
    if node.duty is Duty.DRAINING:
        return "draining"
    if not draft.admits(need)[row]:
        reason = pin_allows(need, node) or labels_match(_known(need, node), node)
        if reason is not None:
            return reason
    fresh = node.freshness is Freshness.READY and not node.runtime_error
    if fresh and old.gpus:
        known = draft.ground.slots[row]
        gone = sorted(share.uuid for share in old.gpus if share.uuid not in known)
        if gone:
            return _gone(gone[0], node.sick_gpus)
        reason = _wrong_kind(old, need, row, draft)
        if reason is not None:
            return reason
    if need.deployment in draft.repelled:
        reason = _too_near(old, need, row, draft)
        if reason is not None:
            return reason
    return _port_lost(old, need, row, draft)


def _known(need: Need, node: Node) -> Need:
    """A need without what only a heartbeat tells of a node, where that has none."""
    if node.freshness is not Freshness.UNSEEN:
        return need
    require = tuple(one for one in need.rules.require if one.key not in TOLD_BY_HEARTBEATS)
    return replace(need, rules=replace(need.rules, require=require))


def _gone(uuid: GpuUuid, sick: Mapping[GpuUuid, str]) -> str:
    """Say what became of a GPU that is no longer offered."""
    return f"its GPU {uuid} is sick: {sick[uuid]}" if uuid in sick else f"its GPU {uuid} is gone"


def _wrong_kind(old: Placement, need: Need, row: int, draft: Draft) -> str | None:
    """Say why one of its GPUs no longer suits the need."""
    if need.gpus is None:
        return None
    shape = draft.ask(need).shape
    for share in old.gpus:
        slot = draft.ground.slots[row][share.uuid]
        kind = int(draft.ground.now.kind[row, slot])
        if not shape.kinds[kind]:
            return kind_objection(need.gpus, draft.ground.gpus[row][slot])
    return None


def _too_near(old: Placement, need: Need, row: int, draft: Draft) -> str | None:
    """Say who is near that must be apart. Of two the less important, then the later name, goes."""
    for rule in draft.repelled[need.deployment]:
        value = domain(draft.ground.nodes[row], rule.over)
        for other_row in draft.rows_of.get(rule.other, ()):
            if value is None or domain(draft.ground.nodes[other_row], rule.over) != value:
                continue
            for other in draft.on_row[other_row].values():
                if other.deployment == rule.other and _precedes(other, old, draft):
                    return f"must be apart from {rule.other} over {rule.over}"
    return None


def _precedes(other: Placement, old: Placement, draft: Draft) -> bool:
    """Whether the other has the better right to stay."""
    return other.replica != old.replica and _right(other, draft) < _right(old, draft)


def _right(one: Placement, draft: Draft) -> tuple[bool, int, ReplicaName]:
    """Sort key: who cannot move, then who is more important, then by name."""
    need = draft.needs.get(one.deployment)
    bound = need is None or need.pinned
    return (not bound, -(need.priority if need is not None else one.priority), one.replica)


def _port_lost(old: Placement, need: Need, row: int, draft: Draft) -> str | None:
    """Say which fixed port it cannot have here."""
    for name, number in need.ports.items():
        if number is None:
            continue
        if number in draft.ground.nodes[row].ports:
            return f"port {number} ({name}) is used by something else"
        holder = draft.ports[row].get(number, old.replica)
        if holder != old.replica:
            return f"port {number} ({name}) is taken by {holder}"
    return None


def _leave(old: Placement, need: Need, reason: str, draft: Draft) -> None:
    """Send a resident away; one that is tied to its node stays and says what it waits for."""
    if need.pinned:
        draft.refused[old.replica] = (_tied(old, reason),)
        return
    draft.remove(old)


def _tied(old: Placement, reason: str) -> Reason:
    text = f"{reason}; its volumes tie it to this node, where it stays as it was"
    return Reason(text=text, nodes=(old.node,))


def _refit(old: Placement, need: Need, draft: Draft) -> bool:
    """Give a resident its new numbers, in place if possible, else on another node.

    Returns whether that worked; if not, it is where it was, with the old numbers.
    """
    row = draft.ground.index[old.node]
    draft.remove(old)
    new = _in_place(old, need, row, draft)
    if new is None and not need.pinned:
        new = find_place(old.replica, need, draft)
    draft.put(old if new is None else new)
    return new is not None


def _keep_old_numbers(old: Placement, need: Need, draft: Draft) -> None:
    """Refuse the new numbers, which fit nowhere. What runs goes on if it can still be rendered."""
    row = draft.ground.index[old.node]
    reason = next(_objections(need, draft, row, old), "its new needs do not fit")
    if need.pinned:
        draft.refused[old.replica] = (_tied(old, reason),)
    elif _same_form(old, need):
        text = f"{reason}; it stays as it was until its new needs fit somewhere"
        draft.refused[old.replica] = (Reason(text=text, nodes=(old.node,)),)
    else:
        draft.remove(old)


def _same_form(old: Placement, need: Need) -> bool:
    """Whether the old promise still gives the template what it expects."""
    count = need.gpus.count if need.gpus is not None else 0
    return len(old.gpus) == count and old.ports.keys() == need.ports.keys()


def _in_place(old: Placement, need: Need, row: int, draft: Draft) -> Placement | None:
    """Return the placement with the new numbers on the same node, or None."""
    ports = choose_ports(
        need.ports,
        within=need.auto_ports,
        taken=draft.taken(row),
        avoid=draft.avoid,
        before=old.ports,
    )
    if ports is None:
        return None
    host = draft.hosted(row)
    if _same_amounts(old, need):
        return _renewed(old, need, old.gpus, ports)
    if any(check(need, host) for check in FREE_CHECKS):
        return None
    return _renewed(old, need, _shares(old, need, host), ports)


def _shares(old: Placement, need: Need, host: Hosted) -> tuple[GpuShare, ...]:
    """Choose the GPUs: those it has if they will do, else the smallest of one model that do."""
    if need.gpus is None:
        return ()
    mine = {share.uuid for share in old.gpus}
    able = [
        gpu
        for gpu in host.node.gpus
        if kind_objection(need.gpus, gpu) is None and gpu_takes(need.gpus, host, gpu)
    ]
    models: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in sorted(able, key=lambda gpu: (gpu.uuid not in mine, host.gpu_free(gpu), gpu.uuid)):
        models.setdefault((gpu.vendor, gpu.model), []).append(gpu)
    chosen = next(gpus for gpus in models.values() if len(gpus) >= need.gpus.count)
    return shares_of(need, sorted(chosen[: need.gpus.count], key=lambda gpu: gpu.uuid))


def _objections(need: Need, draft: Draft, row: int, old: Placement) -> Iterator[str]:
    """Go through what speaks against the new numbers, the resident itself not counted."""
    host = draft.hosted(row)
    if old.replica in host.placements:
        host.remove(old)
    return (text for check in FREE_CHECKS if (text := check(need, host)) is not None)


def _renewed(
    old: Placement, need: Need, gpus: tuple[GpuShare, ...], ports: Mapping[str, int]
) -> Placement:
    return replace(
        old,
        resources=need.resources,
        sharing=sharing_of(need),
        gpus=gpus,
        ports=ports,
        priority=need.priority,
        pinned=need.pinned,
    )


def _swap(old: Placement, new: Placement, draft: Draft) -> None:
    draft.remove(old)
    draft.put(new)


def _as_promised(old: Placement, need: Need) -> bool:
    """Whether nothing that a node must provide differs from what was promised."""
    if not _same_amounts(old, need) or old.ports.keys() != need.ports.keys():
        return False
    within = need.auto_ports
    return (
        all(
            old.ports[name] == number if number is not None else _in_range(old.ports[name], need)
            for name, number in need.ports.items()
        )
        and within.first <= within.last
    )


def _in_range(number: int, need: Need) -> bool:
    return need.auto_ports.first <= number <= need.auto_ports.last


def _same_amounts(old: Placement, need: Need) -> bool:
    """Whether resources and GPUs are what was promised."""
    if old.resources != need.resources:
        return False
    if need.gpus is None:
        return not old.gpus
    if len(old.gpus) != need.gpus.count or old.sharing is not need.gpus.sharing:
        return False
    asked = need.gpus.memory_mib or 0
    if old.sharing is Sharing.EXCLUSIVE:
        return all(share.memory_mib >= asked for share in old.gpus)
    return all(share.memory_mib == asked for share in old.gpus)


def _grows(old: Placement, need: Need) -> bool:
    """Whether any amount is larger than was promised."""
    was, asked = old.resources, need.resources
    promised = sum(share.memory_mib for share in old.gpus)
    gpus = need.gpus
    wanted = gpus.count * (gpus.memory_mib or promised) if gpus is not None else 0
    return (
        asked.cpu_milli > was.cpu_milli
        or asked.memory_mib > was.memory_mib
        or asked.disk_mib > was.disk_mib
        or wanted > promised
    )
