"""What every node is told: the plan node by node, with what need not change left alone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from reconciler.observing.parameters import filled
from reconciler.observing.snapshot import Observed
from reconciler.placing.plan import Placement, Plan
from schemas.assignment import AssignedReplica, Assignment, Fence, Why
from schemas.deployment import Deployment
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.probes import Probe
from schemas.template_probes import settled

_NO_WHY = Why(text="")


def previous_placements(observed: Observed) -> tuple[Placement, ...]:
    """Say what was placed before, in the planner's words, sorted by replica and node."""
    return tuple(
        _placement(node, replica)
        for node, assignment in sorted(observed.assignments.items())
        for replica in assignment.replicas
    )


def told(
    observed: Observed,
    plan: Plan,
    held: Iterable[DeploymentName],
    frozen: Collection[ReplicaName] = (),
) -> Mapping[NodeName, Assignment]:
    """Say what every node is to run: those admitted, and those that ever were, by name.

    What is held or frozen is told as it was.

    A node that was taken away is told to run nothing, so that its agent stops what it has. The
    generation is still the one before: only who knows all files can tell whether it grows.
    """
    if observed.frozen:
        return observed.assignments
    names = {record.name for record in observed.records} | observed.assignments.keys()
    kept = frozenset(held)
    deployments = {one.name: one for one in observed.deployments}
    placements: dict[NodeName, list[Placement]] = {name: [] for name in sorted(names)}
    for placement in sorted(plan.placements, key=lambda one: one.replica):
        placements[placement.node].append(placement)
    return {
        name: _assignment(
            observed,
            name,
            tuple(
                _kept(observed, one)
                if one.deployment in kept or one.replica in frozen
                else _replica(observed, one, deployments)
                for one in ours
            ),
        )
        for name, ours in placements.items()
    }


def _assignment(
    observed: Observed, name: NodeName, replicas: tuple[AssignedReplica, ...]
) -> Assignment:
    before = observed.assignments.get(name)
    timings = observed.fleet.timings
    return Assignment(
        node=name,
        generation=before.generation if before else 0,
        heartbeat_seconds=int(timings.heartbeat.total_seconds()),
        poll_seconds=int(timings.poll.total_seconds()),
        replicas=replicas,
    )


def with_fences(
    assignments: Mapping[NodeName, Assignment],
    before: Mapping[NodeName, Assignment],
    fences: Mapping[ReplicaName, Fence],
) -> Mapping[NodeName, Assignment]:
    """Put every replica's grant in, or take one away that it no longer needs."""
    if not fences and not any(one.fence for each in before.values() for one in each.replicas):
        return assignments
    return {
        name: replace(
            assignment,
            replicas=tuple(replace(one, fence=fences.get(one.name)) for one in assignment.replicas),
        )
        for name, assignment in assignments.items()
    }


def _kept(observed: Observed, placement: Placement) -> AssignedReplica:
    """What a node was told of a replica that stays as it is: only such a one is ever kept."""
    before = _before(observed, placement.node, placement.replica)
    if before is None:
        raise AssertionError(f"{placement.replica} is held where it never was")
    return before


def _replica(
    observed: Observed,
    placement: Placement,
    deployments: Mapping[DeploymentName, Deployment],
) -> AssignedReplica:
    before = _before(observed, placement.node, placement.replica)
    deployment = deployments[placement.deployment]
    now = AssignedReplica(
        name=placement.replica,
        deployment=placement.deployment,
        template=deployment.template,
        resources=placement.resources,
        sharing=placement.sharing,
        gpus=placement.gpus,
        ports=dict(sorted(placement.ports.items())),
        priority=placement.priority,
        pinned=placement.pinned,
        probes=_probes(observed, deployment),
        rollback=deployment.update.rollback,
        drift=deployment.drift or observed.fleet.drift,
        on_remove=deployment.on_remove,
        fence=before.fence if before is not None else None,
        why=placement.why,
    )
    # Why it came here is history, and stays as it was said then.
    same = before is not None and without_why(before) == without_why(now)
    return before if before is not None and same else now


def _probes(observed: Observed, deployment: Deployment) -> tuple[Probe, ...]:
    """What the agent asks the replicas of a deployment; its parameters were checked before."""
    bundle = observed.bundle(deployment)
    params = filled(bundle.template, deployment) if bundle else ()
    if bundle is None or isinstance(params, tuple):
        return ()
    return tuple(settled(probe, params) for probe in bundle.template.probes)


def without_why(replica: AssignedReplica) -> AssignedReplica:
    """A replica without its explanation, which alone is never a reason to write."""
    return replace(replica, why=_NO_WHY)


def _before(observed: Observed, node: NodeName, name: ReplicaName) -> AssignedReplica | None:
    assignment = observed.assignments.get(node)
    replicas = assignment.replicas if assignment else ()
    return next((one for one in replicas if one.name == name), None)


def _placement(node: NodeName, replica: AssignedReplica) -> Placement:
    return Placement(
        replica=replica.name,
        deployment=replica.deployment,
        node=node,
        resources=replica.resources,
        sharing=replica.sharing,
        gpus=replica.gpus,
        ports=replica.ports,
        priority=replica.priority,
        pinned=replica.pinned,
        why=replica.why,
    )
