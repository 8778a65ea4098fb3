"""The third step of a pass: carry out what was decided, and see what is left."""

from __future__ import annotations

from collections.abc import Callable

from agent.converge import Act
from agent.desk import Desk
from agent.holding import holding_of
from agent.memory import Present
from agent.orders import fenced_last
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
    """Do what is to be done, and say what was tried.

    tell: sends a heartbeat, between what stops and what starts of what needs a grant for it.
    """
    orders, notebook = desk.orders(), desk.notebook
    decided = fenced_last(orders.acts(containers), frozenset(notebook.fences()))
    if not decided:
        return ()
    held = notebook.memory.held
    done = desk.tools.performer.perform(decided, notebook, orders.replicas(), tell)
    if notebook.memory.held == held:
        return done
    # A version gave way, and nothing serves before the last good one is back.
    prepare(desk)
    again, _ = listing(desk, frozenset(Reason))
    return (*done, *act(desk, again, tell))


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
