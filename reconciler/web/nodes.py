"""What each node is, what it has to give, what it was given, and how it fares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from reconciler.conditions.nodes import Host, is_drained, node_conditions
from reconciler.observing.bounds import LEAP
from reconciler.observing.duties import UNKNOWN
from reconciler.observing.inventory import clearing
from reconciler.observing.node import Freshness, Node
from reconciler.web.deployments import held_by, problem_view
from reconciler.web.facts import Index
from reconciler.web.replicas import amounts
from reconciler.web.views import (
    AmountsView,
    DeploymentView,
    GpuView,
    NodeMark,
    NodeState,
    NodeView,
    ProblemView,
    ReplicaView,
    Sync,
    SyncMark,
)
from reconciler.web.words import count, exactly
from schemas.assignment import Assignment
from schemas.heartbeat import GpuReport, Heartbeat
from schemas.names import NodeName
from schemas.node import Duty, NodeRecord
from schemas.resources import Taint


def node_views(index: Index, deployments: tuple[DeploymentView, ...]) -> tuple[NodeView, ...]:
    """Show every node that has a record, that has a heartbeat, or that has something to run.

    Who was told to run nothing once its record was gone, and has no heartbeat, is gone for good.
    """
    observed = index.facts.observed
    records = {record.name: record for record in observed.records}
    given = {name for name, each in observed.assignments.items() if each.replicas}
    names = {*records, *index.heartbeats, *observed.unreadable, *given}
    here = _by_node(deployments)
    return tuple(
        _view(index, name, records.get(name), here.get(name, ())) for name in sorted(names)
    )


def _by_node(deployments: Iterable[DeploymentView]) -> Mapping[str, tuple[ReplicaView, ...]]:
    found: dict[str, list[ReplicaView]] = {}
    for deployment in deployments:
        for replica in deployment.replicas:
            found.setdefault(replica.node, []).append(replica)
    return {name: tuple(replicas) for name, replicas in found.items()}


def _view(
    index: Index, name: NodeName, record: NodeRecord | None, replicas: tuple[ReplicaView, ...]
) -> NodeView:
    beat = index.heartbeats.get(name)
    judged = index.nodes.get(name)
    host = beat.host if beat else None
    word = _word(index, name, record, judged)
    assignment = index.facts.observed.assignments.get(name)
    return NodeView(
        name=name,
        mark=_mark(index, name, record, judged),
        duty=record.duty if record else Duty.ACTIVE,
        duty_text=_duty(word),
        suspended=record.suspend if record else False,
        drained=word is not None and is_drained(word),
        held_down_until=_held_until(index, judged),
        conditions=node_conditions(word) if word else (),
        seen_at=index.facts.seen.get(name),
        sync=_sync(assignment, beat, judged),
        generation=assignment.generation if assignment else 0,
        observed_generation=beat.generation if beat else 0,
        agent=beat.agent if beat else "",
        os=host.os if host else "",
        architecture=host.architecture if host else "",
        kernel=host.kernel if host else "",
        docker=beat.runtime.docker if beat else "",
        compose=beat.runtime.compose if beat else "",
        addresses=host.addresses if host else (),
        labels=_labels(judged, record),
        taints=tuple(map(_taint, record.taints)) if record else (),
        room=amounts(judged.room) if judged else AmountsView(),
        promised=_promised(replicas),
        gpus=tuple(_gpu(gpu, replicas) for gpu in beat.gpus) if beat else (),
        replicas=replicas,
        problems=_problems(index, name),
        to_mend=_to_mend(index, name),
    )


def _to_mend(index: Index, name: NodeName) -> tuple[ProblemView, ...]:
    """What is wrong with its document, and which deployments that holds."""
    broken = sorted(index.facts.observed.broken_nodes.get(name, ()))
    holders = held_by(index.facts.held) if broken else {}
    return tuple(problem_view(one, holders.get(one, ())) for one in broken)


def _word(
    index: Index, name: NodeName, record: NodeRecord | None, judged: Node | None
) -> Host | None:
    """What conditions are made of; None: nobody admitted it."""
    if judged is None or record is None:
        return None
    assignment, beat = index.facts.observed.assignments.get(name), index.heartbeats.get(name)
    told = {one.name for one in assignment.replicas} if assignment else set()
    seen = {one.name for one in beat.replicas} if beat else set()
    back = index.facts.returns.get(name)
    broken = index.facts.observed.broken_nodes.get(name, ())
    return Host(
        node=judged,
        duty=record.duty,
        seen_at=index.facts.seen.get(name),
        back_at=back.at if back else None,
        left=sorted(told | seen),
        timings=index.facts.observed.fleet.timings,
        duties=index.facts.duties.get(name, UNKNOWN),
        source=index.facts.observed.source or "",
        docker_since=beat.runtime.since if beat else None,
        disk_since=beat.disk_since if beat else None,
        broken=f"{min(broken).place}: {min(broken).what}" if broken else "",
        stays=next((hold.text for one in sorted(told) if (hold := index.holds.get(one))), ""),
    )


def _held_until(index: Index, judged: Node | None) -> datetime | None:
    """Until when a node that came back is given nothing new; None: it is not held down."""
    if judged is None or judged.freshness is not Freshness.RETURNING:
        return None
    back = index.facts.returns.get(judged.name)
    return back.held_until if back else None


def _labels(judged: Node | None, record: NodeRecord | None) -> Mapping[str, str]:
    known = judged or record
    return dict(sorted(known.labels.items())) if known else {}


def _mark(index: Index, name: NodeName, record: NodeRecord | None, judged: Node | None) -> NodeMark:
    if record is None and name in index.heartbeats:
        return NodeMark(state=NodeState.NOT_ADMITTED, why=_unadmitted(index, name))
    freshness = judged.freshness if judged else Freshness.UNSEEN
    ailments = _problems(index, name)
    if freshness is Freshness.CONTESTED:
        why = "two machines speak under its name: stop one of them, or enrol it under another"
        return NodeMark(state=NodeState.CONTESTED, why=why)
    if freshness not in {Freshness.READY, Freshness.RETURNING}:
        return _silent(index, freshness, ailments)
    if ailments:
        return NodeMark(state=NodeState.DEGRADED, why=ailments[0])
    if freshness is Freshness.RETURNING:
        why = "was lost and is back: it is given nothing new for now"
        return NodeMark(state=NodeState.HELD_DOWN, why=why)
    said = _duty(_word(index, name, record, judged))
    return NodeMark(state=NodeState.READY, why=said or "speaks, and takes work")


def _unadmitted(index: Index, name: NodeName) -> str:
    if index.facts.unadmitted.get(name) is not Freshness.LOST:
        return f"it gets nothing until nodes/{name}.yaml is committed"
    lost = exactly(index.facts.observed.fleet.timings.lost)
    return f"no record, and silent for more than {lost}; if gone for good: {clearing(name)}"


def _silent(index: Index, freshness: Freshness, ailments: tuple[str, ...]) -> NodeMark:
    timings = index.facts.observed.fleet.timings
    if freshness is Freshness.UNSEEN:
        why = ailments[0] if ailments else "no heartbeat of it ever arrived"
        return NodeMark(state=NodeState.UNSEEN, why=why)
    if freshness is Freshness.LATE:
        late = exactly(timings.late)
        return NodeMark(state=NodeState.LATE, why=f"no heartbeat for more than {late}")
    return NodeMark(state=NodeState.LOST, why=f"no heartbeat for more than {exactly(timings.lost)}")


def _duty(word: Host | None) -> str:
    """What the operator lets a node do, and how far that has come; empty: it takes work."""
    if word is None:
        return ""
    if word.broken:
        return f"its document is broken: {word.broken}; keeps what it has, takes nothing new"
    return _asked(word)


def _asked(word: Host) -> str:
    if word.node.suspended:
        return "suspended: nothing on it is changed; what runs goes on"
    if word.duty is Duty.CORDONED:
        return "cordoned: keeps what it has, takes nothing new"
    if word.duty is Duty.ACTIVE:
        return ""
    if is_drained(word):
        return "drained: empty, nothing of ours is left on it"
    left = count(len(word.left), "replica")
    return (
        f"draining: {left} left"
        if word.left
        else "draining: nothing is assigned to it, and what runs there is not known"
    )


def _problems(index: Index, name: NodeName) -> tuple[str, ...]:
    unreadable = tuple(
        f"its heartbeat cannot be understood: {problem.what}"
        for problem in index.facts.observed.unreadable.get(name, ())
    )
    beat = index.heartbeats.get(name)
    return unreadable if beat is None else (*unreadable, *_complaints(beat))


def _complaints(beat: Heartbeat) -> tuple[str, ...]:
    runtime = (f"Docker: {beat.runtime.error}",) if beat.runtime.error else ()
    sick = tuple(f"GPU {gpu.index}: {gpu.sickness}" for gpu in beat.gpus if gpu.sickness)
    return (*runtime, *sick, *beat.problems)


def _sync(assignment: Assignment | None, beat: Heartbeat | None, judged: Node | None) -> SyncMark:
    if assignment is None:
        return SyncMark(state=Sync.SYNCED, why="nothing was assigned to it yet")
    heard = {Freshness.READY, Freshness.RETURNING}
    if judged is None or judged.freshness not in heard or beat is None:
        return SyncMark(state=Sync.UNKNOWN, why="it is silent")
    if beat.generation >= assignment.generation:
        return SyncMark(state=Sync.SYNCED, why="it has taken up its newest assignment")
    missed = assignment.generation - beat.generation
    if missed > LEAP:
        why = "it has taken up no assignment since the state was restored"
        return SyncMark(state=Sync.OUT_OF_SYNC, why=why)
    return SyncMark(state=Sync.OUT_OF_SYNC, why=f"it is {count(missed, 'assignment')} behind")


def _promised(replicas: tuple[ReplicaView, ...]) -> AmountsView:
    ours = tuple(replica.resources for replica in replicas if replica.wanted)
    return AmountsView(
        cpu_milli=sum(r.cpu_milli for r in ours),
        memory_mib=sum(r.memory_mib for r in ours),
        disk_mib=sum(r.disk_mib for r in ours),
    )


def _gpu(gpu: GpuReport, replicas: tuple[ReplicaView, ...]) -> GpuView:
    here = tuple(
        (replica.name, share)
        for replica in replicas
        for share in replica.gpus
        if share.uuid == gpu.uuid
    )
    return GpuView(
        uuid=gpu.uuid,
        index=gpu.index,
        vendor=gpu.vendor,
        model=gpu.model,
        memory_mib=gpu.memory_mib,
        promised_mib=sum(share.memory_mib for _, share in here),
        used_mib=gpu.used_mib,
        foreign_mib=gpu.foreign_mib,
        utilisation_percent=gpu.utilisation_percent,
        temperature_c=gpu.temperature_c,
        power_w=gpu.power_w,
        sickness=gpu.sickness,
        withheld=gpu.withheld,
        throttles=gpu.throttles,
        parent=gpu.parent,
        replicas=tuple(name for name, _ in here),
    )


def _taint(taint: Taint) -> str:
    return f"{taint.key}={taint.value}" if taint.value else taint.key
