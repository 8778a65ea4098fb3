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
from reconciler.cli.remotes import Asked, read_committed, read_with
from reconciler.cli.steps import remarks_of, remarks_on, steps_of
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
    asked = asked_for(arguments, environ)
    snapshot, now = asked.snapshot, clock()
    memory = Memory(sightings=first_sightings(observe(snapshot).heartbeats, now))
    with closing(BoundedRenderer()) as renderer:
        result = decide(snapshot, now, memory, renderer)
        waiting = waiting_for_a_word(result, memory, renderer)
    shown = Previewed(
        preview=preview_of_aim(result),
        refusals=result.aim.plan.refusals,
        with_files=arguments.diff,
        remarks=(*_of_main(asked, result), *remarks_of(result, now)),
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


def _of_main(asked: Asked, result: Pass) -> tuple[str, ...]:
    """Say whether the reconciler may do at all what is planned of a work tree."""
    if asked.unread:
        return (f"main was not read, so whether anything may change is unknown: {asked.unread}.",)
    return () if asked.pushed is None else remarks_on(asked.pushed, result)


def _proposal(result: Pass) -> Proposal:
    budget = result.observed.fleet.rebalance
    most = max(PROPOSED, budget.moves_per_pass)
    return Proposal(proposals(result, most), budget, unrest(result))


def asked_snapshot(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Snapshot:
    """What is to be planned: see `asked_for`."""
    return asked_for(arguments, environ).snapshot


def asked_for(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Asked:
    """Read the work tree that is meant, else what is committed; and what machines say.

    Raises:
        UsageError: there is no fleet there.
        RepositoryError: a remote does not answer.
    """
    here = Path.cwd()
    tree = work_tree(Path(arguments.path)) if arguments.path else enclosing_tree(here)
    if tree is None or (arguments.desired and not arguments.path):
        return Asked(read_committed(where(arguments, environ, here), environ))
    # What is planned is the work tree; what is pushed only tells whether anything may change.
    return read_with(
        read_tree(tree, environ), where(arguments, environ, tree), environ, even_clock()()
    )
