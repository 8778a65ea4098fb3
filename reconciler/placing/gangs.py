"""Which member of a gang keeps it from being placed."""

from __future__ import annotations

from reconciler.placing.draft import Draft
from reconciler.placing.newcomers import find_place
from reconciler.placing.plan import Need
from schemas.names import DeploymentName, ReplicaName, replica_name


def blocking(gang: str, draft: Draft) -> tuple[DeploymentName, ...]:
    """Name the members that would find no place even without the others. Nobody is pushed out.

    Nobody: each alone would find one, and only all together do not. Leaves the draft as it was.
    """
    members = (need for need in draft.needs.values() if need.rules.gang == gang)
    return tuple(sorted(need.deployment for need in members if not _fits_alone(need, draft)))


def wanted(need: Need, draft: Draft) -> list[ReplicaName]:
    """The replicas of a need that are to run now, by number."""
    names = (replica_name(need.deployment, index) for index in range(need.replicas))
    return [name for name in names if name not in draft.bound.absent]


def _fits_alone(need: Need, draft: Draft) -> bool:
    mark = draft.mark()
    fits = all(_finds(replica, need, draft) for replica in wanted(need, draft))
    draft.undo(mark)
    return fits


def _finds(replica: ReplicaName, need: Need, draft: Draft) -> bool:
    """Whether a replica has a place or finds one, where it is then counted."""
    if replica in draft.placed:
        return True
    place = find_place(replica, need, draft)
    if place is not None:
        draft.put(place)
    return place is not None
