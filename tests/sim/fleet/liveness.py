"""What must come true after healing: everything that can run does, and then nothing happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.runtime.port import Container
from fleet.objects import read_commit
from reconciler.rolling.gates import NO_EXTRA
from reconciler.rolling.holding import Because
from schemas.assignment import Phase, Verdict
from schemas.heartbeat import ReplicaState
from schemas.layout import ASSIGNMENTS_REF, NODES, assigned_ref, heartbeat_ref, project_name
from schemas.names import CommitId, ReplicaName, replica_name
from tests.builders import CARDS
from tests.sim.fleet.documents import FINISHING, Version, Wish
from tests.sim.fleet.host import Host
from tests.sim.fleet.ledger import Ledger
from tests.sim.fleet.world import World


def complaints(world: World, ledger: Ledger) -> Iterator[str]:
    """Everything that is not yet as it must be; nothing: the fleet has converged."""
    yield from _heard(world, ledger)
    yield from _as_wished(world, ledger)
    yield from _as_assigned(world, ledger)
    yield from _as_reported(world, ledger)


def _heard(world: World, ledger: Ledger) -> Iterator[str]:
    """L4: the last word on every node is its own."""
    for name, host in world.hosts.items():
        if ledger.spoken.get(heartbeat_ref(host.node)) != name:
            yield f"L4 {name} was not heard since somebody else spoke for it"


def _as_wished(world: World, ledger: Ledger) -> Iterator[str]:
    """L1 and L2: every replica of a sound deployment is placed, or refused with a reason."""
    verdicts = {str(one.name): one for one in ledger.decision.deployments}
    placed = {str(one.name) for each in ledger.assignments.values() for one in each.replicas}
    sound = world.person.wishes.sound()
    for name in sorted({replica.rpartition("-")[0] for replica in placed}):
        is_held = name in verdicts and verdicts[name].verdict is Verdict.HELD
        if name not in world.person.wishes.deployments and not is_held:
            yield f"L1 {name} is assigned and nobody wishes it"
    for name, wish in sound.items():
        verdict = verdicts.get(name)
        if verdict is None:
            yield f"L1 {name} is not decided"
            continue
        reasons = {str(one.replica): one.reasons for one in verdict.refusals}
        for index in range(wish.replicas):
            replica = replica_name(verdict.name, index)
            is_back = verdict.phase is Phase.ROLLED_BACK  # to a version that may have fewer
            if verdict.verdict is Verdict.HELD or is_back or _waits(world, ledger, name):
                # Held by a broken node document, or by what it depends on; what runs stays.
                continue
            if replica not in placed and not reasons.get(replica):
                yield f"L2 {replica} is neither placed nor refused with a reason"
            if replica not in placed and (node := _room(world, ledger, wish)):
                yield f"L1 {replica} is refused and would fit on {node}"


def _waits(world: World, ledger: Ledger, name: str) -> bool:
    """Whether a deployment waits for one that cannot be ready."""
    wishes = world.person.wishes
    after = wishes.deployments[name].after if name in wishes.deployments else ""
    if not after:
        return False
    other = next((one for one in ledger.decision.deployments if one.name == after), None)
    is_placed = other is not None and other.verdict is Verdict.PLACED
    empty = after not in wishes.sound() or wishes.deployments[after].replicas == 0
    return not is_placed or empty or _waits(world, ledger, after)


def _room(world: World, ledger: Ledger, wish: Wish) -> str:
    """The name of a node on which one more replica fits by plain counting; empty: none."""
    for name, host in world.hosts.items():
        node = world.person.wishes.nodes.get(name)
        odd = f"nodes/{name}.yaml" in world.person.wishes.odd
        if node is None or odd or node.duty != "active" or wish.shelf not in {"", node.shelf}:
            continue
        used = ledger.assignments[name].replicas if name in ledger.assignments else ()
        memory = sum(one.resources.memory_mib for one in used)
        if memory + wish.memory_mib <= host.memory_mib and _gpus_fit(host, ledger, wish):
            return name
    return ""


def _gpus_fit(host: Host, ledger: Ledger, wish: Wish) -> bool:
    assignment = ledger.assignments.get(host.name)
    shares = [
        (share, one) for one in (assignment.replicas if assignment else ()) for share in one.gpus
    ]
    free: dict[str, int] = {}
    for card, report in zip(host.cards, host.facts.gpus, strict=True):
        ours = [(share, one) for share, one in shares if share.uuid == report.uuid]
        whole = CARDS[card][1]
        if wish.gpu_mib:
            taken = any(one.sharing == "exclusive" for _, one in ours)
            left = whole - sum(share.memory_mib for share, _ in ours)
            if not taken and left >= wish.gpu_mib:
                free[card] = free.get(card, 0) + 1
        elif not ours:
            free[card] = free.get(card, 0) + 1
    return wish.gpus == 0 or max(free.values(), default=0) >= wish.gpus


def _as_assigned(world: World, ledger: Ledger) -> Iterator[str]:
    """L1: what is assigned runs, whole and in the version that main says now; nothing else does."""
    looks_of = _looks_of(world, ledger)
    for name, host in world.hosts.items():
        assignment = ledger.assignments.get(name)
        replicas = {str(one.name): one for one in (assignment.replicas if assignment else ())}
        running = _there(host)
        for replica in sorted(running.keys() - replicas.keys()):
            yield f"L1 {name} runs {replica}, which is not assigned to it"
        for replica, one in replicas.items():
            looks = {_look(host, container.id) for container in running.get(replica, ())}
            count = 2 if one.template == "web" else 1
            if len(running.get(replica, ())) != count:
                yield f"L1 {name} does not run {replica} whole"
            elif not (len(looks) == 1 and looks <= looks_of.get(one.deployment, looks)):
                yield f"L1 {name} runs {replica} as {looks}, not {looks_of.get(one.deployment)}"


def _looks_of(world: World, ledger: Ledger) -> Mapping[str, set[Version]]:
    """What the replicas of each deployment may look like; those that are held, as they do.

    As main says now; or as it ever said, where that waits for others, did not get ready in time, or
    should start first and has no room for an extra replica.
    """
    person, found = world.person, dict[str, set[Version]]()
    now = person.wishes.versions()
    for one in ledger.decision.deployments:
        name = str(one.name)
        failed = one.phase in {Phase.STALLED, Phase.ROLLED_BACK}
        waits = [hold for hold in one.holds if hold.reason == Because.SURGE]
        failed |= bool(waits) and one.verdict is not Verdict.PLACED
        failed |= any(hold.text == NO_EXTRA for hold in waits)
        # What a drained node keeps because no other takes it stays in the version that it has.
        failed |= any(hold.reason == Because.HOMELESS for hold in one.holds)
        if failed or _waits(world, ledger, name):
            found[name] = person.versions.get(name, set())
        elif one.verdict is not Verdict.HELD:
            found[name] = {now[name]} if name in now else set()
    return found


def _there(host: Host) -> dict[str, list[Container]]:
    """The containers of each replica that run, or that ended well and have no wish to run on."""
    found: dict[str, list[Container]] = {}
    for one in host.engine.everything():
        ended_well = one.state == "exited" and one.exit_code == 0 and one.service in FINISHING
        if one.project == project_name(host.node, ReplicaName(one.replica)) and (
            one.state == "running" or ended_well
        ):
            found.setdefault(one.replica, []).append(one)
    return found


def _look(host: Host, container_id: str) -> Version:
    made = host.engine.description(container_id)
    environment = made.get("environment", {})
    return Version(
        environment.get("MARK", ""), environment.get("TEXT", ""), str(made.get("image", ""))
    )


def _as_reported(world: World, ledger: Ledger) -> Iterator[str]:
    """L4: every agent obeys the newest decision, says so, and every ref is where it belongs."""
    for name, host in world.hosts.items():
        assignment = ledger.assignments.get(name)
        if assignment is None or ledger.tree is None:
            continue
        ref = world.server.refs.get(assigned_ref(assignment.node), "")
        root = read_commit(CommitId(ref), world.server.objects[ref][1]).tree if ref else ""
        if root != ledger.tree.folders.get(f"{NODES}/{name}"):
            yield f"L4 the ref of {name} is not what was decided"
        accepted = host.agent.notebook.accepted if host.agent else None
        if accepted is None or accepted.assignment != assignment:
            yield f"L4 {name} does not obey the newest decision"
        beat = next(reversed(world.heard.get(name, [])), None)
        if beat is None or beat.generation != assignment.generation:
            yield f"L4 {name} does not report generation {assignment.generation} as reached"
        elif any(one.state is not ReplicaState.RUNNING for one in beat.replicas) or beat.problems:
            states = {str(one.name): one.state.value for one in beat.replicas}
            yield f"L4 {name} reports {states} {beat.problems}"


def refs_of_decisions(world: World) -> dict[str, str]:
    """Where the refs stand that a reconciler moves."""
    return {
        ref: value
        for ref, value in world.server.refs.items()
        if ref == ASSIGNMENTS_REF or ref.startswith("refs/miaas/assigned/")
    }
