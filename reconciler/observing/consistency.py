"""What no document can say for itself: whether it goes together with the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.observing.documents import Problems
from reconciler.observing.snapshot import TemplateBundle
from schemas.deployment import Deployment, VolumeMoves
from schemas.fencing import unsafe
from schemas.fleet import Fleet
from schemas.layout import DEPLOYMENTS, NODES
from schemas.marks import Keys
from schemas.names import DeploymentName, NodeName, TemplateName
from schemas.problem import Problem
from schemas.quantity import format_duration
from schemas.rollout import UpdateStrategy
from schemas.words import nearest


def inconsistent(
    deployments: Iterable[Deployment],
    fleet: Fleet,
    templates: Mapping[TemplateName, TemplateBundle],
    known: Iterable[DeploymentName],
    nodes: Iterable[NodeName],
) -> Mapping[DeploymentName, Problems]:
    """Say of each deployment what about it cannot be.

    known, nodes: every name that people wrote, also in documents that are broken.
    """
    whole = tuple(deployments)
    around = circles(whole)
    names, hosts = frozenset(known), frozenset(nodes)
    found = {
        one.name: (
            *unwritten(one, names),
            *_nowhere(one, hosts),
            *((around[one.name],) if one.name in around else ()),
            *_fence(one, fleet),
            *_strategy(one, templates[one.template]),
        )
        for one in whole
    }
    return {name: problems for name, problems in found.items() if problems}


def circles(deployments: Iterable[Deployment]) -> Mapping[DeploymentName, Problem]:
    """Say of each deployment on a circle of dependsOn which circle that is."""
    by_name = {one.name: one for one in deployments}
    found: dict[DeploymentName, Problem] = {}
    for name in sorted(by_name):
        circle = _circle(name, by_name)
        if circle:
            index = by_name[name].depends_on.index(circle[1])
            place = by_name[name].marks.at("spec", "dependsOn", index)
            what = f"it depends on itself: {' -> '.join(circle)}"
            found[name] = Problem(place, what, "take one of these out of its dependsOn")
    return found


def unwritten(deployment: Deployment, known: Iterable[DeploymentName]) -> Iterator[Problem]:
    """Go through the deployments that it needs and nobody wrote."""
    names = frozenset(known)
    for keys, said, other in _needed(deployment):
        if other not in names:
            what = f"it {said} {other!r}, and there is no such deployment"
            fix = meant(other, names, f"{DEPLOYMENTS}/{other}.yaml")
            yield Problem(deployment.marks.at("spec", *keys), what, fix)


def _needed(deployment: Deployment) -> Iterator[tuple[Keys, str, DeploymentName]]:
    """Go through the deployments that it needs: where in `spec` it says so, how, and whom."""
    for index, other in enumerate(deployment.depends_on):
        yield ("dependsOn", index), "depends on", other
    for index, near in enumerate(deployment.placement.near):
        for at, other in enumerate(near.deployments):
            yield ("placement", "near", index, "deployments", at), "has to be near", other


def _nowhere(deployment: Deployment, nodes: Iterable[NodeName]) -> Iterator[Problem]:
    """Say that nobody wrote any of the nodes that it is pinned to."""
    names, pins = frozenset(nodes), deployment.placement.pin
    if pins and names.isdisjoint(pins):
        yield no_such_node(deployment, 0, names)


def no_such_node(deployment: Deployment, index: int, nodes: frozenset[NodeName]) -> Problem:
    """Say of a node in a pin that nobody wrote it."""
    node = deployment.placement.pin[index]
    place = deployment.marks.at("spec", "placement", "pin", index)
    what = f"it is pinned to {node!r}, and there is no such node"
    return Problem(place, what, meant(node, nodes, f"{NODES}/{node}.yaml"))


def meant(name: str, known: Iterable[str], path: str) -> str:
    """Say what a name that nobody has was probably meant to be. path: where it would stand."""
    near = nearest(name, sorted(known))
    return f"did you mean {near!r}?" if near else f"write {path}, or take it out"


def _fence(one: Deployment, fleet: Fleet) -> Iterator[Problem]:
    """Go through what is wrong with its settings for silence."""
    lose, late = one.disconnect.lose_after, fleet.timings.late
    if lose is not None and lose < late:
        what = (
            f"disconnect.loseAfter is {format_duration(lose)}, and a node is late only after "
            f"{format_duration(late)} (timings.late of fleet.yaml)"
        )
        place = one.marks.at("spec", "disconnect", "loseAfter")
        yield Problem(place, what, f"set it to at least {format_duration(late)}")
    elif (said := unsafe(fleet.timings, one.disconnect)) is not None:
        yield Problem(one.marks.at("spec", "disconnect", "stopAfter"), *said)


def _strategy(one: Deployment, bundle: TemplateBundle) -> Iterator[Problem]:
    """Go through what forbids an extra replica during a rollout."""
    if one.update.strategy is not UpdateStrategy.START_FIRST:
        return
    place = one.marks.at("spec", "update", "strategy")
    if one.disconnect.stop_after is not None:
        what = "startFirst runs an extra copy, and disconnect.stopAfter says that there is only one"
        yield Problem(place, what, "use stopFirst, or take stopAfter away")
    elif bundle.template.volumes and one.on_move is VolumeMoves.STAY:
        what = "startFirst runs an extra copy, and that one would not have the data of its volumes"
        yield Problem(place, what, "use stopFirst, or say `volumes: {onMove: lose}`")


def _circle(
    name: DeploymentName, by_name: Mapping[DeploymentName, Deployment]
) -> list[DeploymentName]:
    """The shortest way from a deployment back to itself; empty: there is none."""
    ways = [[name]]
    seen: set[DeploymentName] = set()
    while ways:
        longer = []
        for way in ways:
            one = by_name.get(way[-1])
            for other in one.depends_on if one else ():
                if other == name:
                    return [*way, name]
                if other not in seen:
                    seen.add(other)
                    longer.append([*way, other])
        ways = longer
    return []
