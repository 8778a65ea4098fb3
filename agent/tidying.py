"""What is needed no longer goes, and what may be needed again stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.desk import Desk
from agent.memory import Memory
from agent.orders import Orders
from agent.reading import Listing
from agent.speaker import News
from schemas.heartbeat import ReplicaState
from schemas.names import ReplicaName, TreeId

# What is tried beside replicas, and remembered under a name of its own.
TRIED_ANYWAY = frozenset({"git", "push", "docker"})


def tidy(desk: Desk, containers: Listing) -> bool:
    """Forget and remove what is needed no longer. What is on its way keeps all it has.

    Returns whether it could be done: not before it is known what runs.
    """
    if containers is None or desk.notebook.accepted is None:
        return False
    orders = desk.orders()
    reached, trees = orders.reached(containers), orders.trees()
    needed = frozenset({*trees, *orders.memory.present})
    there = frozenset(one.replica for one in containers)
    desk.notebook.memory = memory = _forgotten(orders, reached, needed, there)
    held = {name for name in memory.held if trees.get(name) != orders.assigned().get(name)}
    used = {
        name: {trees[name]: memory.prepared[name].stored, **_good_files(memory, name)}
        for name in reached
        if name not in held
    }
    desk.tools.files.keep_only(used, untouched=needed - set(used))
    return True


def note_good(desk: Desk, news: News) -> bool:
    """Remember the files of what runs well: a newer version may have to give way to them.

    Returns whether there is something new to remember.
    """
    memory = desk.notebook.memory
    running = {one.name: one.observed for one in news.replicas if one.state is ReplicaState.RUNNING}
    found = {
        name: prepared
        for name, prepared in memory.prepared.items()
        if running.get(name) == prepared.tree and memory.good.get(name) != prepared
    }
    if found:
        desk.notebook.memory = replace(memory, good={**memory.good, **found})
    return bool(found)


def _forgotten(
    orders: Orders,
    reached: Mapping[ReplicaName, TreeId],
    needed: frozenset[ReplicaName],
    there: frozenset[str],
) -> Memory:
    """Memory without what nobody needs. A version that is held back is, until it is reached.

    So is what became of tries at volumes and containers that are still to go, also of replicas
    that nobody remembers: or they would be tried in each pass, before all others.

    there: replicas that have containers.
    """
    memory, assigned = orders.memory, orders.assigned()
    removable = orders.accepted.removable if orders.accepted else frozenset()
    renewed = {name for name, tree in reached.items() if tree == assigned.get(name)}
    return replace(
        memory,
        prepared={name: one for name, one in memory.prepared.items() if name in needed},
        good={name: one for name, one in memory.good.items() if name in needed},
        held={
            name: one
            for name, one in memory.held.items()
            if one.tree == assigned.get(name) and name not in renewed
        },
        tries={
            name: one
            for name, one in memory.tries.items()
            if name in needed | removable or name in there or name in TRIED_ANYWAY
        },
    )


def _good_files(memory: Memory, replica: ReplicaName) -> Mapping[TreeId, tuple[str, ...]]:
    """The last good version of a replica, whose files stay until a newer one is good."""
    good = memory.good.get(replica)
    return {TreeId(good.tree): good.stored} if good else {}
