"""The third step of a pass: carry out what was decided, and see what is left."""

from __future__ import annotations

from collections.abc import Callable

from agent.acts import Act
from agent.budget import acting_until
from agent.desk import Desk
from agent.grants import worn_at
from agent.holding import holding_of
from agent.memory import Present
from agent.pacing import may_come_early
from agent.reading import Listing, listing, prepare
from agent.reasons import Reason
from agent.sweep import RemoveImages


def sweep(desk: Desk, containers: Listing) -> tuple[RemoveImages, ...]:
    """Look at the disk, and make room on it before anything is pulled."""
    janitor, notebook = desk.tools.janitor, desk.notebook
    janitor.look(notebook)
    if containers is None or notebook.accepted is None:
        return ()
    return janitor.tidy(notebook, desk.orders().wanted(), containers)


def act(desk: Desk, containers: Listing, tell: Callable[[], None]) -> tuple[Act, ...]:
    """Do what is to be done, as far as the pass may go on, and say what was tried.

    tell: sends a heartbeat: between what stops and what starts of what needs a grant for it, and
    before anything where the lease would not last for long.
    """
    decided = desk.orders().turns(containers)
    if not decided:
        return ()
    memory, now = desk.notebook.memory, desk.clock.boottime()
    is_time = may_come_early(memory.tokens_at, desk.notebook.heartbeat_seconds, now)
    if is_time and desk.orders().grants().is_worn():
        tell()
    return _carry_out(desk, decided, tell, _until(desk))


def _until(desk: Desk) -> float:
    """Until when acts may begin, on the boot clock."""
    notebook = desk.notebook
    return acting_until(
        desk.clock.boottime(),
        speak_due=notebook.memory.speak_due,
        heartbeat_seconds=notebook.heartbeat_seconds,
        worn_at=worn_at(notebook.lease, notebook.fences()),
    )


def _carry_out(
    desk: Desk, decided: tuple[Act, ...], tell: Callable[[], None], until: float
) -> tuple[Act, ...]:
    """Do what was decided, and then what a version that gave way makes necessary."""
    notebook, held = desk.notebook, desk.notebook.memory.held
    replicas = desk.orders().replicas()
    done = desk.tools.performer.perform(decided, notebook, replicas, tell, until)
    if notebook.memory.held == held:
        return done
    # A version gave way, and nothing serves before the last good one is back.
    prepare(desk)
    if desk.clock.boottime() >= until:
        return done  # it is the first of the next pass, which comes at once
    again, _ = listing(desk, frozenset(Reason))
    decided = desk.orders().turns(again)
    return (*done, *_carry_out(desk, decided, tell, until))


def settle(desk: Desk, containers: Listing) -> tuple[Act, ...]:
    """See what is left to do. Nothing, and every replica as assigned: it is reached."""
    orders, notebook = desk.orders(), desk.notebook
    if containers is None or orders.accepted is None:
        return ()
    reached, replicas = orders.reached(containers), orders.replicas()
    for replica, tree in reached.items():
        one = replicas[replica]
        known = notebook.memory.present.get(replica)
        present = Present(
            deployment=one.deployment,
            tree=tree,
            holding=holding_of(one),
            epoch=known.epoch if known else 0,
        )
        if known != present:
            notebook.note_present(replica, present)
        if notebook.tries(replica).failures:
            notebook.note(replica, None)
    orders = desk.orders()
    left = orders.acts(containers)
    if not left:
        notebook.memory = orders.converged(reached)
    return left
