"""What must hold after every step, be it an effect or a pass.

A new promise is one function and one line in PROMISES.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from fleet.objects import read_commit
from schemas.assignment import AssignedReplica
from schemas.heartbeat import ReplicaState
from schemas.layout import ASSIGNED_REFS, ASSIGNMENTS_REF, LEADER_FILE, LEADER_REF, heartbeat_ref
from schemas.leader import parse_leader
from schemas.names import CommitId, NodeName
from schemas.problem import REPOSITORY
from schemas.resources import Sharing
from tests.builders import CARDS
from tests.sim.fleet.decider import Decider
from tests.sim.fleet.documents import LEASE_SECONDS, Version, Wishes, most_unavailable, node_path
from tests.sim.fleet.host import Host
from tests.sim.fleet.ledger import Ledger, tree_at
from tests.sim.fleet.machine import Machine
from tests.sim.fleet.wire import Move
from tests.sim.fleet.world import World

OUR_MISTAKES: Final = frozenset(
    {"AssertionError", "BrokenPlanError", "BadDocumentError", "EndlessError"}
)

Promise: TypeAlias = Callable[[World, Ledger], Iterator[str]]

# A pull, a removal and a start for each of a dozen commits: more than people make in two minutes.
CALM_SECONDS, CALM_ACTS = 120.0, 60
# A pass a second while something is left to do, and as many again because something happened.
CALM_PASSES = 240
# Commits of main back to one that a slow pass may have been made from.
LATELY = 4
# What the documents of the simulator say, or do not: see `documents.FENCED`, and the defaults.
LOSE_AFTER, FENCED_LOSE_AFTER, LATE, SLACK, ROUNDING = 300.0, 150.0, 90.0, 45.0, 5.0
# Every move off a lost node takes minutes to happen, and the longest life lasts twenty.
MOVES = 6
MASS, MASS_LEAST = 55, 2
REMOVALS, REMOVALS_LEAST = 30, 3


def nothing_promised_twice(world: World, ledger: Ledger) -> Iterator[str]:
    """S2: no GPU, memory, port or replica is promised twice."""
    if not ledger.published:
        return
    counts = Counter(one.name for each in ledger.assignments.values() for one in each.replicas)
    yield from (f"{name} is on {count} nodes" for name, count in counts.items() if count > 1)
    for name, assignment in ledger.assignments.items():
        yield from _overfull(world, name, assignment.replicas)


def _overfull(world: World, name: str, replicas: tuple[AssignedReplica, ...]) -> Iterator[str]:
    host = world.hosts[name]
    memory = sum(one.resources.memory_mib for one in replicas)
    if memory > host.memory_mib:
        yield f"{name} has {host.memory_mib} MiB, {memory} are promised"
    yield from _shared_ports(name, replicas)
    yield from _shared_gpus(world, name, replicas)


def _shared_ports(name: str, replicas: tuple[AssignedReplica, ...]) -> Iterator[str]:
    ports = Counter(port for one in replicas for port in one.ports.values())
    yield from (f"port {p} of {name} is given {c} times" for p, c in ports.items() if c > 1)


def _shared_gpus(world: World, name: str, replicas: tuple[AssignedReplica, ...]) -> Iterator[str]:
    sizes = {
        report.uuid: CARDS[card][1]
        for card, report in zip(world.hosts[name].cards, world.hosts[name].facts.gpus, strict=True)
    }
    holders: dict[str, list[AssignedReplica]] = defaultdict(list)
    used: Counter[str] = Counter()
    for one in replicas:
        for share in one.gpus:
            holders[share.uuid].append(one)
            used[share.uuid] += share.memory_mib
    for uuid, ours in holders.items():
        names = ", ".join(one.name for one in ours)
        if len(ours) > 1 and any(one.sharing is Sharing.EXCLUSIVE for one in ours):
            yield f"GPU {uuid} of {name} is given whole, and to {names}"
        if used[uuid] > sizes.get(uuid, 0):  # type: ignore[call-overload]
            yield f"GPU {uuid} of {name} has {sizes} MiB, {used[uuid]} are given to {names}"


def nothing_runs_twice_over(world: World, ledger: Ledger) -> Iterator[str]:
    """S2: what runs on a host never shares a whole GPU or a port with what is still to go."""
    for name in sorted({name for name, _ in ledger.starts}):
        running = _running(world, ledger, name)
        yield from (f"running: {what}" for what in _shared_ports(name, running))
        yield from (f"running: {what}" for what in _shared_gpus(world, name, running))


def _running(world: World, ledger: Ledger, name: str) -> tuple[AssignedReplica, ...]:
    """What the replicas that run on a host were promised, each once."""
    found: dict[str, AssignedReplica] = {}
    host = world.hosts[name]
    for replica, containers in host.running().items():
        for one in containers:
            tree = host.engine.right.get(one.id) or ledger.trees.get((name, one.id), "")
            grant = ledger.granted.get((name, replica, tree))
            if grant is not None:
                found[replica] = grant
    return tuple(found[replica] for replica in sorted(found))


def nobody_runs_twice(world: World, ledger: Ledger) -> Iterator[str]:
    """S1: a fenced replica runs on one host at most, at any true time."""
    risen = {(name, one.container.replica) for name, one in ledger.starts} | ledger.risen
    for name, replica in sorted(risen):
        on = [
            other
            for other, host in sorted(world.hosts.items())
            for one in host.running().get(replica, ())
            if _is_fenced(ledger, other, replica, one.id)
        ]
        if name in on and len(set(on)) > 1:
            yield f"{replica} rises on {name} and runs on {sorted({*on} - {name})}"


def _is_fenced(ledger: Ledger, host: str, replica: str, container: str) -> bool:
    """Whether a container was started under a grant, and not before the replica was fenced."""
    grant = ledger.granted.get((host, replica, ledger.trees.get((host, container), "")))
    return grant is not None and grant.fence is not None


def mass_loss_moves_nothing(world: World, ledger: Ledger) -> Iterator[str]:
    """S7: where so many nodes are silent that the fault is probably ours, none is evacuated."""
    known = ledger.heard_at.keys() & ledger.nodes
    for replica, old, new in _moves(ledger):
        span = FENCED_LOSE_AFTER if _wish_is_fenced(ledger, replica) else LOSE_AFTER
        is_lost = old in known and ledger.silence(world, old) >= span + SLACK
        late = {name for name in known if ledger.silence(world, name) >= LATE + SLACK}
        many = len(late) > MASS_LEAST and len(late) * 100 >= MASS * len(known)
        if is_lost and (many or len(late) == len(known)):
            yield f"{replica} leaves {old} for {new}: {len(late)} of {len(known)} are silent"


def _wish_is_fenced(ledger: Ledger, replica: str) -> bool:
    wish = ledger.source and ledger.source.wishes.deployments.get(replica.rpartition("-")[0])
    return bool(wish and wish.fenced)


def moves_are_few(world: World, ledger: Ledger) -> Iterator[str]:
    """S8: replicas move seldom, off nodes that were watched for long enough, and not to and fro."""
    for replica, old, new in _moves(ledger):
        if (count := ledger.moved.count(replica, world.now)) > MOVES:
            yield f"{replica} moves {count} times in an hour"
        if ledger.decided_by is not None and ledger.silence(world, old) > LATE:
            watched = world.now - ledger.watch_of(ledger.decided_by).since
            if watched < FENCED_LOSE_AFTER - ROUNDING:
                yield f"{replica} leaves {old} for {new}, which was watched for {watched:.0f} s"
    yield from _given_too_early(world, ledger)


def _given_too_early(world: World, ledger: Ledger) -> Iterator[str]:
    """S8: a node that was lost and came back gets nothing new for a while."""
    if ledger.decided_by is None:
        return
    for node, at in ledger.watch_of(ledger.decided_by).back.items():
        before = ledger.before.get(node)
        had = {one.name for one in before.replicas} if before else set()
        now = ledger.assignments.get(node)
        fresh = [one.name for one in (now.replicas if now else ()) if one.name not in had]
        if fresh and world.now - at < LATE - ROUNDING:
            yield f"{node} is back for {world.now - at:.0f} s and gets {fresh}"


def _moves(ledger: Ledger) -> Iterator[tuple[str, str, str]]:
    """Replicas that the newest decision moves although people changed nothing about them."""
    if ledger.decided_by is None or ledger.source is None or ledger.source_before is None:
        return
    was, now = ledger.source_before.wishes, ledger.source.wishes
    if (was.suspend, was.nodes, was.odd) != (now.suspend, now.nodes, now.odd):
        return
    homes = {r.name: (name, r) for name, each in ledger.before.items() for r in each.replicas}
    for name, assignment in ledger.assignments.items():
        for one in assignment.replicas:
            old, before = homes.get(one.name, (name, one))
            is_same = was.deployments.get(one.deployment) == now.deployments.get(one.deployment)
            # What people changed may have had to wait, and only now be too large for where it is.
            is_same = is_same and before.resources == one.resources
            if old != name and is_same and _suits(now, one.deployment, old):
                yield str(one.name), old, name


def _suits(wishes: Wishes, deployment: str, node: str) -> bool:
    """Whether people let a deployment stay on a node: a move that they want may have to wait."""
    wish, place = wishes.deployments.get(deployment), wishes.nodes.get(node)
    if wish is None or place is None:
        return True
    return place.duty != "draining" and wish.shelf in {"", place.shelf}


def a_commit_removes_few(_world: World, ledger: Ledger) -> Iterator[str]:
    """S13: no commit stops more than the guard allows, unless it says that this is meant.

    Of what it still wants, too, but for what is on its way from one node to another, as is fenced.
    """
    if ledger.decided_by is None or ledger.source is None or ledger.source.removes:
        return
    ran = {one.deployment for each in ledger.before.values() for one in each.replicas}
    runs = {one.deployment for each in ledger.assignments.values() for one in each.replicas}
    wishes = ledger.source.wishes.deployments
    gone = {
        one
        for one in ran - runs
        if one not in wishes or wishes[one].replicas == 0 or not wishes[one].fenced
    }
    if len(gone) > max(REMOVALS_LEAST, len(ran) * REMOVALS // 100):
        yield f"{sorted(gone)} of {len(ran)} deployments are gone at once"


def changes_are_gated(world: World, ledger: Ledger) -> Iterator[str]:
    """S16: of the replicas that serve, no decision changes or moves more than `maxUnavailable`.

    But for those whose node is no longer admitted: nothing but a place has to wait for these.
    """
    if ledger.decided_by is None or ledger.source is None:
        return
    wishes = ledger.source.wishes
    changed = defaultdict(list)
    for replica, (node, files) in ledger.homes_before.items():
        there = node in wishes.nodes and node_path(node) not in wishes.odd
        is_same = ledger.homes.get(replica, (node, files)) == (node, files)
        if there and not is_same and _serves(world, ledger, replica):
            changed[replica.rpartition("-")[0]].append(replica)
    for name, replicas in changed.items():
        wish = wishes.deployments.get(name)
        few = wish is None or len(replicas) <= most_unavailable(wish)
        if not few:
            yield f"{', '.join(replicas)} change at once"


def who_depends_starts_later(world: World, ledger: Ledger) -> Iterator[str]:
    """S17: what nobody ran before starts where all that it depends on was told as running of late.

    A fenced one may be on its way from one node to another, and then ran before.
    """
    if ledger.decided_by is None or ledger.source is None:
        return
    wishes = ledger.source.wishes
    for replica in sorted(ledger.homes.keys() - ledger.homes_before.keys()):
        wish = wishes.deployments.get(replica.rpartition("-")[0])
        other = wishes.deployments.get(wish.after) if wish else None
        if wish is None or other is None or wish.fenced:
            continue
        names = [f"{wish.after}-{index}" for index in range(other.replicas)]
        missing = [name for name in names if not _was_told(world, ledger, name)]
        if missing or not names:
            yield f"{replica} starts before {', '.join(missing) or wish.after}"


def _was_told(world: World, ledger: Ledger, replica: str) -> bool:
    """Whether any of the last words of its node tells a replica as running."""
    node, _ = ledger.homes_before.get(replica, ("", ""))
    beats = world.heard.get(node, [])[-3:]
    found = (one for beat in beats for one in beat.replicas if one.name == replica)
    return any(one.state is ReplicaState.RUNNING for one in found)


def _serves(world: World, ledger: Ledger, replica: str) -> bool:
    """Whether its node told twice of late, itself, that it runs from what was published."""
    node, files = ledger.homes_before[replica]
    if ledger.spoken.get(heartbeat_ref(NodeName(node))) != node:
        return False
    beats = world.heard.get(node, [])[-2:]
    told = [
        (one.state, one.observed) for beat in beats for one in beat.replicas if one.name == replica
    ]
    return told == [(ReplicaState.RUNNING, files)] * 2 and ledger.silence(world, node) < LATE


def only_assigned_is_started(_world: World, ledger: Ledger) -> Iterator[str]:
    """S3: a container is started only from files that its node was told to run."""
    for name, start in ledger.starts:
        if (name, start.container.replica, start.tree) not in ledger.granted:
            yield f"{name} started {start.container.replica} from {start.tree}, never assigned"


def nothing_goes_back(world: World, ledger: Ledger) -> Iterator[str]:
    """S4: generation and accepted commit never go back; nobody reports what was never told."""
    if isinstance(world.acted, Host):
        yield from _obeys_backwards(world, world.acted, ledger)
    for beat in ledger.beats:
        if beat.generation > ledger.newest.get(beat.node, 0):
            yield f"{beat.node} reports generation {beat.generation}, which was never published"


def _obeys_backwards(world: World, host: Host, ledger: Ledger) -> Iterator[str]:
    accepted = host.agent.notebook.accepted if host.agent else None
    if accepted is None:
        return
    now = (accepted.assignment.generation, str(accepted.commit))
    # Whoever lost the memory of what was obeyed believes the remote again.
    life = (host.name, host.disk.damages)
    before = ledger.accepted.get(life, (0, ""))
    if now == before:
        return
    ledger.accepted[life] = now
    if now[0] < before[0]:
        yield f"{host.name} obeyed generation {before[0]}, and now {now[0]}"
    if now[0] == before[0] and before[1] and not _descends(world, now[1], before[1]):
        yield f"{host.name} obeys {now[1]}, which does not follow {before[1]}"


def _descends(world: World, newer: str, older: str) -> bool:
    waiting = [newer]
    while waiting:
        one = waiting.pop()
        if one == older:
            return True
        waiting += read_commit(CommitId(one), world.server.objects[one][1]).parents
    return False


def history_is_linear(world: World, ledger: Ledger) -> Iterator[str]:
    """S5: every decision follows the one before, and so does every node's part of it."""
    for move in ledger.moves:
        # Two reconcilers that decide the same at the same moment make the same commit: no move.
        if move.writer not in world.deciders or move.old == move.new or move.ref == LEADER_REF:
            continue
        if move.new is None:
            yield f"{move.writer} removed {move.ref}"
            continue
        parents = read_commit(CommitId(move.new), world.server.objects[move.new][1]).parents
        if parents != ((move.old,) if move.old else ()):
            yield f"{move.ref} went from {move.old} to {move.new}, whose parents are {parents}"


def everything_was_wished(world: World, ledger: Ledger) -> Iterator[str]:
    """S6: what is started looks as some commit of main says, every service of it."""
    for name, start in ledger.starts:
        environment = start.made_from.get("environment", {})
        look = Version(
            environment.get("MARK", ""), environment.get("TEXT", ""), start.container.image
        )
        deployment = start.container.deployment
        if look not in world.person.versions.get(deployment, ()):
            yield f"{name} runs {start.container.replica} as {look}, which nobody wrote"


def no_secret_is_told(world: World, _ledger: Ledger) -> Iterator[str]:
    """S9: no object that anybody pushed holds what services know and print."""
    fresh, world.server.fresh = world.server.fresh, []
    for kind, content in fresh:
        if world.secret.encode() in content:
            yield f"a {kind} holds a password: {content[:200]!r}"


def who_leads_decides(world: World, ledger: Ledger) -> Iterator[str]:
    """S15: where one leads, nobody else publishes, and nobody takes over within a lease."""
    led = [move for move in ledger.moves if move.ref == LEADER_REF]
    if ledger.decided_by is not None and ledger.source is not None:
        wishes = ledger.source.wishes
        # Before the first lease nobody knows of an election that a rewound main does not ask for.
        rewound = any(one.place == REPOSITORY for one in ledger.decision.problems)
        unknown = rewound and not ledger.led_by
        if wishes.leads and "fleet.yaml" not in wishes.odd and not led and not unknown:
            yield f"{ledger.decided_by.name} published without the lease"
    for move in led:
        quiet, is_free = world.now - ledger.led_at, _is_free(world, move)
        is_over = is_free and _was_ended(world)
        others = move.writer not in {ledger.led_by, ""} and not is_over
        if others and ledger.led_by and quiet < LEASE_SECONDS:
            yield f"{move.writer} took over after {quiet:.0f} s from {ledger.led_by}"
        ledger.led_at, ledger.led_by = world.now, "" if is_free else move.writer


def _is_free(world: World, move: Move) -> bool:
    """Whether a lease is nobody's, so that anybody may take it at once."""
    tree = tree_at(world.server, str(move.new))
    content = world.server.objects[tree.files[LEADER_FILE].blob][1]
    return parse_leader(content.decode(), path=LEADER_FILE).released


def _was_ended(world: World) -> bool:
    """Whether main lately asked for no leader: whoever sees that frees the last lease."""
    return any(not one.wishes.leads for one in world.person.history[-LATELY:])


def everybody_writes_their_own(world: World, ledger: Ledger) -> Iterator[str]:
    """S10: an agent moves only its own ref, a reconciler only those of decisions."""
    for move in ledger.moves:
        if move.writer in world.hosts and move.ref != heartbeat_ref(NodeName(move.writer)):
            yield f"{move.writer} moved {move.ref}"
        ours = move.ref in {ASSIGNMENTS_REF, LEADER_REF} or move.ref.startswith(ASSIGNED_REFS)
        if move.writer in world.deciders and not ours:
            yield f"{move.writer} moved {move.ref}"


def nobody_hammers(world: World, ledger: Ledger) -> Iterator[str]:
    """S14: no replica is acted upon in a tight loop, and no pass made in one, whatever fails."""
    del ledger
    one = world.acted
    if isinstance(one, Machine):
        yield from _too_many(world, f"{one.name} makes {{}} passes", one.passes, CALM_PASSES)
    for project, times in one.engine.acts.items() if isinstance(one, Host) else ():
        yield from _too_many(world, f"{one.name} acts {{}} times on {project}", times, CALM_ACTS)


def _too_many(world: World, what: str, times: deque[float], most: int) -> Iterator[str]:
    while times and times[0] < world.now - CALM_SECONDS:
        times.popleft()
    if len(times) > most:
        yield f"{what.format(len(times))} in {CALM_SECONDS:.0f} s"
        times.clear()


def no_pass_breaks_a_promise(world: World, _ledger: Ledger) -> Iterator[str]:
    """S12: no pass of a reconciler ends in our own mistake, or in what it wrote itself."""
    one = world.acted
    kind = one.complaint.partition(":")[0] if isinstance(one, Decider) else ""
    if isinstance(one, Decider) and kind in OUR_MISTAKES:
        yield f"{one.name}: {one.complaint}"


PROMISES: Final[tuple[tuple[str, Promise], ...]] = (
    ("S1", nobody_runs_twice),
    ("S2", nothing_promised_twice),
    ("S2", nothing_runs_twice_over),
    ("S3", only_assigned_is_started),
    ("S4", nothing_goes_back),
    ("S5", history_is_linear),
    ("S6", everything_was_wished),
    ("S7", mass_loss_moves_nothing),
    ("S8", moves_are_few),
    ("S13", a_commit_removes_few),
    ("S16", changes_are_gated),
    ("S17", who_depends_starts_later),
    ("S9", no_secret_is_told),
    ("S10", everybody_writes_their_own),
    ("S15", who_leads_decides),
    ("S14", nobody_hammers),
    ("S12", no_pass_breaks_a_promise),
)


def watch(world: World, ledger: Ledger) -> None:
    """Hold every promise against the world from now on, whatever happens."""

    def look(world: World) -> None:
        ledger.look(world)
        _count_overlaps(world, ledger)
        for name, promise in PROMISES:
            for what in promise(world, ledger):
                world.breach(name, what)

    world.looks.append(look)


def _count_overlaps(world: World, ledger: Ledger) -> None:
    """A replica that starts while it still runs elsewhere; of one that is fenced, S1 speaks."""
    for name, replica in {(name, one.container.replica) for name, one in ledger.starts}:
        if any(replica in o.running() for other, o in world.hosts.items() if other != name):
            ledger.overlaps += 1
