"""What machines and people write that nobody should have written."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from fleet.memory import MemoryRepository
from fleet.objects import IDENTITY, Entry, commit_content, read_commit, tree_content, tree_entries
from schemas.heartbeat import dump_heartbeat
from schemas.layout import (
    ASSIGNED_REFS,
    ASSIGNMENTS_REF,
    HEARTBEAT_FILE,
    heartbeat_ref,
)
from schemas.names import CommitId, NodeName, TreeId
from tests.builders import A_MOMENT
from tests.sim.fleet.decider import Decider
from tests.sim.fleet.fault_lines import Ending
from tests.sim.fleet.person import MAIN
from tests.sim.fleet.world import World

# Mode and name of what no client of ours would commit.
ODD_ENTRIES: Final = (
    ("120000", b"link"),
    ("160000", b"module"),
    ("100644", b".."),
    ("100644", b".git"),
    ("100644", b"a/b"),
    ("100644", b"\xff\xfe"),
    ("100664", b"old mode"),
)


def _push_heartbeat(world: World, name: str, content: bytes) -> None:
    """Push as a node's agent would, whatever the server thinks of that agent just now."""
    client = MemoryRepository(world.server)
    tree = client.write(None, {HEARTBEAT_FILE: content})
    made = client.commit(tree, parent=None, message="a heartbeat", at=A_MOMENT)
    world.server.writer = f"impostor of {name}"
    client.push_own(heartbeat_ref(NodeName(name)), made)


def bad_heartbeat(world: World, rng: random.Random) -> Ending:
    """An agent sends what nobody can understand."""
    rubbish = rng.choice((b"", b"{}", b"\xff\x00", b'{"node": 1}', b"[" * 1000, b"null"))
    _push_heartbeat(world, rng.choice(sorted(world.hosts)), rubbish)
    world.fired["malformed heartbeat"] += 1
    return None


def malformed_commit(world: World, rng: random.Random) -> Ending | bool:
    """Somebody commits what Git holds and no file system should: links, odd names, no tree at all.

    It says nothing about what people want, so nothing may follow from it.
    """
    server, ref = world.server, rng.choice((MAIN, *map(heartbeat_ref, map(NodeName, world.hosts))))
    head = server.refs.get(ref)
    if head is None:
        return False
    old = read_commit(CommitId(head), server.objects[head][1])
    entries = tree_entries(server.objects[old.tree][1])
    blob = server.store("blob", b"/etc/passwd")
    odd = Entry(*rng.choice(ODD_ENTRIES), blob)
    tree = TreeId(server.store("tree", tree_content((*entries, odd))))
    parent = CommitId(head) if ref == MAIN else None
    made = server.store("commit", commit_content(tree, parent, "odd", A_MOMENT, IDENTITY))
    server.put_ref(ref, made, "stranger")
    world.fired["malformed commit"] += 1
    return None


def old_heartbeat(world: World, rng: random.Random) -> Ending | bool:
    """An old heartbeat comes again."""
    name = rng.choice(sorted(world.hosts))
    old = world.heard.get(name)
    if not old:
        return False
    text = dump_heartbeat(replace(rng.choice(old), node=NodeName(name)))
    _push_heartbeat(world, name, text.encode())
    world.fired["old heartbeat"] += 1
    return None


def rewind_main(world: World, rng: random.Random) -> Ending | bool:
    """Somebody forces main back to an older commit."""
    del rng
    if not world.person.rewind():
        return False
    world.fired["main rewound"] += 1
    return None


def restore_state(world: World, rng: random.Random) -> Ending | bool:
    """What the reconciler published is restored from a backup.

    Two that decide side by side cannot know of each other's decisions that are lost: as
    docs/operating.md asks, they are stopped meanwhile. Whoever decides alone lives through it.
    """
    side_by_side = _side_by_side(world)
    if not world.backups or any(one.busy for one in side_by_side):
        return False
    for one in side_by_side:
        one.loop = None
    backup = rng.choice(world.backups)
    refs = {ref for ref in world.server.refs if ref.startswith(ASSIGNED_REFS)}
    for ref in sorted({ASSIGNMENTS_REF, *refs}):
        world.server.put_ref(ref, backup.get(ref), "backup")
    world.fired["state restored from a backup"] += 1
    return None


def _side_by_side(world: World) -> list[Decider]:
    """Reconcilers of which each may decide: several run, and do not all know who leads."""
    running = [one for one in world.deciders.values() if not one.stopped]
    is_elected = world.person.wishes.leads and all(one.knows_who_leads for one in running)
    return [] if len(running) < 2 or is_elected else running


def restore_site(world: World, rng: random.Random) -> Ending | bool:
    """A whole site is restored: what was published is older, and agents have forgotten all."""
    for host in world.hosts.values():
        if not host.busy:
            host.agent = None
            host.disk.damage()
            world.wake(host, rng.uniform(0.0, 5.0))
    return restore_state(world, rng)
