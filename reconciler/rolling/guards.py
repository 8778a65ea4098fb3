"""Brakes against a commit that takes away too much at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.guards import LEAST_REMOVALS, Guards
from schemas.names import DeploymentName


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
