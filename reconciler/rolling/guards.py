"""Brakes against a commit that takes away too much at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.rolling.holding import Because, Held
from schemas.guards import LEAST_REMOVALS, Guards
from schemas.names import DeploymentName


def removals_held(
    guards: Guards, running: Iterable[DeploymentName], wanted: Iterable[DeploymentName]
) -> tuple[frozenset[DeploymentName], Held | None]:
    """Name the deployments that run and are wanted no longer, if they are too many; and say why.

    Nobody, and None, where they are few enough.
    """
    known = frozenset(running)
    gone = known - frozenset(wanted)
    most = guards.max_removals.of(len(known), least=LEAST_REMOVALS)
    if len(gone) <= most:
        return frozenset(), None
    text = (
        f"main removes {len(gone)} of {len(known)} running deployments, and guards.maxRemovals "
        f"({guards.max_removals}) allows {most}. If that is meant, say "
        "`Miaas-Allow-Removals: yes` in the message of the newest commit"
    )
    return gone, Held(Because.REMOVALS, text)
