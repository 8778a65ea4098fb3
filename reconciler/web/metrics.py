"""The view as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from reconciler.conditions.condition import Condition, Status
from reconciler.web.banners import BANNERS
from reconciler.web.latest import Latest
from reconciler.web.views import (
    DeploymentView,
    FleetView,
    Health,
    NodeState,
    NodeView,
    Sync,
)
from schemas.assignment import Phase

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics(latest: Latest, now: datetime) -> str:
    """Write all metrics. Before the first look there is only that there was none."""
    return "\n".join((*_look(latest, now), *(_fleet(latest.view) if latest.view else ()), ""))


def _look(latest: Latest, now: datetime) -> Iterator[str]:
    fresh = 0 if latest.is_stale(now) else 1
    yield from _gauge("miaas_up", "1 while Git answers, 0 while the view is stale.", [("", fresh)])
    if latest.looked_at is not None:
        at = latest.looked_at.timestamp()
        text = "When Git last answered, in seconds since 1970."
        yield from _gauge("miaas_last_look_timestamp_seconds", text, [("", at)])


def _fleet(view: FleetView) -> Iterator[str]:
    yield from _gauge("miaas_problems", "Problems in documents.", [("", len(view.problems))])
    banners = (
        (_labels(kind=kind), int(any(one.kind == kind for one in view.banners))) for kind in BANNERS
    )
    text = "1 while this holds back the whole fleet."
    yield from _gauge("miaas_fleet_held", text, banners)
    yield from _leader(view)
    yield from _nodes(view.nodes)
    yield from _gpus(view.nodes)
    yield from _deployments(view.deployments)


def _leader(view: FleetView) -> Iterator[str]:
    if view.leading_since is not None:
        who = _labels(leader=view.leader)
        text = "Since when a reconciler leads, by its own clock, in seconds since 1970."
        since = view.leading_since.timestamp()
        yield from _gauge("miaas_leader_since_timestamp_seconds", text, [(who, since)])
    if view.leader_renewed is not None:
        text = "When the reconciler that leads, or led, was last heard of, in seconds since 1970."
        renewed = view.leader_renewed.timestamp()
        yield from _gauge("miaas_leader_renewed_timestamp_seconds", text, [("", renewed)])
    if view.term:
        text = "How often a reconciler took over."
        yield from _gauge("miaas_leader_term", text, [("", view.term)])


def _nodes(nodes: tuple[NodeView, ...]) -> Iterator[str]:
    states = (
        (_labels(node=node.name, state=state), int(node.mark.state is state))
        for node in nodes
        for state in NodeState
    )
    yield from _gauge("miaas_node_state", "1 for the state that a node is in.", states)
    seen = (
        (_labels(node=node.name), node.seen_at.timestamp())
        for node in nodes
        if node.seen_at is not None
    )
    text = "When a node was last heard of, in seconds since 1970."
    yield from _gauge("miaas_node_last_seen_timestamp_seconds", text, seen)
    yield from _conditions("node", (({"node": node.name}, node.conditions) for node in nodes))


def _gpus(nodes: tuple[NodeView, ...]) -> Iterator[str]:
    for key, text in (
        ("memory", "Memory of a GPU."),
        ("promised", "GPU memory promised to replicas."),
        ("used", "GPU memory in use by any process."),
    ):
        amounts = (
            (_labels(node=node.name, gpu=gpu.uuid), getattr(gpu, f"{key}_mib") * 1024 * 1024)
            for node in nodes
            for gpu in node.gpus
        )
        yield from _gauge(f"miaas_gpu_{key}_bytes", text, amounts)


def _deployments(deployments: tuple[DeploymentView, ...]) -> Iterator[str]:
    for key, text in (
        ("wanted", "Replicas that a deployment asks for."),
        ("placed", "Replicas that have a node."),
        ("healthy", "Replicas that are healthy."),
    ):
        counts = ((_labels(deployment=d.name), getattr(d, key)) for d in deployments)
        yield from _gauge(f"miaas_deployment_replicas_{key}", text, counts)
    health = ((d.name, d.health.state) for d in deployments)
    yield from _states("miaas_deployment_health", health, Health)
    sync = ((d.name, d.sync.state) for d in deployments)
    yield from _states("miaas_deployment_sync", sync, Sync)
    phases = ((d.name, d.rollout.phase) for d in deployments)
    yield from _states("miaas_deployment_rollout", phases, Phase)
    yield from _conditions(
        "deployment", (({"deployment": d.name}, d.conditions) for d in deployments)
    )
    replicas = (
        ({"deployment": d.name, "replica": r.name, "node": r.node}, r.conditions)
        for d in deployments
        for r in d.replicas
    )
    yield from _conditions("replica", replicas)


def _conditions(
    noun: str, found: Iterable[tuple[Mapping[str, str], tuple[Condition, ...]]]
) -> Iterator[str]:
    values = {Status.TRUE: 1, Status.FALSE: 0, Status.UNKNOWN: -1}
    samples = (
        (_labels(**labels, type=one.type), values[one.status])
        for labels, conditions in found
        for one in conditions
    )
    text = f"1 where a condition of a {noun} is so, 0 where it is not, -1 where nobody knows."
    yield from _gauge(f"miaas_{noun}_condition", text, samples)


def _states(name: str, found: Iterable[tuple[str, StrEnum]], kind: type[StrEnum]) -> Iterator[str]:
    samples = (
        (_labels(deployment=deployment, state=state), int(at is state))
        for deployment, at in found
        for state in kind
    )
    yield from _gauge(name, "1 for the state that a deployment is in.", samples)


def _gauge(name: str, text: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        yield f"{name}{labels} {value:.15g}"


def _labels(**labels: str) -> str:
    pairs = ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())
    return f"{{{pairs}}}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
