"""How one replica fares: what its node said of it, held against what was assigned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, assert_never

from reconciler.conditions.condition import Condition
from reconciler.conditions.replicas import Replica, replica_conditions
from reconciler.observing.node import Freshness
from reconciler.rolling.failover import MUTE
from reconciler.web.endpoints import endpoints
from reconciler.web.facts import Index
from reconciler.web.views import (
    AmountsView,
    GpuShareView,
    Health,
    HealthMark,
    LogView,
    ReplicaView,
    RunnerUpView,
    ScoreView,
    ServiceView,
    Sync,
    SyncMark,
    WhyView,
)
from reconciler.web.waiting import goes_elsewhere
from schemas.assignment import AssignedReplica, GpuShare, Phase, Why
from schemas.heartbeat import Heartbeat, ReplicaReport, ReplicaState, ServiceReport
from schemas.layout import replica_folder
from schemas.names import NodeName
from schemas.resources import Resources

_SILENT: Final = {
    Freshness.CONTESTED: "is claimed by two machines",
    Freshness.LATE: "is late",
    Freshness.LOST: "is lost",
    Freshness.UNSEEN: "was never heard of",
}
_NOTHING: Final = WhyView(text="", score=0.0, terms=(), runners_up=())


def replica_view(index: Index, node: NodeName, replica: AssignedReplica) -> ReplicaView:
    """Show a replica that is assigned to a node."""
    report = index.reports.get((node, replica.name))
    beat = index.heartbeats.get(node)
    bundle = index.facts.observed.templates.get(replica.template)
    return ReplicaView(
        name=replica.name,
        deployment=replica.deployment,
        node=node,
        wanted=True,
        sync=_sync(index, node, replica, report),
        health=_health(index, node, replica, report),
        why=why_view(replica.why),
        resources=amounts(replica.resources),
        gpus=tuple(_share(share, beat) for share in replica.gpus),
        ports=dict(sorted(replica.ports.items())),
        endpoints=endpoints(
            replica, bundle.template if bundle else None, beat.host.addresses if beat else ()
        ),
        services=tuple(map(_service, report.services)) if report else (),
        message=report.message if report else "",
        conditions=_conditions(index, node, replica, report),
        logs=_logs(report),
    )


def leftover_view(index: Index, node: NodeName, report: ReplicaReport) -> ReplicaView:
    """Show a replica that a node still has, or had, though it is no longer assigned to it."""
    sync, health = _left_behind(index, node, report)
    return ReplicaView(
        name=report.name,
        deployment=report.deployment,
        node=node,
        wanted=False,
        sync=sync,
        health=health,
        why=_NOTHING,
        resources=AmountsView(),
        gpus=(),
        ports={},
        endpoints=(),
        services=tuple(map(_service, report.services)),
        message=report.message,
        conditions=replica_conditions(
            Replica(
                node=node,
                freshness=_freshness(index, node),
                report=report,
                is_current=False,
                told_at=index.facts.since.told.get((report.name, node)),
                silent_since=_silent_since(index, node),
            )
        ),
        logs=_logs(report),
    )


def _left_behind(
    index: Index, node: NodeName, report: ReplicaReport
) -> tuple[SyncMark, HealthMark]:
    why = f"no longer assigned to {node}"
    if _freshness(index, node) not in MUTE:
        health = HealthMark(state=Health.PROGRESSING, why=f"{node} has yet to stop it")
        return SyncMark(state=Sync.OUT_OF_SYNC, why=why), health
    what = (
        f"{_silence(index, node)}; it had it when last heard of, and {_ends(index, node, report)}"
    )
    return SyncMark(state=Sync.UNKNOWN, why=why), HealthMark(state=Health.UNKNOWN, why=what)


def _ends(index: Index, node: NodeName, report: ReplicaReport) -> str:
    """What becomes of a replica that a silent node had and that is no longer assigned to it."""
    tenure = index.tenures.get(report.name)
    # A grant goes to another node only once its holder is proved to be out, however silent it is.
    if report.epoch and tenure is not None and tenure.node not in {"", node}:
        return f"its grant there is over: {tenure.node} holds it"
    return "is to stop it when it is back"


def homes(replicas: Iterable[ReplicaView]) -> tuple[str, ...]:
    """The nodes of replicas. Of what a silent node had nobody knows whether it is there."""
    here = (one.node for one in replicas if not is_left_behind(one))
    return tuple(dict.fromkeys(here))


def is_left_behind(one: ReplicaView) -> bool:
    """Whether a node had a replica when it was last heard of, and nobody wants it there."""
    return not one.wanted and one.sync.state is Sync.UNKNOWN


def amounts(resources: Resources) -> AmountsView:
    """Show amounts as they are."""
    return AmountsView(
        cpu_milli=resources.cpu_milli,
        memory_mib=resources.memory_mib,
        disk_mib=resources.disk_mib,
    )


def _conditions(
    index: Index, node: NodeName, replica: AssignedReplica, report: ReplicaReport | None
) -> tuple[Condition, ...]:
    decided = index.decided.get(replica.deployment)
    hold = index.holds.get(replica.name)
    key = (replica.name, hold.reason if hold else "")
    tree = index.facts.folders.get(replica_folder(node, replica.name))
    return replica_conditions(
        Replica(
            node=node,
            freshness=_freshness(index, node),
            report=report,
            is_current=report is not None and report.observed == tree,
            hold=hold,
            held_since=index.facts.since.waits.get(key),
            told_at=index.facts.since.told.get((replica.name, node)),
            silent_since=_silent_since(index, node),
            phase=decided.phase if decided else Phase.SETTLED,
            source=(decided.source if decided else None) or "",
            good_source=(decided.good_source if decided else None) or "",
        )
    )


def _sync(
    index: Index, node: NodeName, replica: AssignedReplica, report: ReplicaReport | None
) -> SyncMark:
    silent = _silence(index, node)
    wanted = index.facts.folders.get(replica_folder(node, replica.name))
    if silent:
        return SyncMark(state=Sync.UNKNOWN, why=silent)
    if report is None or not report.observed:
        return SyncMark(state=Sync.OUT_OF_SYNC, why=f"{node} has not started it yet")
    if report.observed != wanted:
        return SyncMark(state=Sync.OUT_OF_SYNC, why=f"{node} still runs an older version of it")
    if report.drifted:
        return SyncMark(state=Sync.OUT_OF_SYNC, why=f"drifted: {report.drifted}")
    return SyncMark(state=Sync.SYNCED, why=f"{node} runs what was decided")


def _health(
    index: Index, node: NodeName, replica: AssignedReplica, report: ReplicaReport | None
) -> HealthMark:
    silent = _silence(index, node)
    if silent:
        last = f"its last word was: {report.state}" if report else ""
        parts = (silent, _goes(index, node, replica), last)
        return HealthMark(state=Health.UNKNOWN, why="; ".join(filter(None, parts)))
    if report is None:
        return HealthMark(state=Health.PROGRESSING, why=f"{node} has not taken it up yet")
    return HealthMark(state=_state(report.state), why=_reason(report))


def _goes(index: Index, node: NodeName, replica: AssignedReplica) -> str:
    judged, hold = index.nodes.get(node), index.holds.get(replica.name)
    desired = index.desired.get(replica.deployment)
    return goes_elsewhere(replica, judged, desired, hold, index.silences) if judged else ""


def _silence(index: Index, node: NodeName) -> str:
    freshness = _freshness(index, node)
    return f"{node} {_SILENT[freshness]}" if freshness in _SILENT else ""


def _freshness(index: Index, node: NodeName) -> Freshness:
    judged = index.nodes.get(node)
    return judged.freshness if judged else index.facts.unadmitted.get(node, Freshness.UNSEEN)


def _silent_since(index: Index, node: NodeName) -> datetime | None:
    """When a node that was heard of last at some moment began to be late."""
    seen_at = index.facts.seen.get(node)
    return None if seen_at is None else seen_at + index.facts.observed.fleet.timings.late


def _state(state: ReplicaState) -> Health:
    match state:
        case ReplicaState.RUNNING:
            return Health.HEALTHY
        case ReplicaState.PENDING | ReplicaState.STARTING | ReplicaState.STOPPING:
            return Health.PROGRESSING
        case ReplicaState.DEGRADED | ReplicaState.FAILED:
            return Health.DEGRADED
        case _:
            assert_never(state)


def _reason(report: ReplicaReport) -> str:
    if report.message:
        return report.message
    if report.state is ReplicaState.RUNNING:
        return "every service runs"
    bad = [f"{s.name} is {_condition(s)}" for s in report.services if not _is_well(s)]
    return ", ".join(bad) or str(report.state)


def _is_well(service: ServiceReport) -> bool:
    return service.state == "running" and service.health in ("", "healthy")


def _condition(service: ServiceReport) -> str:
    if service.state == "running":
        return service.health
    code = "" if service.exit_code is None else f" with code {service.exit_code}"
    return f"{service.state}{code}"


def _service(report: ServiceReport) -> ServiceView:
    return ServiceView(
        name=report.name,
        image=report.image,
        state=report.state,
        health=report.health,
        exit_code=report.exit_code,
    )


def _logs(report: ReplicaReport | None) -> tuple[LogView, ...]:
    logs = report.logs if report else ()
    return tuple(LogView(service=one.service, text=one.text) for one in logs)


def _share(share: GpuShare, beat: Heartbeat | None) -> GpuShareView:
    models = {gpu.uuid: gpu.model for gpu in beat.gpus} if beat else {}
    return GpuShareView(
        uuid=share.uuid, model=models.get(share.uuid, ""), memory_mib=share.memory_mib
    )


def why_view(why: Why) -> WhyView:
    """Show why a replica is where it is."""
    return WhyView(
        text=why.text,
        score=why.score,
        terms=tuple(ScoreView(name=t.name, value=t.value, weight=t.weight) for t in why.terms),
        runners_up=tuple(RunnerUpView(node=r.node, score=r.score) for r in why.runners_up),
    )
