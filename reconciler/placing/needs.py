"""What a deployment needs: the template's word, the deployment's word over it, and the fleet's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.placing.plan import Need
from schemas.deployment import Deployment, ResourceRequest, VolumeMoves
from schemas.fleet import Fleet
from schemas.resources import GpuNeed, Resources, Sharing, Strategy
from schemas.template import Template


def need_of(fleet: Fleet, template: Template, deployment: Deployment, *, extra: int = 0) -> Need:
    """Merge the three documents into what the planner asks for. Nothing is left open.

    extra: how many replicas more than are asked for.
    """
    gpus = _gpus(template.gpus, deployment.resources.gpus)
    return Need(
        deployment=deployment.name,
        replicas=deployment.replicas + extra,
        resources=_resources(template.resources, deployment.resources),
        gpus=gpus,
        rules=deployment.placement,
        strategy=_strategy(fleet, deployment, gpus),
        ports={port.name: deployment.ports.get(port.name) for port in template.ports},
        auto_ports=fleet.ports,
        priority=deployment.priority,
        has_data=bool(template.volumes),
        pinned=bool(template.volumes) and deployment.on_move is VolumeMoves.STAY,
        image=_image(template, deployment),
    )


def _resources(template: Resources, asked: ResourceRequest) -> Resources:
    """Take each amount from the deployment where it names one."""
    return Resources(
        cpu_milli=template.cpu_milli if asked.cpu_milli is None else asked.cpu_milli,
        memory_mib=template.memory_mib if asked.memory_mib is None else asked.memory_mib,
        disk_mib=template.disk_mib if asked.disk_mib is None else asked.disk_mib,
    )


def _gpus(template: GpuNeed | None, asked: GpuNeed | None) -> GpuNeed | None:
    """Let the deployment's word win, and fill in what it leaves open from the template.

    A deployment that asks for two GPUs does not thereby say that any vendor will do. A count of
    0 says that this deployment runs without a GPU.
    """
    if asked is None or template is None:
        merged = asked or template
    else:
        merged = replace(
            asked,
            memory_mib=template.memory_mib if asked.memory_mib is None else asked.memory_mib,
            vendor=asked.vendor or template.vendor,
            model=asked.model or template.model,
            compute_capability=asked.compute_capability or template.compute_capability,
            driver=asked.driver or template.driver,
            cuda=asked.cuda or template.cuda,
        )
    return merged if merged is not None and merged.count > 0 else None


def _strategy(fleet: Fleet, deployment: Deployment, gpus: GpuNeed | None) -> Strategy:
    """Take the deployment's word, then the fleet's; else pack what needs GPUs, spread the rest."""
    fallback = Strategy.SPREAD if gpus is None else Strategy.PACK
    return deployment.placement.strategy or fleet.strategy or fallback


def _image(template: Template, deployment: Deployment) -> str:
    """Name the main image, if the parameter `image` or its default tells it before rendering."""
    chosen = deployment.parameters.get("image", _default(template.parameters, "image"))
    return chosen if isinstance(chosen, str) else ""


def _default(schema: Mapping[str, object], parameter: str) -> object:
    """Return the default of one parameter in a template's JSON Schema, or None."""
    properties = schema.get("properties")
    one = properties.get(parameter) if isinstance(properties, Mapping) else None
    return one.get("default") if isinstance(one, Mapping) else None


def is_shared(need: Need) -> bool:
    """Whether its replicas can live with others on a GPU. False where no GPU is needed."""
    return need.gpus is not None and need.gpus.sharing is Sharing.SHARED
