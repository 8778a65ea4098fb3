"""Brakes against a commit that takes away too much at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from reconciler.observing.causes import REMOVALS_FIX
from reconciler.observing.documents import paths_of
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.observing.trailers import allows_removals
from reconciler.rolling.restores import PUT_BACK
from schemas.assignment import Decision
from schemas.guards import LEAST_REMOVALS, Guards
from schemas.names import DeploymentName
from schemas.problem import REPOSITORY, Place, Problem


def with_removals_held(snapshot: Snapshot, observed: Observed) -> Observed:
    """Hold what a commit would remove, where that is more than the fleet's guard allows.

    And what it adds: once that ran, the removals would be few among many, and go by themselves.
    What is held for another reason and has no file is on its way out as well: not counting it
    would let the others go, and then it.
    """
    if observed.frozen or allows_removals(snapshot.message):
        return observed
    running, wanted = _running(observed), _wanted(snapshot, observed)
    gone, why = removals_held(observed.fleet.guards, running, wanted)
    if why is None:
        return observed
    new = wanted - running - observed.held.keys()
    held = removals_problems(gone | new, why, observed)
    return replace(observed, held=dict(sorted({**held, **observed.held}.items())))


# How what `frozen_if_it_forgot_removals` says begins.
_FORGOTTEN: Final = f"{PUT_BACK}, and"


def forgotten(decision: Decision) -> tuple[Problem, ...]:
    """Why a decision changed nothing, where that is for removals that a state forgot; else none.

    Who did not see that state before learns of it from there alone.
    """
    return tuple(one for one in decision.problems if one.what.startswith(_FORGOTTEN))


def frozen_if_it_forgot_removals(
    snapshot: Snapshot, observed: Observed, ran: frozenset[DeploymentName]
) -> Observed:
    """Let nothing change where a state that went back would let go what the guard holds.

    What it no longer knows of nobody can hold: nodes would be told nothing of it, and stop it.

    ran: what ran before the state went back.
    """
    if observed.frozen or allows_removals(snapshot.message):
        return observed
    gone, why = removals_held(observed.fleet.guards, ran, _wanted(snapshot, observed))
    if why is None or not gone - _running(observed):
        return observed
    frozen = (Problem(REPOSITORY, f"{_FORGOTTEN} {why}", REMOVALS_FIX),)
    names = _running(observed) | observed.held.keys() | {one.name for one in observed.deployments}
    return replace(
        observed,
        frozen=frozen,
        problems=(*frozen, *observed.problems),
        held={name: (*observed.held.get(name, ()), *frozen) for name in sorted(names)},
        aside={**observed.aside, **{one.name: one for one in observed.deployments}},
        deployments=(),
    )


def _running(observed: Observed) -> frozenset[DeploymentName]:
    return frozenset(
        one.deployment for each in observed.assignments.values() for one in each.replicas
    )


def _wanted(snapshot: Snapshot, observed: Observed) -> frozenset[DeploymentName]:
    """What is to run on: what is held and has no file is on its way out as well."""
    wanted = {one.name for one in observed.deployments if one.replicas}
    held = observed.held.keys() & {PurePosixPath(one).stem for one in paths_of(snapshot)}
    return frozenset(wanted | held)


def removals_problems(
    names: Iterable[DeploymentName], why: str, observed: Observed
) -> Mapping[DeploymentName, tuple[Problem, ...]]:
    """What is wrong with deployments that the guard against removals holds, by name.

    One whose document is gone has no file to look into: nothing that is kept says which it was.
    """
    places = {one.name: Place(one.place.path) for one in observed.deployments}
    return {
        name: (Problem(places.get(name, REPOSITORY), why, REMOVALS_FIX),) for name in sorted(names)
    }


def removals_held(
    guards: Guards, running: Iterable[DeploymentName], wanted: Iterable[DeploymentName]
) -> tuple[frozenset[DeploymentName], str | None]:
    """Name the deployments that run and are wanted no longer, if they are too many; and say why.

    Nobody, and None, where they are few enough.
    """
    known = frozenset(running)
    gone = known - frozenset(wanted)
    why = too_many(guards, len(gone), len(known))
    if why is None:
        return frozenset(), None
    return gone, f"main removes {len(gone)} of {len(known)} running deployments, {why}"


def too_many(guards: Guards, gone: int, running: int) -> str | None:
    """Say that more deployments would stop at once than is allowed, as a clause; None: it is."""
    most = guards.max_removals.of(running, least=LEAST_REMOVALS)
    if gone <= most:
        return None
    return f"and guards.maxRemovals ({guards.max_removals}) allows {most}"
