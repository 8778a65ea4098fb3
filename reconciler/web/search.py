"""Which nodes and deployments a person asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.web.views import DeploymentView, FleetView, NodeView


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of a fleet is to be shown."""

    nodes: tuple[NodeView, ...]
    deployments: tuple[DeploymentView, ...]


def matching(view: FleetView, asked: str) -> Shown:
    """Choose what has every asked word in its name, states, template or labels. None: all."""
    wanted = asked.lower().split()
    return Shown(
        nodes=tuple(n for n in view.nodes if _has(_node_text(n), wanted)),
        deployments=tuple(d for d in view.deployments if _has(_deployment_text(d), wanted)),
    )


def _has(text: str, wanted: list[str]) -> bool:
    return all(word in text for word in wanted)


def _node_text(node: NodeView) -> str:
    models = " ".join(gpu.model for gpu in node.gpus)
    duty = node.duty_text or node.duty
    return f"{node.name} {node.mark.state} {duty} {models} {_labels(node.labels)}".lower()


def _deployment_text(one: DeploymentView) -> str:
    held = "held" if one.holds else ""
    states = f"{one.sync.state} {one.health.state} {one.rollout.phase} {held}"
    return f"{one.name} {states} {one.template} {_labels(one.labels)}".lower()


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in labels.items())
