"""What one pass reads, before anything is understood, and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.assignment import Assignment, Decision
from schemas.deployment import Deployment
from schemas.fleet import Fleet
from schemas.heartbeat import Heartbeat
from schemas.leader import Leader
from schemas.names import CommitId, DeploymentName, NodeName, TemplateName, TreeId
from schemas.node import NodeRecord
from schemas.problem import Problem
from schemas.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The one read of a pass: bytes and ids, not yet understood.

    source: the commit of the desired branch, or None where a folder was read instead.
    message: of that commit, whole; of a folder, of the commit that it is without a change, if any.
    left: the last accepted commit of that branch, if `source` does not follow it: the branch was
        rewound or replaced. None: all is well.
    desired: every file of the fleet repository that counts, by path.
    builtin: the files of the built-in templates, by the path they would have in `desired`.
    too_large: paths that were not read because of their size in bytes.
    ignored: paths of `desired` that are no regular files, and were not read.
    unread: why `desired` was not read at all; then it says nothing, not that all is gone.
    decided: the tip of the assignments branch; None before the first decision.
    assignments: every file of that tip by path, the rendered ones too.
    folders: tree id of every folder of that tip, by path.
    assigned: where each node's own ref stands. projected: the root tree of that commit.
    led: where the ref of the leader's lease stands; None: there is none. leader: its document.
    renewed: when that commit was made, by the clock of who leads; None: nobody knows.
    heartbeats: bytes of each node's heartbeat.json, by the name in its ref.
    unreadable: refs of machines of which nothing could be read, with why. Of a node's own ref it
        is known where it stands.
    supposed_lost: nodes that only `simulate` takes away: whoever names one made no mistake.
    """

    source: CommitId | None
    desired: Mapping[str, bytes]
    message: str = ""
    left: CommitId | None = None
    builtin: Mapping[str, bytes] = field(default_factory=dict)
    too_large: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    unread: tuple[Problem, ...] = ()
    decided: CommitId | None = None
    assignments: Mapping[str, bytes] = field(default_factory=dict)
    folders: Mapping[str, TreeId] = field(default_factory=dict)
    assigned: Mapping[NodeName, CommitId] = field(default_factory=dict)
    projected: Mapping[NodeName, TreeId] = field(default_factory=dict)
    led: CommitId | None = None
    leader: bytes = b""
    renewed: datetime | None = None
    heartbeats: Mapping[NodeName, bytes] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    supposed_lost: tuple[NodeName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateBundle:
    """A template with the files that belong to it, by path inside its folder."""

    template: Template
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that was understood, and the problems of what was not.

    source: the commit of the desired branch that is in force: the last accepted one, if the branch
        left it. None where a folder was read instead.
    held: deployments that must stay as they last were, with the problems that hold them.
    aside: held ones whose own documents can be understood, as main has them: what they ask for.
    problems: those of documents that belong to no deployment.
    frozen: why nothing at all may change, such as a broken fleet.yaml; empty: all is well. Then
        `fleet` may be a stand-in, and what every node has been told stays as it is.
    records: of a node whose document is broken, a cordoned stand-in.
    leader: the lease that stands, free or not; None: there is none that can be understood.
    renewed: when it was written, by its holder's clock; None: nobody knows.
    broken_nodes: the problems of node documents, by the node that each is to speak of.
    unreadable: the problems of heartbeats that could not be understood.
    odd_refs: the problems of other refs of machines that could not be read.
    own_bundles: templates that are one deployment's own: as they were when it last was good.
    """

    source: CommitId | None
    fleet: Fleet
    deployments: tuple[Deployment, ...]
    templates: Mapping[TemplateName, TemplateBundle]
    records: tuple[NodeRecord, ...]
    heartbeats: tuple[Heartbeat, ...]
    assignments: Mapping[NodeName, Assignment]
    decision: Decision
    held: Mapping[DeploymentName, tuple[Problem, ...]]
    problems: tuple[Problem, ...]
    frozen: tuple[Problem, ...] = ()
    leader: Leader | None = None
    renewed: datetime | None = None
    unreadable: Mapping[NodeName, tuple[Problem, ...]] = field(default_factory=dict)
    odd_refs: tuple[Problem, ...] = ()
    own_bundles: Mapping[DeploymentName, TemplateBundle] = field(default_factory=dict)
    aside: Mapping[DeploymentName, Deployment] = field(default_factory=dict)
    broken_nodes: Mapping[NodeName, tuple[Problem, ...]] = field(default_factory=dict)

    @property
    def lease(self) -> timedelta | None:
        """How long the leader may be silent; None: none is elected.

        Where the settings cannot be read, an election goes on as the leader has it.
        """
        if not self.frozen:
            return self.fleet.lease
        return timedelta(seconds=self.leader.lease_seconds) if self.leader else None

    @property
    def leads(self) -> Leader | None:
        """The lease of who leads; None: none is elected, or the lease is free."""
        is_free = self.lease is None or self.leader is None or self.leader.released
        return None if is_free else self.leader

    def bundle(self, deployment: Deployment) -> TemplateBundle | None:
        """The template that a deployment is made from; None: there is none that can be used."""
        return self.own_bundles.get(deployment.name) or self.templates.get(deployment.template)
