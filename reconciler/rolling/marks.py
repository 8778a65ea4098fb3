"""What one reconciler remembers from pass to pass, beside what Git says; by its own steady clock.

Losing it makes it wait longer, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.observing.inventory import Sightings, forgiven
from schemas.names import DeploymentName, NodeName, ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a version of a deployment had come in.

    revision: of its inputs. reached: replicas that were published in it. ready: those of them that
    were ready. since: when one more was reached or got ready, or none was on its way.
    proven_since: since when its canaries are ready; None: they are not. untouched: those that it
    did not change, as where only `replicas` differs; how they fare says nothing about it.
    unready: those that were reached and not ready when they were last seen in it, wherever they
    are by now.
    """

    revision: str
    since: datetime
    reached: frozenset[ReplicaName] = frozenset()
    ready: frozenset[ReplicaName] = frozenset()
    proven_since: datetime | None = None
    untouched: frozenset[ReplicaName] = frozenset()
    unready: frozenset[ReplicaName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that is remembered.

    evacuated: when work was last moved away from a lost node. doubts: since when nobody knows who
    holds a replica. generations: of each node's assignment, as last seen or published; ran: the
    deployments that these had replicas of.
    restored_at: when the state was last found older than it had been; None: never. rescheduled_at:
    when a replica last left a node on which it kept failing; None: none did. failing: since when
    replicas fail. read_at: when both remotes were last read; None: never yet. paused: we look again
    after a while in which we did not; what is found then may be older than what others decided
    meanwhile.
    """

    sightings: Sightings = field(default_factory=dict)
    marks: Mapping[DeploymentName, Mark] = field(default_factory=dict)
    evacuated: Mapping[NodeName, datetime] = field(default_factory=dict)
    doubts: Mapping[ReplicaName, datetime] = field(default_factory=dict)
    generations: Mapping[NodeName, int] = field(default_factory=dict)
    ran: frozenset[DeploymentName] = frozenset()
    restored_at: datetime | None = None
    rescheduled_at: datetime | None = None
    failing: Mapping[ReplicaName, datetime] = field(default_factory=dict)
    read_at: datetime | None = None
    paused: bool = False

    def after_a_gap(self, now: datetime, longest: timedelta) -> Memory:
        """What silence means if nobody looked for longer than `longest`: nothing.

        The fault may have been ours or the Git server's, and then it says nothing about the nodes.
        """
        if self.read_at is not None and now - self.read_at <= longest:
            return self
        return self.forgiving(now)

    def forgiving(self, now: datetime) -> Memory:
        """Every node counts as seen now, and has yet to speak."""
        return replace(self, sightings=forgiven(self.sightings, now), paused=True)

    def blind_to_a_restore(self, later: Memory) -> Memory:
        """What is known later, as if no restore had been found: the next pass finds it again."""
        return replace(
            later, generations=self.generations, ran=self.ran, restored_at=self.restored_at
        )

    def doubted_for(self, now: datetime) -> Mapping[ReplicaName, timedelta]:
        """For how long nobody knows who holds a replica."""
        return {name: now - since for name, since in self.doubts.items()}


def marked(  # noqa: PLR0913 - all that is noted of one version
    before: Mark | None,
    revision: str,
    now: datetime,
    *,
    reached: frozenset[ReplicaName],
    ready: frozenset[ReplicaName],
    on_the_way: bool,
    proven: bool,
    begins: bool,
) -> Mark:
    """Note how far a version has come in.

    on_the_way: whether some replica was published in it and could be ready by now. proven: whether
    there are canaries and all of them are ready. begins: whether nothing was published of it yet.
    """
    same = before if before is not None and before.revision == revision else None
    is_progress = same is None or not (reached <= same.reached and ready <= same.ready)
    since = now if same is None or is_progress or not on_the_way else same.since
    proven_since = (same.proven_since if same else None) or now
    # What a version before it touched that never became the good one is not as it was, either.
    touched = before.reached - before.untouched if before is not None else frozenset[ReplicaName]()
    untouched = reached - touched if begins else frozenset[ReplicaName]()
    untouched = reached & (same.untouched if same is not None else untouched)
    unready = (same.unready if same is not None else frozenset()) | (reached - ready)
    return Mark(
        revision=revision,
        since=min(since, now),
        reached=reached,
        ready=ready,
        proven_since=min(proven_since, now) if proven else None,
        untouched=untouched,
        unready=unready - ready - untouched,
    )
