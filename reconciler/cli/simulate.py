"""`miaas simulate`: the plan that would follow if machines came or went, or more were asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from reconciler.cli.clock import even_clock
from reconciler.cli.codes import Code, UsageError
from reconciler.cli.plan import asked_snapshot
from reconciler.cli.plan_output import written
from reconciler.cli.plan_texts import Previewed
from reconciler.cli.steps import removals_of
from reconciler.cli.suggest import hint
from reconciler.cli.terminal import Terminal
from reconciler.decide import decide
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Observed
from reconciler.preview import preview_of_aim, waiting_for_a_word
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rolling.marks import Memory
from reconciler.supposing import Supposed, moved_back, suppose, volumes_lost
from reconciler.web.looking import first_sightings
from reconciler.web.words import enumerate_names
from schemas.deployment import Deployment, parse_deployment
from schemas.machine import Machine, parse_machine
from schemas.names import NodeName


def run(arguments: argparse.Namespace, terminal: Terminal, environ: Mapping[str, str]) -> Code:
    """Decide as the reconciler would if it were so, and show the difference."""
    if not (arguments.lose or arguments.add or arguments.deploy):
        raise UsageError("what is to be supposed? Give --lose NODE, --add FILE or --deploy FILE")
    supposed = Supposed(
        lost=tuple(map(NodeName, dict.fromkeys(arguments.lose))),
        machines=tuple(_machine(Path(path)) for path in arguments.add),
        deployments=tuple(_deployment(Path(path)) for path in arguments.deploy),
    )
    real = asked_snapshot(arguments, environ)
    observed = observe(real)
    _check_lost(supposed, observed)
    now = even_clock()()
    snapshot, origins = suppose(real, observed, supposed, now)
    memory = Memory(sightings=first_sightings(observe(snapshot).heartbeats, now))
    with closing(BoundedRenderer()) as renderer:
        result = decide(snapshot, now, memory, renderer)
        waiting = waiting_for_a_word(result, memory, renderer)
    found = preview_of_aim(result)
    found = replace(found, problems=tuple(moved_back(one, origins) for one in found.problems))
    shown = Previewed(
        preview=found,
        refusals=result.aim.plan.refusals,
        with_files=arguments.diff,
        waiting=waiting,
        remarks=(_told(supposed), *_warnings(observed, supposed), *removals_of(result)),
    )
    terminal.write(written(shown, arguments.output, terminal))
    return Code.PROBLEMS if found.problems else Code.FINE


def _machine(path: Path) -> Machine:
    return parse_machine(_text(path), path=str(path))


def _deployment(path: Path) -> tuple[Deployment, bytes]:
    text = _text(path)
    return parse_deployment(text, path=str(path)), text.encode()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text") from None


def _check_lost(supposed: Supposed, observed: Observed) -> None:
    known = {record.name for record in observed.records}
    for name in supposed.lost:
        if name not in known:
            raise UsageError(f"there is no node {name!r}.{hint(name, known)}")


def _told(supposed: Supposed) -> str:
    parts = [
        f"{enumerate_names(names)} {verb}"
        for names, verb in (
            (supposed.lost, "lost"),
            (tuple(machine.name for machine in supposed.machines), "added"),
            (tuple(deployment.name for deployment, _ in supposed.deployments), "deployed"),
        )
        if names
    ]
    return f"Supposed: {', '.join(parts)}."


def _warnings(observed: Observed, supposed: Supposed) -> list[str]:
    return [
        f"The volumes of {enumerate_names(replicas)} are on {node} only, and would be lost with it."
        for node, replicas in volumes_lost(observed, supposed).items()
    ]
