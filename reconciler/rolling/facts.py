"""All that is known before a pass plans: what is wanted, how it stands, who is lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.observing.inventory import judge, sighted, silences, unheard
from reconciler.observing.node import Node
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Observed, Snapshot, TemplateBundle
from reconciler.placing.plan import Placement
from reconciler.publishing.assignments import previous_placements
from reconciler.rolling.failover import MINUTE, Failover, failover
from reconciler.rolling.guards import frozen_if_it_forgot_removals, with_removals_held
from reconciler.rolling.holders import Evidence, evidence, holders
from reconciler.rolling.holding import Because, Held
from reconciler.rolling.inputs import Versions, asked_for, kept_versions, understood
from reconciler.rolling.marks import Memory
from reconciler.rolling.restores import age_of_state, went_back, went_on
from reconciler.rolling.rollout import Course, course
from reconciler.rolling.standing import Standing, standings
from reconciler.rolling.windows import closed
from schemas.assignment import Tenure
from schemas.deployment import Deployment
from schemas.fleet import Fleet
from schemas.names import DeploymentName, ReplicaName
from schemas.rollout import UpdateStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a pass knows before it plans.

    observed: with the version of every deployment that is wanted, which need not be what main says.
    deployments: those that are not held. memory: with what was newly heard.
    kept: versions as the assignments have them.
    suspended: replicas that nobody may touch, and why. failover: what becomes of lost nodes.
    closed: why the time is none for planned changes; empty: it is one. lifts: this pass finds the
    state older than it was, and generations of all nodes are to be lifted.
    """

    snapshot: Snapshot
    observed: Observed
    deployments: Mapping[DeploymentName, Deployment]
    nodes: tuple[Node, ...]
    memory: Memory
    now: datetime
    previous: tuple[Placement, ...]
    standing: Mapping[ReplicaName, Standing]
    kept: Mapping[DeploymentName, Versions]
    courses: Mapping[DeploymentName, Course]
    suspended: Mapping[ReplicaName, Held]
    failover: Failover
    evidence: Evidence
    holders: Mapping[ReplicaName, Tenure]
    closed: str
    lifts: bool


def gather(snapshot: Snapshot, now: datetime, wall: datetime, memory: Memory) -> Facts:
    """Understand a snapshot, and judge what time and heartbeats say.

    Raises:
        BadDocumentError: our own last decision cannot be understood.
    """
    observed = observe(snapshot)
    if went_back(memory, observed) and not went_on(memory, observed):
        observed = frozen_if_it_forgot_removals(snapshot, observed, memory.ran)
    observed = with_removals_held(snapshot, observed)
    sightings = sighted(memory.sightings, observed, now, memory.read_at)
    sightings = unheard(sightings) if memory.paused else sightings
    nodes = judge(observed, now, sightings)
    previous = previous_placements(observed)
    standing = standings(snapshot, observed, nodes)
    kept = kept_versions(snapshot)
    courses = _courses(snapshot, observed, kept, standing, memory, now)
    observed = _with_versions(observed, snapshot, courses)
    suspended = _suspended(observed, nodes, previous)
    age = age_of_state(memory, snapshot, observed, now)
    memory = age.memory
    heard = silences(sightings, now)
    found = evidence(observed, nodes, heard, memory.doubted_for(now), age.restored_for)
    mute = frozenset(name for name, one in sightings.items() if not one.is_news)
    found = replace(found, unheard=mute & found.beats.keys())
    lately = {name: at for name, at in memory.evacuated.items() if now - at < MINUTE}
    deployments = {one.name: one for one in observed.deployments if one.name not in observed.held}
    moved = failover(
        observed.fleet,
        deployments,
        nodes,
        previous,
        frozenset(lately),
        suspended=frozenset(suspended),
    )
    return Facts(
        snapshot=snapshot,
        observed=observed,
        deployments=deployments,
        nodes=nodes,
        memory=replace(memory, sightings=sightings, evacuated=lately),
        now=now,
        previous=previous,
        standing=standing,
        kept=kept,
        courses=courses,
        suspended=suspended,
        failover=moved,
        evidence=found,
        holders=holders(found, previous),
        closed=closed(observed.fleet.windows, wall) or "",
        lifts=age.lifts,
    )


def moved_off(facts: Facts, homeless: frozenset[ReplicaName], most: int | None = None) -> Failover:
    """What becomes of lost nodes, where these replicas find no other; see `failover`.

    most: how many nodes are left in a minute; None: as the fleet's guard says.
    """
    fleet = facts.observed.fleet
    if most is not None:
        fleet = replace(fleet, guards=replace(fleet.guards, evacuations_per_minute=most))
    return failover(
        fleet,
        facts.deployments,
        facts.nodes,
        facts.previous,
        frozenset(facts.memory.evacuated),
        suspended=frozenset(facts.suspended),
        homeless=homeless,
    )


def _courses(  # noqa: PLR0913, PLR0917 - all that a course is judged by
    snapshot: Snapshot,
    observed: Observed,
    kept: Mapping[DeploymentName, Versions],
    standing: Mapping[ReplicaName, Standing],
    memory: Memory,
    now: datetime,
) -> Mapping[DeploymentName, Course]:
    deployments = {one.name: one for one in observed.deployments}
    before = {one.name: one for one in observed.decision.deployments}
    return {
        name: course(
            _usable(name, kept.get(name, Versions())),
            asked,
            deployments[name].update,
            standing=standing,
            before=before.get(name),
            mark=None
            if is_suspended(deployments[name], observed.fleet)
            else memory.marks.get(name),
            now=now,
        )
        for name, asked in asked_for(snapshot, observed).items()
    }


def is_suspended(deployment: Deployment, fleet: Fleet) -> bool:
    """Whether people want nothing of a deployment touched: then no version of it fails either."""
    return deployment.suspend or fleet.suspend


def _usable(name: DeploymentName, kept: Versions) -> Versions:
    """The kept versions, without a good one that this program no longer understands."""
    if kept.good is not None and kept.rejected is not None and understood(kept.good, name) is None:
        return replace(kept, good=None)
    return kept


def _with_versions(
    observed: Observed, snapshot: Snapshot, courses: Mapping[DeploymentName, Course]
) -> Observed:
    """Let the last good version stand for what people ask for, where that was rejected."""
    asked = asked_for(snapshot, observed)
    main = {one.name: one for one in observed.deployments}
    good: dict[DeploymentName, tuple[Deployment, TemplateBundle]] = {}
    for name, going in courses.items():
        if going.wanted != asked[name] and (found := understood(going.wanted, name)) is not None:
            deployment, bundle = found
            good[name] = (_as_main_says_now(deployment, main[name]), bundle)
    if not good:
        return observed
    return replace(
        observed,
        deployments=tuple(
            good[one.name][0] if one.name in good else one for one in observed.deployments
        ),
        own_bundles={name: bundle for name, (_, bundle) in good.items()},
    )


def _as_main_says_now(kept: Deployment, asked: Deployment) -> Deployment:
    """A kept version, but for whether it is suspended and who may run it twice.

    Which no version has to say: a host that is cut off knows only what it was told last. Nor has
    one that starts its extra copy first, where main says by now that there is only one. And but
    for its file: people look into main.
    """
    only_one = asked.disconnect.stop_after is not None
    strategy = UpdateStrategy.STOP_FIRST if only_one else kept.update.strategy
    return replace(
        kept,
        suspend=asked.suspend,
        disconnect=asked.disconnect,
        update=replace(kept.update, strategy=strategy),
        place=asked.place,
    )


def _suspended(
    observed: Observed, nodes: tuple[Node, ...], previous: tuple[Placement, ...]
) -> Mapping[ReplicaName, Held]:
    """Name the running replicas that nobody may touch: their node, deployment or fleet says so."""
    nodes_off = {node.name for node in nodes if node.suspended}
    deployments_off = {one.name for one in observed.deployments if one.suspend}
    found: dict[ReplicaName, Held] = {}
    for one in previous:
        if observed.fleet.suspend:
            found[one.replica] = Held(Because.SUSPENDED, "the fleet is suspended")
        elif one.deployment in deployments_off:
            found[one.replica] = Held(Because.SUSPENDED, f"{one.deployment} is suspended")
        elif one.node in nodes_off:
            found[one.replica] = Held(Because.SUSPENDED, f"{one.node} is suspended")
    return found
