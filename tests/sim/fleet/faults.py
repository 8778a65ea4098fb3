"""Everything that goes wrong, one function a fault. Each bites, and is taken back in time.

A fault does its harm and gives what ends it, or None where there is nothing to end. It counts as
fired when it bites: a line that is cut while nobody speaks has shown nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from agent.runtime.port import Container
from fleet.memory import Line, MemoryRepository
from fleet.objects import IDENTITY, Entry, commit_content, read_commit, tree_content, tree_entries
from schemas.heartbeat import dump_heartbeat
from schemas.layout import (
    ASSIGNED_REFS,
    ASSIGNMENTS_REF,
    HEARTBEAT_FILE,
    heartbeat_ref,
    project_name,
)
from schemas.names import CommitId, NodeName, ReplicaName, TreeId
from tests.builders import A_MOMENT
from tests.sim.fleet.actor import Actor
from tests.sim.fleet.documents import IMAGES, SERVICES
from tests.sim.fleet.machine import Machine
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

Ending: TypeAlias = Callable[[], None] | None
SECOND: Final = "r1"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `start` gives None where it cannot happen now."""

    name: str
    start: Callable[[World, random.Random], Ending | bool]


class Saboteur(Actor):
    """Starts a fault now and then, and ends it later.

    only: the names of the faults that may happen; None: the seed chooses among all.
    """

    def __init__(
        self, world: World, rng: random.Random, only: frozenset[str] | None = None
    ) -> None:
        super().__init__("saboteur")
        self.world, self.rng = world, rng
        self.pause = rng.choice((5.0, 15.0, 40.0))
        # Not every run knows every fault: some only show where others are silent.
        self.kinds = [one for one in FAULTS if rng.random() < 0.6] or list(FAULTS)
        if only is not None:
            self.kinds, self.pause = [one for one in FAULTS if one.name in only], 5.0
        self.is_tired = not self.kinds
        self._active: list[Callable[[], None]] = []

    def step(self) -> float:
        if self.is_tired:
            return 1e9
        fault = self.rng.choice(self.kinds)
        ending = fault.start(self.world, self.rng)
        if ending is not False:
            self.world.trace(f"   fault: {fault.name}")
            self.world.tried[fault.name] += 1
        if callable(ending):
            self._active.append(ending)
            self.world.at(self.rng.choice((5.0, 30.0, 120.0, 500.0)), lambda: self._end(ending))
        return self.rng.expovariate(1 / self.pause)

    def died(self) -> float:
        return 1.0

    def heal(self) -> None:
        """End everything and start nothing any more."""
        self.is_tired = True
        for ending in tuple(self._active):
            self._end(ending)

    def _end(self, ending: Callable[[], None]) -> None:
        if ending in self._active:
            self._active.remove(ending)
            ending()


# lines -----------------------------------------------------------------------------------------


def _machine(world: World, rng: random.Random) -> Machine:
    deciders = [one for one in world.deciders.values() if not one.stopped]
    # There are many hosts and few reconcilers, and what the few suffer matters to all.
    machines: list[Machine] = [*(deciders if rng.random() < 0.3 else world.hosts.values())]
    return rng.choice(machines)


def _cut(world: World, rng: random.Random, *directions: str) -> Ending:
    machine = _machine(world, rng)
    for direction in directions:
        setattr(machine.ills, direction, Line.DOWN)

    def mend() -> None:
        machine.ills.fetching = machine.ills.pushing = Line.UP

    return mend


def cut_fetching(world: World, rng: random.Random) -> Ending:
    """Nothing can be fetched; pushes arrive."""
    return _cut(world, rng, "fetching")


def cut_pushing(world: World, rng: random.Random) -> Ending:
    """Nothing can be pushed; fetches work."""
    return _cut(world, rng, "pushing")


def partition(world: World, rng: random.Random) -> Ending:
    """Nothing goes either way."""
    return _cut(world, rng, "fetching", "pushing")


def cut_most_off(world: World, rng: random.Random) -> Ending | bool:
    """Most nodes, or all, cannot push any more, or not even fetch: the fault is in the middle."""
    hosts = list(world.hosts.values())
    if any(host.ills.pushing is Line.DOWN for host in hosts):
        return False
    some = rng.sample(hosts, rng.randint(max(3, -(-len(hosts) * 3 // 5)), len(hosts)))
    directions = rng.choice((("pushing",), ("pushing", "fetching")))
    for host in some:
        for direction in directions:
            setattr(host.ills, direction, Line.DOWN)
    world.fired["most nodes cut off"] += 1

    def mend() -> None:
        for host in some:
            host.ills.fetching = host.ills.pushing = Line.UP

    return mend


def lose_answers(world: World, rng: random.Random) -> Ending:
    """The next pushes arrive, and the answers are lost."""
    _machine(world, rng).ills.lose += rng.randint(1, 3)
    return None


def refuse_pushes(world: World, rng: random.Random) -> Ending:
    """The server refuses somebody's pushes."""
    name = _machine(world, rng).name
    world.server.unwilling.add(name)
    return lambda: world.server.unwilling.discard(name)


def dawdle(world: World, rng: random.Random) -> Ending:
    """A process is slow: at any point others may act before it goes on."""
    machine = _machine(world, rng)
    machine.dawdle, machine.nap = rng.choice((0.02, 0.1, 0.5)), rng.choice((1.0, 15.0, 60.0))

    def hurry() -> None:
        machine.dawdle = 0.0

    return hurry


def corrupt_clone(world: World, rng: random.Random) -> Ending:
    """The clone of a program is damaged."""
    _machine(world, rng).repository.is_damaged = True
    return None


# processes and hosts ---------------------------------------------------------------------------


def kill(world: World, rng: random.Random) -> Ending:
    """A process dies between two of its next effects."""
    _machine(world, rng).kill_in = rng.choice((0, 1, 2, 3, 5, 8, 13, 21))
    return None


def hang(world: World, rng: random.Random) -> Ending:
    """A process stops where it is for minutes, as by SIGSTOP, and goes on as if nothing were."""
    _machine(world, rng).hang = rng.choice((45.0, 120.0, 300.0))
    return None


def hang_agent(world: World, rng: random.Random) -> Ending | bool:
    """An agent stops for so long that its node is given up, and what it started runs on."""
    hosts = list(world.hosts.values())
    # One at a time: they are held up one within the other, and would never come to an end.
    if any(one.hang or one.busy for one in hosts):
        return False
    rng.choice(hosts).hang = rng.choice((240.0, 500.0))
    return None


def lose_host(world: World, rng: random.Random) -> Ending | bool:
    """A host is lost for ever; in the end a new one stands in its place, with nothing on it."""
    host = rng.choice(list(world.hosts.values()))
    if host.gone:
        return False
    host.burn()
    world.fired["host lost for ever"] += 1

    def replace() -> None:
        host.install()
        world.wake(host, 1.0)
        world.timers[host.name].due = None
        world.wake(world.timers[host.name], 1.0)

    return replace


def reboot(world: World, rng: random.Random) -> Ending | bool:
    """A host starts again."""
    host = rng.choice(list(world.hosts.values()))
    if host.gone:
        return False
    host.reboot()
    host.due = None
    world.wake(host, rng.uniform(5.0, 60.0))
    world.fired["reboot"] += 1
    return None


def reboot_reconciler(world: World, rng: random.Random) -> Ending:
    """The reconciler's host starts again."""
    world.deciders["r0"].reboot()
    world.fired["reboot of the reconciler"] += 1
    del rng
    return None


def second_reconciler(world: World, rng: random.Random) -> Ending | bool:
    """Somebody starts a second reconciler."""
    second = world.deciders[SECOND]
    if not second.stopped or second.busy:
        return False
    second.stopped, second.due = False, None
    world.wake(second, rng.uniform(0.0, 15.0))
    world.fired["second reconciler"] += 1

    def stop() -> None:
        second.doomed = second.busy
        second.stopped = True

    return stop


def jump(world: World, rng: random.Random) -> Ending:
    """Somebody's wall clock is set."""
    world.turn_clock(_machine(world, rng).name, rng.choice((-86400.0, -3600.0, 60.0, 3600.0, 1e7)))
    world.fired["clock jump"] += 1
    return None


def fill_disk(world: World, rng: random.Random) -> Ending:
    """The disk under an agent is full."""
    disk = rng.choice(list(world.hosts.values())).disk
    disk.full = True

    def make_room() -> None:
        disk.full = False

    return make_room


def damage_state(world: World, rng: random.Random) -> Ending | bool:
    """An agent dies, and its small files are rubbish when it starts again."""
    host = rng.choice(list(world.hosts.values()))
    if host.busy:
        return False
    host.agent = None
    host.disk.damage()
    world.fired["damaged state"] += 1
    return None


def damage_sightings(world: World, rng: random.Random) -> Ending | bool:
    """A reconciler dies, and what it kept of its sightings is rubbish when it starts again."""
    decider = rng.choice(list(world.deciders.values()))
    if decider.busy or decider.stopped:
        return False
    decider.damage()
    world.fired["damaged sightings"] += 1
    return None


# engines and containers ------------------------------------------------------------------------


def stop_docker(world: World, rng: random.Random) -> Ending:
    """An engine does not answer, and its containers run on."""
    script = rng.choice(list(world.hosts.values())).engine.script
    script.down = "cannot connect to the Docker daemon"

    def start() -> None:
        script.down = ""

    return start


def hang_docker(world: World, rng: random.Random) -> Ending:
    """An engine takes every call and answers none."""
    engine = rng.choice(list(world.hosts.values())).engine
    engine.hangs = True

    def go_on() -> None:
        engine.hangs = False

    return go_on


def lose_registry(world: World, rng: random.Random) -> Ending:
    """Images that are not here cannot be had."""
    engine = rng.choice(list(world.hosts.values())).engine
    engine.script.missing_images = set(IMAGES) - engine.present_images
    return engine.script.missing_images.clear


def fail_starts(world: World, rng: random.Random) -> Ending:
    """A service does not start."""
    engine = rng.choice(list(world.hosts.values())).engine
    service = rng.choice(SERVICES)
    engine.script.failing[service] = "could not select device driver"

    def mend() -> None:
        engine.script.failing.pop(service, None)

    return mend


def fail_removals(world: World, rng: random.Random) -> Ending:
    """Nothing can be removed."""
    engine = rng.choice(list(world.hosts.values())).engine
    engine.stuck = True

    def mend() -> None:
        engine.stuck = False

    return mend


def sicken(world: World, rng: random.Random) -> Ending | bool:
    """The health check of a service fails."""
    host = rng.choice(list(world.hosts.values()))
    host.engine.script.unhealthy.add("web")
    world.tell_of_containers(host)
    world.fired["unhealthy service"] += 1
    return lambda: host.engine.script.unhealthy.discard("web")


def harm_container(world: World, rng: random.Random) -> Ending | bool:
    """A container crashes, is killed, stopped, paused or removed by hand."""
    host = rng.choice(list(world.hosts.values()))
    ours = [one for one in host.engine.everything() if one.state == "running"]
    if not ours:
        return False
    harm, code = rng.choice(
        (("exited", 1), ("exited", 137), ("exited", 0), ("paused", None), ("dead", 255), ("", 0))
    )
    victim = rng.choice(ours)
    if harm:
        host.engine.change(victim.id, harm, code)
    else:
        host.engine.vanish(victim.id)
    world.fired[f"container {harm or 'removed'}"] += 1
    world.tell_of_containers(host)
    return None


def put_stranger(world: World, rng: random.Random) -> Ending | bool:
    """Somebody puts a container of their own into one of our projects."""
    host = rng.choice(list(world.hosts.values()))
    running = sorted(host.running())
    if not running:
        return False
    replica = ReplicaName(rng.choice(running))
    number = f"foreign-{world.steps}"
    world.fired["foreign container"] += 1
    host.engine.put(
        Container(
            id=number,
            project=rng.choice((project_name(host.node, replica), f"other-{number}")),
            replica=replica,
            deployment=replica.rpartition("-")[0],
            service="stranger",
            image="example.org/stranger:1",
            state="running",
            content_hash="none",
        ),
        host.name,
    )
    world.tell_of_containers(host)
    return None


# what machines and people write ----------------------------------------------------------------


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
    """What the reconciler published is restored from a backup."""
    if not world.backups:
        return False
    backup = rng.choice(world.backups)
    refs = {ref for ref in world.server.refs if ref.startswith(ASSIGNED_REFS)}
    for ref in sorted({ASSIGNMENTS_REF, *refs}):
        world.server.put_ref(ref, backup.get(ref), "backup")
    world.fired["state restored from a backup"] += 1
    return None


FAULTS: Final = (
    Fault("cut fetching", cut_fetching),
    Fault("cut pushing", cut_pushing),
    Fault("partition", partition),
    Fault("most cut off", cut_most_off),
    Fault("lost answers", lose_answers),
    Fault("refused pushes", refuse_pushes),
    Fault("slow process", dawdle),
    Fault("slow process", dawdle),
    Fault("corrupt clone", corrupt_clone),
    Fault("kill", kill),
    Fault("kill", kill),
    Fault("hang", hang),
    Fault("agent hangs", hang_agent),
    Fault("host lost", lose_host),
    Fault("reboot", reboot),
    Fault("reboot of the reconciler", reboot_reconciler),
    Fault("second reconciler", second_reconciler),
    Fault("clock jump", jump),
    Fault("disk full", fill_disk),
    Fault("damaged state", damage_state),
    Fault("damaged sightings", damage_sightings),
    Fault("docker down", stop_docker),
    Fault("docker hangs", hang_docker),
    Fault("registry down", lose_registry),
    Fault("registry down", lose_registry),
    Fault("start fails", fail_starts),
    Fault("start fails", fail_starts),
    Fault("removal fails", fail_removals),
    Fault("removal fails", fail_removals),
    Fault("unhealthy", sicken),
    Fault("harmed container", harm_container),
    Fault("harmed container", harm_container),
    Fault("foreign container", put_stranger),
    Fault("malformed heartbeat", bad_heartbeat),
    Fault("malformed commit", malformed_commit),
    Fault("old heartbeat", old_heartbeat),
    Fault("main rewound", rewind_main),
    Fault("state restored", restore_state),
)

# What has to bite at least once in a whole run of seeds; see also `ACTS` of the person.
BITES: Final = (
    "a break looked at closely",
    "clock jump",
    "container dead",
    "container exited",
    "container paused",
    "container removed",
    "corrupt clone",
    "damaged sightings",
    "damaged state",
    "disk full",
    "docker hangs",
    "docker is down",
    "fetch cut",
    "foreign container",
    "held up agent",
    "held up reconciler",
    "host fenced",
    "host lost for ever",
    "hung agent",
    "hung reconciler",
    "killed agent",
    "killed reconciler",
    "lost answer",
    "main rewound",
    "malformed commit",
    "most nodes cut off",
    "malformed heartbeat",
    "old heartbeat",
    "pull fails",
    "push cut",
    "reboot of the reconciler",
    "reboot",
    "refused push",
    "removal fails",
    "second reconciler",
    "slow push",
    "start fails",
    "state restored from a backup",
    "unhealthy service",
)
