"""What was ever published, started and heard in a world: what the promises are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet import trees
from fleet.objects import Entry, read_commit, tree_entries
from fleet.port import Tree
from reconciler.observing.documents import read_assignment, read_decision, read_heartbeat
from reconciler.observing.trailers import source_of
from schemas.assignment import AssignedReplica, Assignment, Decision
from schemas.heartbeat import Heartbeat
from schemas.layout import (
    ASSIGNMENT_FILE,
    ASSIGNMENTS_REF,
    DECISION_FILE,
    HEARTBEAT_FILE,
    NODE_REFS,
    NODES,
)
from schemas.names import CommitId, TreeId
from tests.sim.fleet.decider import Decider
from tests.sim.fleet.engine import Start
from tests.sim.fleet.person import Written
from tests.sim.fleet.watching import Moves, Watch
from tests.sim.fleet.wire import Move, Server
from tests.sim.fleet.world import World

# What may be brought back later; older ones are forgotten.
KEPT = 8
# Silence after which a node counts as gone at the default timings.
LOST = 300.0
# The steady clock of a reconciler counts from other moments than ours do.
SLACK = 5.0


@dataclass(slots=True)
class Ledger:
    """Kept from step to step.

    assignments, decision, tree: as last published. granted: what every replica was ever promised,
    by node, replica and tree. newest: the highest generation that each node was ever told.
    accepted: generation and commit that each agent obeyed last, by node and loss of memory.
    trees: which files each container on a host was made from, by host and id.
    spoken: who moved each node's heartbeat last.
    moves, starts, beats: what happened since the last step. risen: replicas, with their hosts, that
    engines started by themselves in it.
    before: what every node was told by the decision before the newest. homes, homes_before: the
    node and the files of every replica, by both. source, source_before: the commits of main that
    both came from. heard_at: when somebody last spoke for each node.
    readable: nodes of which the last heartbeat can be understood.
    decided_by: who published in this step; None: nobody, or somebody who restored a backup.
    led_at, led_by: when the leader's ref last moved, and who moved it; empty: nobody yet.
    watches: what each reconciler saw, by its name and losses of memory.
    """

    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    decision: Decision = field(default_factory=Decision)
    tree: Tree | None = None
    granted: dict[tuple[str, str, str], AssignedReplica] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    accepted: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    trees: dict[tuple[str, str], str] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    starts: list[tuple[str, Start]] = field(default_factory=list)
    beats: list[Heartbeat] = field(default_factory=list)
    spoken: dict[str, str] = field(default_factory=dict)
    before: Mapping[str, Assignment] = field(default_factory=dict)
    homes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    homes_before: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    source: Written | None = None
    source_before: Written | None = None
    heard_at: dict[str, float] = field(default_factory=dict)
    readable: set[str] = field(default_factory=set)
    watches: dict[tuple[str, int], Watch] = field(default_factory=dict)
    moved: Moves = field(default_factory=Moves)
    risen: set[tuple[str, str]] = field(default_factory=set)
    published: bool = False
    decided_by: Decider | None = None
    overlaps: int = 0
    led_at: float = 0.0
    led_by: str = ""

    def look(self, world: World) -> None:
        """Write down what the last step did."""
        self.moves, self.beats, self.starts, self.published = world.moves, [], [], False
        self.decided_by = None
        for move in self.moves:
            if move.new is None:
                continue
            if move.ref == ASSIGNMENTS_REF:
                self._note_decision(world, move.new)
                self.decided_by = world.deciders.get(move.writer)
            elif move.ref.startswith(NODE_REFS):
                self._note_heartbeat(world, move)
        looking = world.acted if isinstance(world.acted, Decider) else self.decided_by
        if looking is not None and looking.is_content:
            self._note_watch(world, looking)
        self.risen = set()
        for host in world.hosts.values():
            if host.engine.risen:
                self.risen |= {(host.name, one) for one in host.engine.risen}
                host.engine.risen = set()
            if host.engine.starts:
                self.starts += [(host.name, one) for one in host.engine.starts]
                host.engine.starts = []
        self.trees.update(((name, one.container.id), one.tree) for name, one in self.starts)

    def _note_watch(self, world: World, looking: Decider) -> None:
        watch = self.watch_of(looking)
        watch.start(looking.starts, world.now)
        watch.look(world.now, self.readable, LOST + SLACK)

    def watch_of(self, decider: Decider) -> Watch:
        """What a reconciler saw since it last lost its memory."""
        return self.watches.setdefault((decider.name, decider.memories), Watch())

    @property
    def nodes(self) -> frozenset[str]:
        """The nodes that people admitted when the newest decision was made."""
        return frozenset(self.source.wishes.nodes) if self.source else frozenset()

    def silence(self, world: World, node: str) -> float:
        """For how many seconds nobody spoke for a node."""
        return world.now - self.heard_at.get(node, world.now)

    def _note_decision(self, world: World, commit: str) -> None:
        self.published = True
        self.tree = tree = tree_at(world.server, commit)
        found = {}
        for path, file in tree.files.items():
            content = world.server.objects[file.blob][1]
            if path.endswith(f"/{ASSIGNMENT_FILE}"):
                assignment = read_assignment(content, path)
                assert isinstance(assignment, Assignment), "the reconciler publishes what is valid"
                found[str(assignment.node)] = assignment
            elif path == DECISION_FILE:
                decision = read_decision(content, path)
                assert isinstance(decision, Decision), "the reconciler publishes what is valid"
                self.decision = decision
        self.before, self.assignments = self.assignments, found
        self.source_before, self.source = self.source, _source(world, commit)
        self.homes_before = self.homes
        self.homes = {
            str(one.name): (name, str(tree.folders[f"{NODES}/{name}/{one.name}"]))
            for name, each in found.items()
            for one in each.replicas
        }
        for name, assignment in found.items():
            self.newest[name] = max(self.newest.get(name, 0), assignment.generation)
            for one in assignment.replicas:
                self.granted[name, one.name, tree.folders[f"{NODES}/{name}/{one.name}"]] = one
        world.backups = [*world.backups, dict(world.server.refs)][-KEPT:]

    def _note_heartbeat(self, world: World, move: Move) -> None:
        assert move.new is not None
        node = move.ref.removeprefix(NODE_REFS)
        self.spoken[move.ref], self.heard_at[node] = move.writer, world.now
        self._read_heartbeat(world, move.ref, node, move.new)
        for watch in self.watches.values():
            if node in self.readable or node in watch.seen:
                watch.hear(node, world.now)

    def _read_heartbeat(self, world: World, ref: str, node: str, commit: str) -> None:
        self.readable -= {node}
        root = read_commit(CommitId(commit), world.server.objects[commit][1]).tree
        blobs = {one.name: one.id for one in tree_entries(world.server.objects[root][1])}
        blob = blobs.get(HEARTBEAT_FILE.encode())
        if blob is None:
            return
        beat = read_heartbeat(world.server.objects[blob][1], f"{ref}/{HEARTBEAT_FILE}")
        if isinstance(beat, Heartbeat):
            self.beats.append(beat)
            self.readable |= {node}
            world.heard[beat.node] = [*world.heard.get(beat.node, []), beat][-KEPT:]


def _source(world: World, decision: str) -> Written | None:
    """The commit of main that a decision came from, or the last one that people wrote below it."""
    message = read_commit(CommitId(decision), world.server.objects[decision][1]).message
    at = source_of(message)
    known = {str(one.commit): one for one in world.person.history}
    while at is not None and at not in known:
        parents = read_commit(at, world.server.objects[at][1]).parents
        at = parents[0] if parents else None
    return known[at] if at is not None else None


def tree_at(server: Server, commit: str) -> Tree:
    """The tree of a commit, as the server has it."""

    def load(tree: str) -> tuple[Entry, ...]:
        return tree_entries(server.objects[tree][1])

    root = read_commit(CommitId(commit), server.objects[commit][1]).tree
    return trees.list_tree(
        TreeId(root), load, lambda blobs: {blob: len(server.objects[blob][1]) for blob in blobs}
    )
