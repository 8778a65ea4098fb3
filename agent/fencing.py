"""Between reading and acting: what may run no longer stops, and a new incarnation begins."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agent.acts import RemoveContainer, Up
from agent.converge import own_containers
from agent.desk import Desk
from agent.grants import Own, Stop, limits_of, running_of
from agent.lease import Lease, drawn, is_lapsed
from agent.reading import Listing, listing
from agent.reasons import Reason
from agent.runtime.port import RuntimeDownError, RuntimeFailedError
from schemas.names import ReplicaName

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The containers once nothing is left that must not run.

    docker_problem: why the engine does not answer. stopped: what had to stop. problem: why it could
    not be, or why nobody may rely on that.
    """

    containers: Listing
    docker_problem: str = ""
    stopped: tuple[Stop, ...] = ()
    problem: str = ""


def enforce(desk: Desk, seen: Checked) -> Checked:
    """Stop what the lease covers no longer, and begin a new incarnation where that is due.

    As long as something that has to stop may still run, the incarnation stays: it is told as it is.
    """
    return _stop(desk, seen, desk.orders().grants().stops(_own(desk, seen.containers)))


def yield_outlived(desk: Desk, seen: Checked) -> Checked:
    """Stop what outlived an incarnation and has to change: only a new grant may start it anew."""
    orders = desk.orders()
    outlived = orders.outlived()
    if seen.containers is None or not outlived:
        return seen
    decided = orders.acts(seen.containers)
    changing = {act.replica for act in decided if isinstance(act, Up | RemoveContainer)}
    stops = tuple(_changes(_own(desk, seen.containers), changing & outlived))
    return _stop(desk, seen, stops) if stops else seen


def _stop(desk: Desk, seen: Checked, stops: tuple[Stop, ...]) -> Checked:
    """Stop containers, see what is left, and move on to another incarnation if that is due."""
    if stops:
        problem = _stop_all(desk, stops)
        containers, docker_problem = listing(desk, frozenset(Reason))
        seen = Checked(
            containers=containers,
            docker_problem=docker_problem,
            stopped=(*seen.stopped, *stops),
            problem=problem or seen.problem,
        )
    try:
        _move_on(desk, seen.containers)
    except OSError as error:
        return replace(seen, problem=seen.problem or f"cannot write its lease down: {error}")
    return seen


def _changes(own: Own, changing: Iterable[ReplicaName]) -> Iterable[Stop]:
    for replica in sorted(changing):
        ids = tuple(one.id for one in running_of(own.get(replica, ())))
        if ids:
            reason = "it has to change, and its grant is of an earlier incarnation of the host"
            yield Stop(replica=replica, containers=ids, reason=reason)


def _move_on(desk: Desk, containers: Listing) -> None:
    """Draw a new incarnation where none is there yet, or nobody may rely on this one any longer.

    Raises:
        OSError: it could not be written down. It counts all the same: the one on disk has lapsed.
    """
    notebook, lease = desk.notebook, desk.notebook.lease
    grants, own = desk.orders().grants(), _own(desk, containers)
    limits = limits_of(grants.fences, lease.kept, containers or (), notebook.heartbeat_seconds)
    if not lease.incarnation:
        _begin(desk, {}, "this host has none yet")
    elif containers is None:
        return  # nobody knows what runs
    elif is_lapsed(lease, limits, grants.now) and not grants.stops(own):
        _begin(desk, grants.survivors(own), "it reached nobody for too long")
    else:
        survivors = grants.survivors(own)
        kept = {name: epoch for name, epoch in lease.kept.items() if name in survivors}
        notebook.keep_lease(replace(lease, kept=kept))


def _begin(desk: Desk, kept: Mapping[ReplicaName, int], reason: str) -> None:
    notebook = desk.notebook
    lease: Lease = drawn(notebook.lease, kept, desk.tools.performer.rng)
    pairs = {"incarnation": lease.incarnation, "reason": reason}
    log.info("new incarnation", extra={"pairs": pairs})
    try:
        notebook.keep_lease(lease)
    except OSError:
        notebook.lease = lease
        raise


def _stop_all(desk: Desk, stops: tuple[Stop, ...]) -> str:
    """Stop containers, and say what went wrong, if anything."""
    for one in stops:
        pairs = {"replica": one.replica, "reason": one.reason}
        log.warning("stopping what may run no longer", extra={"pairs": pairs})
    try:
        desk.tools.runtime.stop(tuple(name for one in stops for name in one.containers))
    except (RuntimeFailedError, RuntimeDownError) as error:
        log.warning("not stopped", extra={"pairs": {"error": str(error)}})
        names = ", ".join(one.replica for one in stops)
        return f"cannot stop {names}, which must not run here: {error}"
    return ""


def _own(desk: Desk, containers: Listing) -> Own:
    return {} if containers is None else own_containers(desk.node, containers)
