"""The first step of a pass: look at the remote, at the files and at the containers."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from agent.audit import with_limits
from agent.backoff import failed, waits
from agent.desk import Desk
from agent.grants import needs_renewal
from agent.memory import Prepared
from agent.notebook import Notebook
from agent.pacing import may_come_early
from agent.prepare import UnusableError, stop_after_of
from agent.reasons import Reason
from agent.runtime.port import Container, RuntimeDownError
from schemas.assignment import AssignedReplica
from schemas.names import ReplicaName, TreeId

# None: the engine does not answer, and nobody knows what runs.
Listing = tuple[Container, ...] | None

log = logging.getLogger(__name__)


def look(desk: Desk, reasons: frozenset[Reason]) -> None:
    """Look at the remote, if it is time."""
    at_remote, notebook, now = desk.tools.look, desk.notebook, desk.clock.boottime()
    due = Reason.ASKED in reasons or now >= notebook.memory.poll_due
    due = due or _is_worn(notebook, now)
    due = due and not at_remote.is_waiting(notebook)
    if due or Reason.ASSIGNMENT in reasons or _renews_the_lease(notebook, now):
        at_remote.look(notebook)
    else:
        at_remote.look_later(notebook)


def _is_worn(notebook: Notebook, now: float) -> bool:
    """Whether the lease has to be renewed before anything is begun, and nobody looked just now."""
    looked = notebook.memory.looked
    is_time = looked is None or may_come_early(looked, notebook.heartbeat_seconds, now)
    return is_time and needs_renewal(notebook.lease, notebook.fences(), now)


def _renews_the_lease(notebook: Notebook, now: float) -> bool:
    """Whether a heartbeat is due that renews a lease, which it does only after a look."""
    if now < notebook.memory.speak_due or waits(notebook.tries("push"), "push", now):
        return False
    return bool(notebook.fences())


def prepare(desk: Desk) -> None:
    """Make the files of every assigned replica ready to run, each for itself.

    Files that ran well here, and are as they were, are not asked for again: this host allowed them,
    and a way back to them must not depend on what a newer program would allow.
    """
    orders, memory = desk.orders(), desk.notebook.memory
    for replica, tree in orders.trees().items():
        known, good = memory.prepared.get(replica), memory.good.get(replica)
        assigned = orders.replicas()[replica]
        if _is_usable(desk, known, assigned, tree):
            continue
        if good is not None and _is_usable(desk, good, assigned, tree):
            _keep(desk.notebook, replica, good)
        elif not orders.waits(replica, tree):
            before = known if known is not None and known.tree == tree else good
            _prepare_anew(desk, before, assigned, tree)


def _is_usable(
    desk: Desk, prepared: Prepared | None, assigned: AssignedReplica, tree: TreeId
) -> bool:
    """Whether files are those of a tree, as they were written, and right for what is assigned."""
    is_ready = desk.tools.preparer.is_ready(assigned.name, prepared, tree)
    return is_ready and prepared is not None and prepared.stop_after == stop_after_of(assigned)


def _prepare_anew(
    desk: Desk, before: Prepared | None, assigned: AssignedReplica, tree: TreeId
) -> None:
    """Make files ready that are not. before: how they were when they last were.

    Those that were and are not as they were written have been edited by hand: the mirror knows what
    they should be.
    """
    tools, notebook, replica = desk.tools, desk.notebook, assigned.name
    was_ready = before is not None and before.tree == tree
    if was_ready and not tools.preparer.is_ready(replica, before, tree):
        _put_right(desk, replica, tree)
    try:
        _keep(notebook, replica, tools.preparer.prepare(assigned, tree))
    except UnusableError as error:
        tools.performer.note_failure(notebook, replica, tree, str(error))


def _keep(notebook: Notebook, replica: ReplicaName, prepared: Prepared) -> None:
    memory = notebook.memory
    notebook.memory = replace(memory, prepared={**memory.prepared, replica: prepared})


def _put_right(desk: Desk, replica: ReplicaName, tree: TreeId) -> None:
    log.warning("files edited by hand, put right", extra={"pairs": {"replica": replica}})
    desk.tools.files.forget(replica, tree)
    desk.tools.look.restore(desk.notebook)


def listing(desk: Desk, reasons: frozenset[Reason]) -> tuple[Listing, str]:
    """The containers; or None, and why the engine does not answer."""
    notebook, now = desk.notebook, desk.clock.boottime()
    tries = notebook.tries("docker")
    if Reason.CONTAINERS not in reasons and waits(tries, "docker", now):
        return None, tries.message
    try:
        containers = desk.tools.runtime.containers(desk.node)
    except RuntimeDownError as error:
        message = f"Docker does not answer: {error}"
        rng = desk.tools.performer.rng
        longest = notebook.longest_wait()
        tries = failed(tries, "docker", message, now, rng, longest=longest)
        notebook.note("docker", tries)
        return None, message
    notebook.note("docker", None)
    with contextlib.suppress(OSError):  # a full disk is told of, and the fence looks as well
        notebook.keep_fenced(containers)
    return containers, ""


def audited(desk: Desk, containers: Listing, *, asked: bool) -> Listing:
    """Look closer where that is due, or `asked` for; add what is known from the last time."""
    notebook, auditor = desk.notebook, desk.tools.auditor
    if containers is None or notebook.accepted is None:
        return containers
    if asked or auditor.is_due(notebook):
        auditor.look(notebook, desk.orders().wanted(), containers)
    return with_limits(containers, notebook.memory.findings.limits)
