"""What machines say in refs of their own. One bad ref costs its writer alone. Shell.

A node may push anything to its ref: of each, the root is opened, and nothing below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from fleet.port import DamagedError, File, Repository, RepositoryError
from schemas.layout import ASSIGNED_REFS, HEARTBEAT_FILE, LEADER_FILE, LEADER_REF, NODE_REFS
from schemas.names import CommitId, NodeName, TreeId, is_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What refs of machines lead to.

    heartbeats: each node's, where it has one. lease: None: there is none. led: where its ref
    stands. renewed: when the commit there was made, by the clock of who leads; None: nobody knows.
    assigned: where each node's own ref stands. projected: the root tree of that commit.
    unreadable: refs of which nothing could be read, with why.
    """

    heartbeats: Mapping[NodeName, File]
    lease: File | None
    led: CommitId | None
    renewed: datetime | None
    assigned: Mapping[NodeName, CommitId]
    projected: Mapping[NodeName, TreeId]
    unreadable: Mapping[str, str]


@dataclass(slots=True)
class MachineRefs:
    """Looks again and again, and opens only what is new: what is in a commit never changes."""

    state: Repository
    _files: dict[CommitId, File | None] = field(default_factory=dict)
    _roots: dict[CommitId, TreeId] = field(default_factory=dict)
    _dates: dict[CommitId, datetime] = field(default_factory=dict)

    def look(self, refs: Mapping[str, CommitId]) -> Told:
        """Find what refs lead to, after these were fetched.

        Raises:
            DamagedError: the mirror is broken. What one ref is to blame for is in the result.
        """
        refused = {ref: one for ref, one in self.state.refused().items() if _is_of_machines(ref)}
        odd = {ref: one.why for ref, one in refused.items()}
        beats = _by_node(refs, NODE_REFS)
        assigned = _by_node(refs, ASSIGNED_REFS)
        led = {LEADER_REF: refs[LEADER_REF]} if LEADER_REF in refs else {}
        spoken = _kept(self._files, beats, lambda at: self.state.root_file(at, HEARTBEAT_FILE), odd)
        leases = _kept(self._files, led, lambda at: self.state.root_file(at, LEADER_FILE), odd)
        dates = _kept(self._dates, led, lambda at: self.state.show(at).at, odd)
        roots = _kept(self._roots, assigned, lambda at: self.state.show(at).tree, odd)
        where = {ref: one.at for ref, one in refused.items()}
        self._files = {**spoken, **leases}
        self._roots, self._dates = roots, dates
        return Told(
            heartbeats={
                name_in(ref, NODE_REFS): file
                for ref, at in beats.items()
                if (file := spoken.get(at)) is not None
            },
            lease=leases.get(led[LEADER_REF]) if led else None,
            assigned={
                name_in(ref, ASSIGNED_REFS): at
                for ref, at in {**assigned, **_by_node(where, ASSIGNED_REFS)}.items()
            },
            led=where.get(LEADER_REF) or led.get(LEADER_REF),
            renewed=dates.get(led[LEADER_REF]) if led else None,
            projected={
                name_in(ref, ASSIGNED_REFS): roots[at]
                for ref, at in assigned.items()
                if at in roots
            },
            unreadable=odd,
        )


def _is_of_machines(ref: str) -> bool:
    names = (ref.removeprefix(prefix) for prefix in (NODE_REFS, ASSIGNED_REFS))
    return ref == LEADER_REF or any(name != ref and is_name(name) for name in names)


def name_in(ref: str, prefix: str) -> NodeName:
    """The node whose ref this is."""
    return NodeName(ref.removeprefix(prefix))


def _by_node(refs: Mapping[str, CommitId], prefix: str) -> Mapping[str, CommitId]:
    return {
        ref: at
        for ref, at in sorted(refs.items())
        if ref.startswith(prefix) and is_name(ref.removeprefix(prefix))
    }


def _kept(
    known: Mapping[CommitId, T],
    refs: Mapping[str, CommitId],
    look: Callable[[CommitId], T],
    odd: dict[str, str],
) -> dict[CommitId, T]:
    """What every commit holds, looked up once. `odd` is told of refs of which it is unknown."""
    found: dict[CommitId, T] = {}
    for ref, at in refs.items():
        try:
            found[at] = known[at] if at in known else look(at)
        except DamagedError:
            raise  # not the ref's fault: the mirror has to heal
        except RepositoryError as error:
            odd[ref] = str(error)
    return found
