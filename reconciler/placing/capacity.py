"""How much still fits, and which node the fleet could not lose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from reconciler.observing.node import Node
from reconciler.placing.draft import Draft
from reconciler.placing.engine import drafted, plan
from reconciler.placing.improving import free_to_go
from reconciler.placing.newcomers import find_place, find_place_without
from reconciler.placing.plan import FREE, Bound, Desired, Need, Placement
from reconciler.placing.room import Choices, count_fitting
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name, split_replica
from schemas.resources import Resources

# Beyond a hundred more, nobody asks how many exactly.
MORE_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestFit:
    """The largest replicas of one GPU model that still fit somewhere.

    shared_mib: the most GPU memory on one GPU, on `shared_node`. gpus: the most GPUs of its own,
    on `gpus_node`. Node None: nothing is left.
    """

    model: str
    shared_mib: int
    shared_node: NodeName | None
    gpus: int
    gpus_node: NodeName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the fleet has left.

    largest: by GPU model. roomiest: the node with the most memory left, and what it has left.
    roomiest_cpu, roomiest_disk: the same for the most CPU, and the most disk.
    room: how many replicas more of each deployment would fit, nothing else changed; MORE_MAX: that
        many or more.
    critical: nodes the fleet could not lose, with the replicas that would find no other place.
    tied: of these, the ones whose volumes are on the node.
    """

    largest: tuple[LargestFit, ...]
    roomiest: tuple[NodeName, Resources] | None
    roomiest_cpu: tuple[NodeName, Resources] | None
    roomiest_disk: tuple[NodeName, Resources] | None
    room: Mapping[DeploymentName, int]
    critical: tuple[tuple[NodeName, tuple[ReplicaName, ...]], ...]
    tied: frozenset[ReplicaName]


def capacity(
    desired: tuple[Desired, ...],
    inventory: tuple[Node, ...],
    previous: tuple[Placement, ...],
    bound: Bound = FREE,
) -> Capacity:
    """Say what still fits, and which single node the fleet could not lose.

    bound: who stays where it is though no node takes it, and has its room.
    """
    draft = drafted(desired, inventory, previous, bound)
    open_ = np.flatnonzero(draft.columns.takes_work).tolist()
    models = sorted({gpu.model for row in open_ for gpu in draft.ground.gpus[row]})
    cpu, memory, disk = (_roomiest(column, open_, draft) for column in range(3))
    choices = Choices(draft)
    critical = [
        (node.name, homeless)
        for row, node in enumerate(draft.ground.nodes)
        if not choices.plenty_without(row)
        and (homeless := _sure(row, _homeless(row, draft), desired, draft))
    ]
    return Capacity(
        largest=tuple(_largest(model, open_, draft) for model in models),
        roomiest=memory,
        roomiest_cpu=cpu,
        roomiest_disk=disk,
        room={name: _room(need, draft) for name, need in sorted(draft.needs.items())},
        critical=tuple(critical),
        tied=frozenset(one.replica for one in draft.placed.values() if one.pinned),
    )


def _roomiest(column: int, rows: list[int], draft: Draft) -> tuple[NodeName, Resources] | None:
    """The node with the most left of CPU, memory or disk, the first of equals."""
    row = max(rows, key=lambda row: (draft.ground.now.free[row, column], -row), default=None)
    return None if row is None else (draft.ground.nodes[row].name, draft.hosted(row).free())


def _room(need: Need, draft: Draft) -> int:
    """How many replicas more of a deployment would fit. Leaves the draft as it was.

    Nobody is pushed out for them, and a gang's members count by themselves.
    """
    if free_to_go(need, draft):
        found = count_fitting(draft.ask(need), draft.ground)
        if found is not None:
            return min(found, MORE_MAX)
    mark, more = draft.mark(), 0
    while more < MORE_MAX:
        replica = replica_name(need.deployment, need.replicas + more)
        place = find_place(replica, need, draft)
        if place is None:
            break
        draft.put(place)
        more += 1
    draft.undo(mark)
    return more


def _largest(model: str, rows: list[int], draft: Draft) -> LargestFit:
    """Look at every open node with this model."""
    shared: tuple[int, NodeName | None] = (0, None)
    whole: tuple[int, NodeName | None] = (0, None)
    for row in rows:
        name, now = draft.ground.nodes[row].name, draft.ground.now
        slots = [slot for slot, gpu in enumerate(draft.ground.gpus[row]) if gpu.model == model]
        most = max((int(now.gpu_free[row, slot]) for slot in slots), default=0)
        count = sum(bool(now.whole[row, slot]) for slot in slots)
        shared = (most, name) if most > shared[0] else shared
        whole = (count, name) if count > whole[0] else whole
    return LargestFit(
        model=model,
        shared_mib=shared[0],
        shared_node=shared[1],
        gpus=whole[0],
        gpus_node=whole[1],
    )


def _sure(
    row: int, homeless: tuple[ReplicaName, ...], desired: tuple[Desired, ...], draft: Draft
) -> tuple[ReplicaName, ...]:
    """Ask the whole plan where a rule of spreading has a say.

    A node that is gone takes the value of its label along, and the others need no longer be even
    with it. The quick look, in which it is only empty, does not know that.
    """
    needs = (draft.needs.get(split_replica(replica)[0]) for replica in homeless)
    if not any(need is not None and need.rules.spread for need in needs):
        return homeless
    gone = draft.ground.nodes[row].name
    nodes = tuple(node for node in draft.ground.nodes if node.name != gone)
    placed = tuple(draft.placed.values())
    after = {one.replica for one in plan(desired, nodes, placed, _without(gone, draft)).placements}
    tied = {one.replica for one in placed if one.node == gone and one.pinned}
    return tuple(sorted({one.replica for one in placed} - after | tied))


def _without(gone: NodeName, draft: Draft) -> Bound:
    """What is bound, but for who is on this node."""
    frozen = {one for one in draft.bound.frozen if draft.placed[one].node != gone}
    return replace(draft.bound, frozen=frozenset(frozen))


def _homeless(row: int, draft: Draft) -> tuple[ReplicaName, ...]:
    """Who would find no other place if this node were lost. Leaves the draft as it was."""
    mark = draft.mark()
    leaving = sorted(
        draft.on_row[row].values(), key=lambda one: (-one.priority, one.deployment, one.replica)
    )
    for one in leaving:
        draft.remove(one)
    homeless = []
    for one in leaving:
        need = draft.needs.get(one.deployment)
        bound = need is None or need.pinned
        place = None if bound or need is None else find_place_without(row, one.replica, need, draft)
        if place is None:
            homeless.append(one.replica)
        else:
            draft.put(place)
    draft.undo(mark)
    return tuple(sorted(homeless))
