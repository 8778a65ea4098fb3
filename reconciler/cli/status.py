"""`miaas status`: how nodes and deployments fare, from Git alone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from reconciler.cli.blockers import nobody_decides
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.looked import Looked, look
from reconciler.cli.past import decided_at
from reconciler.cli.past_fleet_texts import all_of, fleet_past_json, fleet_past_text, some_of
from reconciler.cli.status_texts import deployment_text, fleet_text, node_text
from reconciler.cli.suggest import hint
from reconciler.cli.terminal import Terminal, safe
from reconciler.cli.where import where
from reconciler.cli.writing import DIGITS
from reconciler.web.plain import dumps
from reconciler.web.views import DeploymentView, FleetView, NodeView


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Show the fleet, or what of it has the name that was asked for, as it is or as it was."""
    # An empty revision names none, and is no wish to see how it is now.
    if arguments.at is not None:
        return _run_at(arguments, terminal, environ)
    looked = look(arguments, environ)
    named = found(looked.view, arguments.name) if arguments.name else None
    if arguments.output == "json":
        terminal.write(dumps(looked.view if named is None else _as_one(named)))
    elif named is None:
        terminal.write(fleet_text(looked.view, looked.now, terminal))
    else:
        terminal.write("\n".join(_texts(named, looked, terminal)))
    return Code.FINE


def _run_at(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    past = decided_at(where(arguments, environ, Path.cwd()), environ, arguments.at)
    shown = some_of(past, arguments.name) if arguments.name else all_of(past)
    if shown is None:
        at = past.commit.id[:DIGITS]
        raise UsageError(f"nothing was decided on {arguments.name!r} in {at}")
    if arguments.output == "json":
        terminal.write(dumps(fleet_past_json(shown)))
    else:
        terminal.write(fleet_past_text(shown, terminal))
    return Code.FINE


def found(view: FleetView, name: str) -> tuple[NodeView | DeploymentView, ...]:
    """The node and the deployment of a name; it may be both.

    Raises:
        UsageError: it is neither.
    """
    both = (view.deployments_by_name.get(name), view.nodes_by_name.get(name))
    named = tuple(one for one in both if one is not None)
    if not named:
        known = {*view.deployments_by_name, *view.nodes_by_name}
        raise UsageError(f"there is no node or deployment {name!r}.{hint(name, known)}")
    return named


def _as_one(named: tuple[NodeView | DeploymentView, ...]) -> dict[str, object]:
    return {"node" if isinstance(one, NodeView) else "deployment": one for one in named}


def _texts(
    named: tuple[NodeView | DeploymentView, ...], looked: Looked, terminal: Terminal
) -> list[str]:
    unled = [f"{safe(text)}\n" for text in nobody_decides(looked.view)]
    return unled + [
        node_text(one, looked.now, terminal)
        if isinstance(one, NodeView)
        else deployment_text(one, looked.now, terminal)
        for one in named
    ]
