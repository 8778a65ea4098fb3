"""A better arrangement of those who do not run yet, where some found no place."""

from __future__ import annotations

from typing import Final

from reconciler.placing.around import has_rules
from reconciler.placing.draft import Draft
from reconciler.placing.newcomers import ports_on, written
from reconciler.placing.plan import Need, Placement
from reconciler.placing.repack import Piece, Repack, fill
from reconciler.placing.trials import Choice
from schemas.names import ReplicaName, split_replica

# Two links take up to twice as long as one and place one or two in a hundred more where room is
# scarce; three find next to nothing more.
LINKS: Final = 2


def improve(draft: Draft, left: list[ReplicaName]) -> bool:
    """Move newcomers of this plan so that more fit. Returns whether anything changed.

    Only those take part about whom nothing has to be asked but room: no rules, no fixed ports, no
    gang. Who found its data stays with it.
    """
    waiting = [name for name in left if free_to_go(need_for(name, draft), draft)]
    if not waiting or not draft.ground.nodes:
        return False
    movable = [one for _, one in sorted(draft.placed.items()) if is_loose(one, draft)]
    names = [*(one.replica for one in movable), *waiting]
    pieces = [
        *(Piece(draft.ask(need_for(one.replica, draft)), choice_of(one, draft)) for one in movable),
        *(Piece(draft.ask(need_for(name, draft)), None) for name in waiting),
    ]
    repack = Repack(draft.core, pieces)
    changed = fill(repack, list(range(len(movable), len(names))), LINKS)
    for number in {*changed, *range(len(movable), len(names))}:
        write_down(names[number], pieces[number], draft)
    return bool(changed)


def choice_of(placement: Placement, draft: Draft) -> Choice:
    """Say a placement in rows and slots."""
    row = draft.ground.index[placement.node]
    return Choice(row, tuple(draft.shares(placement, row)[0]), placement.why.score)


def write_down(name: ReplicaName, piece: Piece, draft: Draft) -> None:
    """Bring the words in line with what the arrays say now."""
    if piece.choice is None:
        return
    need, old = need_for(name, draft), draft.placed.get(name)
    if old is not None:
        draft.unnote(old)
    ports = ports_on(name, need, piece.choice.row, draft)
    if ports is None:
        # Rare: no port is left there. It waits again, and is placed by those who look at ports.
        draft.core.out(piece.ask, piece.choice)
    else:
        draft.note(written(name, need, piece.choice, ports, draft))


def need_for(name: ReplicaName, draft: Draft) -> Need:
    """The need of a replica's deployment."""
    return draft.needs[split_replica(name)[0]]


def is_loose(one: Placement, draft: Draft) -> bool:
    """Whether it may be put elsewhere: it runs nowhere yet, and only room counts for it."""
    if one.replica in draft.before or one.deployment not in draft.needs:
        return False
    need = need_for(one.replica, draft)
    return free_to_go(need, draft) and not _has_its_data(one, need, draft)


def _has_its_data(one: Placement, need: Need, draft: Draft) -> bool:
    rows = draft.columns.volumes.get(one.replica, ())
    return need.has_data and draft.row(one) in rows


def free_to_go(need: Need, draft: Draft) -> bool:
    """Whether only room counts for it."""
    fixed = any(number is not None for number in need.ports.values())
    return not (fixed or need.rules.gang or has_rules(need, draft))
