"""`miaas plan`: what a push would change, and nothing is changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from reconciler.cli.clock import even_clock
from reconciler.cli.codes import Code
from reconciler.cli.committed import read_tree
from reconciler.cli.plan_output import written
from reconciler.cli.plan_texts import Previewed
from reconciler.cli.proposal_texts import Proposal
from reconciler.cli.remotes import read_committed, read_with
from reconciler.cli.steps import remarks_of, steps_of
from reconciler.cli.terminal import Terminal
from reconciler.cli.validate import work_tree
from reconciler.cli.where import enclosing_tree, where
from reconciler.decide import Pass, decide
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import preview_of_aim, waiting_for_a_word
from reconciler.rebalancing import PROPOSED, proposals, unrest
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rolling.marks import Memory
from reconciler.web.deployments import held_by
from reconciler.web.looking import first_sightings


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Decide as the reconciler would, and show the difference."""
    clock = even_clock()
    snapshot = asked_snapshot(arguments, environ)
    now = clock()
    memory = Memory(sightings=first_sightings(observe(snapshot).heartbeats, now))
    with closing(BoundedRenderer()) as renderer:
        result = decide(snapshot, now, memory, renderer)
        waiting = waiting_for_a_word(result, memory, renderer)
    shown = Previewed(
        preview=preview_of_aim(result),
        refusals=result.aim.plan.refusals,
        with_files=arguments.diff,
        remarks=remarks_of(result, now),
        steps=steps_of(result),
        waiting=waiting,
        holds=held_by(result.held),
        rebalance=_proposal(result) if arguments.rebalance else None,
    )
    terminal.write(written(shown, arguments.output, terminal))
    if shown.preview.problems:
        return Code.PROBLEMS
    pending = arguments.detailed_exitcode and bool(shown.preview.replicas or shown.waiting)
    return Code.PENDING if pending else Code.FINE


def _proposal(result: Pass) -> Proposal:
    budget = result.observed.fleet.rebalance
    most = max(PROPOSED, budget.moves_per_pass)
    return Proposal(proposals(result, most), budget, unrest(result))


def asked_snapshot(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Snapshot:
    """Read the work tree that is meant, else what is committed; and what machines say.

    Raises:
        UsageError: there is no fleet there.
        RepositoryError: a remote does not answer.
    """
    here = Path.cwd()
    tree = work_tree(Path(arguments.path)) if arguments.path else enclosing_tree(here)
    if tree is None or (arguments.desired and not arguments.path):
        return read_committed(where(arguments, environ, here), environ)
    # What is planned is the work tree; its origin tells only where the machines' word is.
    return read_with(
        read_tree(tree, environ), where(arguments, environ, tree), environ, even_clock()()
    )
