"""The one read of a pass: both remotes, exact refs, nothing checked out. Shell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fleet.port import Commit, File, Repository, RepositoryError, Tree
from reconciler.observing.bounds import BYTES_MAX, LOG_MAX
from reconciler.observing.builtin import builtin_templates
from reconciler.observing.counting import FOLDERS, counts, too_much
from reconciler.observing.duties import Duties
from reconciler.observing.duty_log import DutyLog
from reconciler.observing.heads import Heads
from reconciler.observing.machine_refs import MachineRefs
from reconciler.observing.snapshot import Snapshot
from schemas.heartbeat import HEARTBEAT_MAX
from schemas.layout import (
    ASSIGNED_REFS,
    ASSIGNMENTS_REF,
    HEARTBEAT_FILE,
    LEADER_REF,
    NODE_REFS,
    desired_ref,
)
from schemas.names import BlobId, CommitId, NodeName


class NoBranchError(RepositoryError):
    """The branch that people commit to does not exist: no information, not an empty fleet."""


@dataclass(frozen=True, slots=True)
class History:
    """What was before a snapshot.

    decisions: newest first. duties: since when main says of each node what it says.
    """

    decisions: Sequence[Commit] = ()
    duties: Mapping[NodeName, Duties] = field(default_factory=dict)


NO_HISTORY: Final = History()


def read_snapshot(desired: Repository, state: Repository, branch: str) -> Snapshot:
    """Read everything that a pass needs, once.

    Raises:
        RepositoryError: a remote did not answer, or has no such branch.
    """
    return Reader(desired, state, branch).read()


@dataclass(slots=True)
class Reader:
    """Reads again and again, and brings over only what is new.

    Blobs, and the trees of commits, never change under their ids; what the last pass used is kept.
    """

    desired: Repository
    state: Repository
    branch: str
    heads: Heads = field(init=False)
    _duties: DutyLog = field(init=False)
    _machines: MachineRefs = field(init=False)
    _head: Commit | None = None
    _blobs: dict[BlobId, bytes] = field(default_factory=dict)
    _trees: dict[CommitId, Tree] = field(default_factory=dict)
    _used: dict[CommitId, Tree] = field(default_factory=dict)
    _log: tuple[CommitId | None, tuple[Commit, ...]] = (None, ())
    _is_whole: bool = False

    def __post_init__(self) -> None:
        self.heads = Heads(self.desired, self.state, self.branch)
        self._duties = DutyLog(self.desired, self.branch)
        self._machines = MachineRefs(self.state)

    def log(self, snapshot: Snapshot) -> tuple[Commit, ...]:
        """The newest decisions up to the one of a snapshot, newest first, as far as is here.

        Raises:
            RepositoryError: the mirror cannot be read.
        """
        tip = snapshot.decided
        if tip is not None and self._log[0] != tip:
            self._log = (tip, self.state.log(tip, LOG_MAX))
        return self._log[1] if tip is not None else ()

    def history(self, snapshot: Snapshot) -> History:
        """What was before, after what is not here of it was brought over, once.

        Raises:
            RepositoryError: the remote did not answer.
        """
        if not self._is_whole and snapshot.decided is not None:
            self.state.fetch_history(ASSIGNMENTS_REF)
            self._is_whole = True
            self._log = (None, ())
        source = snapshot.source
        duties = {} if source is None else self._duties.duties(source)
        return History(self.log(snapshot), duties)

    def read(self) -> Snapshot:
        """Read everything that a pass needs.

        Raises:
            RepositoryError: a remote did not answer, or has no such branch.
        """
        self._used = {}
        source, refs = self._fetch()
        asked = _Asked(self._tree(self.desired, source))
        told = self._machines.look(refs)
        lease = told.lease
        decided = refs.get(ASSIGNMENTS_REF)
        if self._head is None or self._head.id != source:
            self._head = self.desired.show(source)
        ours = self._tree(self.state, decided) if decided else None
        self._bring(asked, ours, (*told.heartbeats.values(), *((lease,) if lease else ())))
        too_large = {
            f"{NODE_REFS}{name}/{HEARTBEAT_FILE}": file.size
            for name, file in told.heartbeats.items()
            if file.size > HEARTBEAT_MAX
        }
        snapshot = Snapshot(
            source=source,
            message=self._head.message,
            left=self.heads.left_by(self._head, decided),
            desired=self._contents(asked.files),
            builtin=builtin_templates(),
            too_large={**asked.too_large, **too_large},
            ignored=asked.ignored,
            unread=asked.unread,
            decided=decided,
            assignments=self._contents(ours.files) if ours else {},
            folders=ours.folders if ours else {},
            assigned=told.assigned,
            projected=told.projected,
            led=told.led,
            renewed=told.renewed,
            leader=self._blobs.get(lease.blob, b"") if lease else b"",
            heartbeats={
                name: self._blobs[file.blob]
                for name, file in told.heartbeats.items()
                if file.size <= HEARTBEAT_MAX
            },
            unreadable=told.unreadable,
        )
        self._trees = self._used
        return snapshot

    def _fetch(self) -> tuple[CommitId, Mapping[str, CommitId]]:
        branch = desired_ref(self.branch)
        wanted = (ASSIGNMENTS_REF, ASSIGNED_REFS, NODE_REFS, LEADER_REF)
        if self.desired is self.state:
            refs = found = self.state.fetch(branch, *wanted)
        else:
            found = self.desired.fetch(branch)
            refs = self.state.fetch(*wanted)
        if branch in (odd := self.desired.refused()):
            raise NoBranchError(f"the branch {self.branch} cannot be read: {odd[branch].why}")
        if branch not in found:
            raise NoBranchError(f"the repository has no branch {self.branch}")
        if ASSIGNMENTS_REF in (odd := self.state.refused()):
            # Not as if nothing had ever been decided.
            raise RepositoryError(f"{ASSIGNMENTS_REF} cannot be read: {odd[ASSIGNMENTS_REF].why}")
        return found[branch], refs

    def _tree(self, repository: Repository, commit: CommitId) -> Tree:
        tree = self._trees.get(commit) or self._used.get(commit) or repository.tree(commit)
        self._used[commit] = tree
        return tree

    def _bring(self, asked: _Asked, ours: Tree | None, spoken: Iterable[File]) -> None:
        """Read the blobs that are not here yet, and forget those that nothing needs any more."""
        people = {file.blob for file in asked.files.values()}
        machines = {file.blob for file in ours.files.values()} if ours else set()
        machines |= {file.blob for file in spoken if file.size <= HEARTBEAT_MAX}
        known = {blob: self._blobs[blob] for blob in people | machines if blob in self._blobs}
        if self.desired is self.state:
            self._blobs = {**known, **_read(self.state, (people | machines) - known.keys())}
            return
        fresh = _read(self.desired, people - known.keys())
        self._blobs = {
            **known,
            **fresh,
            **_read(self.state, machines - known.keys() - fresh.keys()),
        }

    def _contents(self, files: Mapping[str, File]) -> Mapping[str, bytes]:
        return {path: self._blobs[file.blob] for path, file in files.items()}


class _Asked:
    """What of the desired tree is read, and what is not and why."""

    def __init__(self, tree: Tree) -> None:
        counted = {path: file for path, file in tree.files.items() if counts(path)}
        odd = counted.keys() & {*FOLDERS}
        self.ignored = tuple(sorted({*odd, *(path for path in tree.ignored if counts(path))}))
        self.too_large = {p: file.size for p, file in counted.items() if file.size > BYTES_MAX}
        self.files = {p: f for p, f in counted.items() if p not in self.too_large and p not in odd}
        self.unread = too_much({path: file.size for path, file in self.files.items()})
        if self.unread:
            self.files = {}


def _read(repository: Repository, blobs: Iterable[BlobId]) -> Mapping[BlobId, bytes]:
    wanted = sorted(blobs)
    return repository.read(wanted) if wanted else {}
