"""`miaas explain`: why a deployment is where it is, and why it is not elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.cli.blockers import blockers, nobody_decides
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.explain_texts import explanation
from reconciler.cli.looked import Looked, look
from reconciler.cli.past import decided_at
from reconciler.cli.past_texts import past_json, past_text, remembered
from reconciler.cli.suggest import hint
from reconciler.cli.terminal import Terminal, safe
from reconciler.cli.where import where
from reconciler.cli.why_not import NodeAnswer, why_not
from reconciler.observing.causes import said
from reconciler.web.plain import dumps
from reconciler.web.views import DeploymentView, FleetView
from schemas.names import DeploymentName, NodeName
from schemas.problem import Problem


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Explain one deployment, or one replica of it, as it is or as it was."""
    # An empty revision names none, and is no wish to see how it is now.
    if arguments.at is not None:
        return _run_at(arguments, terminal, environ)
    looked = look(arguments, environ)
    one, replicas = asked_for(looked.view, arguments.name)
    answer = answer_at(looked, one, arguments.node) if arguments.node else None
    if arguments.output == "json":
        terminal.write(dumps(_plain(looked.view, one, replicas, answer)))
    elif answer is not None:
        terminal.say(safe(f"{one.name}: {answer.text}"))
    else:
        terminal.write(explanation(looked.view, one, replicas, terminal))
    return Code.FINE


def _run_at(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    past = decided_at(where(arguments, environ, Path.cwd()), environ, arguments.at)
    then = remembered(past, arguments.name)
    if then is None:
        raise UsageError(f"nothing was decided on {arguments.name!r} in {past.commit.id[:12]}")
    if arguments.output == "json":
        terminal.write(dumps(past_json(past, then)))
    else:
        terminal.write(past_text(past, then, terminal))
    return Code.FINE


def asked_for(view: FleetView, name: str) -> tuple[DeploymentView, frozenset[str]]:
    """The deployment that is meant, and which of its replicas: one, or all.

    Raises:
        UsageError: there is no such deployment or replica.
    """
    one = view.deployments_by_name.get(name)
    if one is not None:
        return one, _replicas(one)
    owner = view.deployments_by_name.get(name.rpartition("-")[0])
    if owner is not None and name in _replicas(owner):
        return owner, frozenset({name})
    known = hint(name, view.deployments_by_name)
    raise UsageError(f"there is no deployment or replica {name!r}.{known}")


def _replicas(one: DeploymentView) -> frozenset[str]:
    placed = (replica.name for replica in one.replicas)
    absent = (replica.name for replica in one.absent)
    return frozenset((*placed, *absent, *(refusal.replica for refusal in one.unplaced)))


def answer_at(looked: Looked, one: DeploymentView, node: str) -> NodeAnswer:
    """Say why a deployment is not on a node, or that it is.

    Raises:
        UsageError: there is no such node.
    """
    if node not in looked.view.nodes_by_name:
        known = hint(node, looked.view.nodes_by_name)
        raise UsageError(f"there is no node {node!r}.{known}")
    name = DeploymentName(one.name)
    wanted = {d.name: d for d in looked.facts.observed.deployments}
    if name not in wanted or name in looked.facts.held:
        why = _stays(looked.facts.held.get(name, ()))
        here = tuple(r.name for r in one.replicas if r.node == node)
        return NodeAnswer(deployment=name, node=node, here=here, objections=(why,))
    if node not in {judged.name for judged in looked.facts.nodes}:
        why = f"{node} gets nothing until nodes/{node}.yaml is committed"
        return NodeAnswer(deployment=name, node=node, here=(), objections=(why,))
    return why_not(looked.facts, name, NodeName(node))


def _stays(problems: Sequence[Problem]) -> str:
    return f"it stays as it last was: {said(problems)}" if problems else "it is no longer wanted"


def _plain(
    view: FleetView, one: DeploymentView, replicas: frozenset[str], answer: NodeAnswer | None
) -> dict[str, object]:
    value: dict[str, object] = {
        "deployment": one.name,
        "sync": one.sync,
        "health": one.health,
        "rollout": one.rollout,
        "blockers": (*nobody_decides(view), *blockers(view, one, replicas)),
        "replicas": [r for r in one.replicas if r.name in replicas],
        "unplaced": [r for r in one.unplaced if r.replica in replicas],
        "problems": one.problems,
    }
    return value if answer is None else {**value, "node": answer}
