"""From bytes to facts: everything that a pass read, understood, with what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from reconciler.observing.bounds import LOST_MAX
from reconciler.observing.consistency import inconsistent
from reconciler.observing.counting import FOLDERS
from reconciler.observing.deployments import Sorted, hides_deployments, sort_deployments
from reconciler.observing.documents import (
    Problems,
    document,
    leader_of,
    no_folder,
    read_assignment,
    read_decision,
    read_fleet,
    read_heartbeat,
    rewound,
)
from reconciler.observing.nodes import Admitted, admitted
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.observing.spoilt import spoilt
from reconciler.observing.templates import Catalogue, catalogue
from schemas.assignment import Assignment, Decision
from schemas.fleet import Fleet
from schemas.heartbeat import Heartbeat
from schemas.layout import (
    ASSIGNMENT_FILE,
    DECISION_FILE,
    FLEET_FILE,
    HEARTBEAT_FILE,
    NODE_REFS,
    NODES,
    heartbeat_ref,
)
from schemas.names import CommitId, DeploymentName, FleetName, NodeName, ReplicaName
from schemas.problem import Place, Problem

T = TypeVar("T")

_STAND_IN: Final = Fleet(name=FleetName("unknown"))


def observe(snapshot: Snapshot) -> Observed:
    """Understand a snapshot. A bad document is a problem in the result and stops no other one.

    Raises:
        BadDocumentError: what we decided before cannot be understood; it names the commit.
    """
    assignments, decision = _decided(snapshot)
    fleet, frozen = _fleet(snapshot)
    nodes = admitted(snapshot)
    templates = catalogue(snapshot)
    deployments = sort_deployments(snapshot, templates)
    heartbeats, unreadable = _heartbeats(snapshot, assignments, decision)
    broken_templates = [p for name in sorted(templates.broken) for p in templates.broken[name]]
    _hold_behind_links(deployments, snapshot, assignments)
    _hold_on_unknown_nodes(deployments, nodes, unreadable, assignments)
    hosts = (*(record.name for record in nodes.records), *snapshot.supposed_lost)
    _hold_inconsistent(deployments, fleet, templates, hosts)
    if frozen:
        _hold_all(deployments, assignments, frozen)
    return Observed(
        source=snapshot.left or snapshot.source,
        fleet=fleet,
        deployments=tuple(sorted(deployments.whole, key=lambda one: one.name)),
        templates=templates.usable,
        records=tuple(nodes.records),
        heartbeats=heartbeats,
        assignments=assignments,
        decision=decision,
        held=dict(sorted(deployments.held.items())),
        aside={} if snapshot.left else dict(sorted(deployments.aside.items())),
        problems=(*frozen, *nodes.problems, *broken_templates, *deployments.problems),
        frozen=frozen,
        leader=leader_of(snapshot.leader),
        renewed=snapshot.renewed,
        unreadable=unreadable,
        odd_refs=_odd_refs(snapshot),
        broken_nodes=nodes.broken,
    )


def frozen_by(snapshot: Snapshot) -> Problems:
    """Why nothing at all may change; empty: all is well."""
    return _fleet(snapshot)[1]


def _decided(snapshot: Snapshot) -> tuple[Mapping[NodeName, Assignment], Decision]:
    at = snapshot.decided
    assignments: dict[NodeName, Assignment] = {}
    for path, content in sorted(snapshot.assignments.items()):
        folder, _, file = path.rpartition("/")
        if file == ASSIGNMENT_FILE and folder.rpartition("/")[0] == NODES:
            assignment = _ours(read_assignment(content, path), at)
            assignments[assignment.node] = assignment
    if DECISION_FILE not in snapshot.assignments:
        return assignments, Decision()
    told = snapshot.assignments[DECISION_FILE]
    return assignments, _ours(read_decision(told, DECISION_FILE), at)


def _ours(document: T | Problems, decided: CommitId | None) -> T:
    if isinstance(document, tuple):
        raise spoilt(document, decided)
    return document


def _fleet(snapshot: Snapshot) -> tuple[Fleet, Problems]:
    """The fleet's settings, or a stand-in and why nothing may change until they can be read."""
    if snapshot.left:
        return _STAND_IN, (rewound(snapshot.left, snapshot.source),)
    if snapshot.unread:
        return _STAND_IN, snapshot.unread
    if absent := tuple(no_folder(path) for path in snapshot.ignored if path in FOLDERS):
        return _STAND_IN, absent
    known = {*snapshot.desired, *snapshot.too_large, *snapshot.ignored}
    if FLEET_FILE not in known:
        # An empty or foreign branch must never look like the wish to stop everything.
        what = "the file is missing, so nothing is changed anywhere"
        fix = "write it, or point the reconciler at the branch that has it"
        return _STAND_IN, (Problem(Place(FLEET_FILE), what, fix),)
    found = document(snapshot, FLEET_FILE, read_fleet)
    return (_STAND_IN, found) if isinstance(found, tuple) else (found, ())


def _heartbeats(
    snapshot: Snapshot, assignments: Mapping[NodeName, Assignment], decision: Decision
) -> tuple[tuple[Heartbeat, ...], Mapping[NodeName, Problems]]:
    understood: list[Heartbeat] = []
    unreadable: dict[NodeName, Problems] = {}
    epochs = {tenure.replica: tenure.epoch for tenure in decision.tenures}
    for node, content in sorted(snapshot.heartbeats.items()):
        path = f"{heartbeat_ref(node)}/{HEARTBEAT_FILE}"
        found = read_heartbeat(content, path)
        if isinstance(found, tuple):
            unreadable[node] = found
        elif found.node != node:
            what = f"the heartbeat says that it is of {found.node!r}"
            unreadable[node] = (Problem(Place(path), what, "give each agent its own name"),)
        elif what := _too_far(found, assignments.get(node), epochs):
            unreadable[node] = (Problem(Place(path), what, "look at that agent"),)
        else:
            understood.append(found)
    for path in sorted(snapshot.too_large):
        if path.startswith(heartbeat_ref(NodeName(""))):
            name = NodeName(path.removesuffix(f"/{HEARTBEAT_FILE}").rpartition("/")[2])
            what = f"the heartbeat has {snapshot.too_large[path]} bytes, more than is read"
            unreadable[name] = (Problem(Place(path), what, "look at that agent"),)
    for ref, why in sorted(snapshot.unreadable.items()):
        if ref.startswith(NODE_REFS):
            what = f"the heartbeat cannot be read: {why}"
            fix = "look at that agent: it alone pushes to this ref, one commit with one file"
            unreadable[NodeName(ref.removeprefix(NODE_REFS))] = (Problem(Place(ref), what, fix),)
    return tuple(understood), unreadable


def _too_far(
    beat: Heartbeat, assignment: Assignment | None, epochs: Mapping[ReplicaName, int]
) -> str:
    """Say which number of a heartbeat is no more than a claim; empty: none is.

    We count on from what agents obey once the state was restored, so nobody may use numbers up.
    """
    last = assignment.generation if assignment is not None else 0
    for claimed in (beat.generation, beat.accepted_generation):
        if claimed > last + LOST_MAX:
            return f"the heartbeat names generation {claimed}, and {last} is the last published"
    for one in beat.replicas:
        known = epochs.get(one.name, 0)
        if one.epoch > known + LOST_MAX:
            return f"the heartbeat names grant {one.epoch} of {one.name}, and {known} is the last"
    return ""


def _odd_refs(snapshot: Snapshot) -> Problems:
    fix = "look at who else pushes to it: the reconciler alone may, and it writes it anew"
    return tuple(
        Problem(Place(ref), f"the ref cannot be read: {why}", fix)
        for ref, why in sorted(snapshot.unreadable.items())
        if not ref.startswith(NODE_REFS)
    )


def _hold_behind_links(
    deployments: Sorted, snapshot: Snapshot, assignments: Mapping[NodeName, Assignment]
) -> None:
    """Hold what runs and has no file, where a link hides files: it need not have been removed."""
    hidden = tuple(no_folder(path) for path in snapshot.ignored if hides_deployments(path))
    deployments.problems += hidden
    known = {one.name for one in deployments.whole} | deployments.held.keys()
    for name in sorted(_running(assignments) - known if hidden else ()):
        _hold(deployments, name, hidden)


def _hold_on_unknown_nodes(
    deployments: Sorted,
    nodes: Admitted,
    unreadable: Mapping[NodeName, Problems],
    assignments: Mapping[NodeName, Assignment],
) -> None:
    """Hold what runs on a node whose labels are not known: it could seem to have to go."""
    admitted_names = {record.name for record in nodes.records}
    mute = {name: (_mute(name),) for name in unreadable if name in admitted_names}
    for name, problems in sorted({**mute, **nodes.broken}.items()):
        assignment = assignments.get(name)
        for replica in assignment.replicas if assignment else ():
            _hold(deployments, replica.deployment, problems)


def _mute(name: NodeName) -> Problem:
    # The same words whatever the agent sends, or each of its heartbeats would make a commit.
    place = Place(f"{heartbeat_ref(name)}/{HEARTBEAT_FILE}")
    what = f"the heartbeat of the node {name!r} cannot be understood, so what it runs is left alone"
    return Problem(place, what, "look at that agent, and whether it is of another version")


def _hold_inconsistent(
    deployments: Sorted, fleet: Fleet, templates: Catalogue, hosts: Iterable[NodeName]
) -> None:
    """Hold what does not go together with the others, the nodes or the fleet's settings."""
    known = [*(one.name for one in deployments.whole), *deployments.held]
    found = inconsistent(deployments.whole, fleet, templates.usable, known, hosts)
    for name, problems in sorted(found.items()):
        _hold(deployments, name, problems)


def _hold_all(
    deployments: Sorted, assignments: Mapping[NodeName, Assignment], frozen: Problems
) -> None:
    for name in sorted({*_running(assignments), *(one.name for one in deployments.whole)}):
        _hold(deployments, name, frozen)


def _running(assignments: Mapping[NodeName, Assignment]) -> set[DeploymentName]:
    return {one.deployment for each in assignments.values() for one in each.replicas}


def _hold(deployments: Sorted, name: DeploymentName, problems: Iterable[Problem]) -> None:
    known = deployments.held.get(name, ())
    deployments.held[name] = (*known, *(one for one in problems if one not in known))
    deployments.aside.update({one.name: one for one in deployments.whole if one.name == name})
    deployments.whole = [one for one in deployments.whole if one.name != name]
