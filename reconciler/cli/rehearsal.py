"""Rendering every deployment as if it had a node, to find what only rendering shows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from reconciler.observing.node import Node
from reconciler.observing.snapshot import Observed, TemplateBundle
from reconciler.placing.needs import need_of
from reconciler.placing.plan import Need, Placement
from reconciler.rendering.context import job_of
from reconciler.rendering.port import Renderer, RenderJob, Unrendered
from schemas.assignment import GpuShare, Why
from schemas.deployment import Deployment
from schemas.names import DeploymentName, GpuUuid, NodeName, replica_name
from schemas.parameters import fill
from schemas.problem import BadDocumentError, Problem

_NODE: Final = Node(
    name=NodeName("rehearsal"),
    labels={"miaas/node": "rehearsal", "miaas/os": "linux", "miaas/arch": "amd64"},
)
# What a GPU has where the deployment does not say what it needs: the largest that is common.
_GPU_MIB: Final = 81920


def rehearse(
    observed: Observed, own_templates: Collection[str], renderer: Renderer
) -> tuple[Problem, ...]:
    """Render each deployment, and each own template that none of them uses, and say what fails.

    own_templates: names of the templates that stand in the fleet repository itself.
    """
    jobs = (*_jobs(observed), *_unused(observed, own_templates))
    outcomes = renderer.render(jobs)
    return tuple(p for one in outcomes if isinstance(one, Unrendered) for p in one.problems)


def _jobs(observed: Observed) -> Iterator[RenderJob]:
    for deployment in observed.deployments:
        bundle = observed.bundle(deployment)
        if bundle is not None:
            yield _job(observed, deployment, bundle)


def _unused(observed: Observed, own_templates: Collection[str]) -> Iterator[RenderJob]:
    used = {deployment.template for deployment in observed.deployments}
    for name, bundle in sorted(observed.templates.items()):
        if name in own_templates and name not in used:
            alone = Deployment(
                name=DeploymentName(name), template=name, place=bundle.template.place
            )
            try:
                yield _job(observed, alone, bundle)
            except BadDocumentError:
                continue  # it needs parameters, which only a deployment can give


def _job(observed: Observed, deployment: Deployment, bundle: TemplateBundle) -> RenderJob:
    need = need_of(observed.fleet, bundle.template, deployment)
    params = fill(bundle.template, deployment)
    return job_of(_placement(need), _NODE, deployment, bundle, params)


def _placement(need: Need) -> Placement:
    free = iter(range(need.auto_ports.first, need.auto_ports.last + 1))
    return Placement(
        replica=replica_name(need.deployment, 0),
        deployment=need.deployment,
        node=_NODE.name,
        resources=need.resources,
        gpus=_gpus(need),
        ports={name: asked or next(free) for name, asked in need.ports.items()},
        why=Why(text="a rehearsal"),
    )


def _gpus(need: Need) -> tuple[GpuShare, ...]:
    if need.gpus is None:
        return ()
    memory_mib = need.gpus.memory_mib or _GPU_MIB
    return tuple(
        GpuShare(uuid=GpuUuid(f"GPU-00000000-0000-4000-8000-{number:012}"), memory_mib=memory_mib)
        for number in range(need.gpus.count)
    )
