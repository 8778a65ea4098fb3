"""Who has to make room for one that is more important: the fewest, and the least important."""

from __future__ import annotations

import numpy as np

from reconciler.placing.checks import FREE_CHECKS
from reconciler.placing.draft import Draft
from reconciler.placing.ground import Bools
from reconciler.placing.hosted import Hosted
from reconciler.placing.plan import Need, Placement


def make_room(need: Need, draft: Draft, allowed: Bools) -> list[Placement]:
    """Return who must leave one node so that one more replica fits there; empty if none will do.

    Only replicas of strictly lower priority, never those tied to their node or held. Of all nodes
    the one with the fewest victims, then the least important ones, then the first name.
    """
    best: tuple[tuple[int, int, str], list[Placement]] | None = None
    for row in np.flatnonzero(draft.ask(need).allowed & allowed).tolist():
        lower = _lower(need, row, draft)
        if not lower or (best is not None and best[0][0] == 1 and _cannot_win(lower, best[0])):
            continue
        victims = fewest(need, draft.hosted(row), lower)
        if victims:
            name = draft.ground.nodes[row].name
            key = (len(victims), sum(one.priority for one in victims), name)
            best = (key, victims) if best is None or key < best[0] else best
    return best[1] if best is not None else []


def _cannot_win(lower: list[Placement], key: tuple[int, int, str]) -> bool:
    """Whether even the least important of them alone would be no better."""
    return lower[0].priority > key[1]


def _lower(need: Need, row: int, draft: Draft) -> list[Placement]:
    """Who may be pushed out of a row, the least important and smallest first."""
    able = [
        one
        for one in draft.on_row[row].values()
        if one.priority < need.priority and not one.pinned and not draft.holds(one)
    ]
    return sorted(able, key=lambda one: (one.priority, _size(one), one.replica))


def _size(one: Placement) -> tuple[int, int]:
    return (sum(share.memory_mib for share in one.gpus), one.resources.memory_mib)


def fewest(need: Need, host: Hosted, lower: list[Placement]) -> list[Placement]:
    """Find one victim that is enough; else take from the bottom up and spare who is not needed."""
    for one in lower:
        host.remove(one)
        if _fits(need, host):
            return [one]
        host.add(one)
    gone: list[Placement] = []
    for one in lower:
        host.remove(one)
        gone.append(one)
        if _fits(need, host):
            break
    else:
        return []
    return _spared(need, host, gone)


def _spared(need: Need, host: Hosted, gone: list[Placement]) -> list[Placement]:
    """Let back in whoever need not have gone, the most important first."""
    needed = []
    for one in reversed(gone):
        host.add(one)
        if not _fits(need, host):
            host.remove(one)
            needed.append(one)
    return needed


def _fits(need: Need, host: Hosted) -> bool:
    return not any(check(need, host) for check in FREE_CHECKS)
