"""Which commit of the branch that people write is in force, and whether that branch was rewound.

A head is accepted if it descends from the one that was accepted before it. Which one that was is
known twice: from the reconciler's own memory, and from the newest decision, which names the commit
that it was made from. So the memory may be lost, and another reconciler may have gone on.
Shell: it asks Git, but only when a ref moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet.port import Commit, Repository
from reconciler.observing.bounds import HISTORY_MAX
from reconciler.observing.trailers import accepts_rewind, source_of
from schemas.layout import desired_ref
from schemas.names import CommitId


@dataclass(slots=True)
class Heads:
    """Remembers which head was accepted.

    accepted: the newest that is known; None: none yet. keep: told of each new one, for the next
    start.
    """

    desired: Repository
    state: Repository
    branch: str
    accepted: CommitId | None = None
    keep: Callable[[CommitId], None] | None = None
    _told: tuple[CommitId | None, CommitId | None] = (None, None)
    _later: tuple[CommitId, CommitId, CommitId] | None = None
    _left: tuple[CommitId, CommitId] | None = None
    _whole: CommitId | None = None

    def left_by(self, head: Commit, decided: CommitId | None) -> CommitId | None:
        """The accepted head that the branch left; None: it did not, and `head` is accepted.

        decided: the tip of the decisions.

        Raises:
            RepositoryError: the remote did not answer, so it cannot be told.
        """
        told = self._source(decided)
        before = self._before(told)
        if before is not None and self._leaves(head, before):
            return before
        if self.accepted != head.id:
            self.accepted = head.id
            if self.keep is not None:
                self.keep(head.id)
        # What follows the later of both follows both: not to be asked again.
        self._later = (head.id, told, head.id) if told is not None else None
        return None

    def _source(self, decided: CommitId | None) -> CommitId | None:
        """The commit that the newest decision was made from."""
        if self._told[0] != decided:
            message = self.state.show(decided).message if decided is not None else ""
            self._told = (decided, source_of(message))
        return self._told[1]

    def _before(self, told: CommitId | None) -> CommitId | None:
        """Of what we remember and what the newest decision says, the one that came later.

        Where ours did not, another reconciler went on from it, or accepted another history.
        """
        ours = self.accepted
        if ours is None or told is None or ours == told:
            return ours or told
        if self._later is None or self._later[:2] != (ours, told):
            self._later = (ours, told, ours if self._comes_after(ours, told) else told)
        return self._later[2]

    def _comes_after(self, ours: CommitId, told: CommitId) -> bool:
        # What we remember may be of a branch or a repository that is not used any more.
        is_here = self.desired.descends(ours, ours)
        return is_here and self._follows(self.desired.show(ours), told)

    def _leaves(self, head: Commit, before: CommitId) -> bool:
        if (before, head.id) != self._left and self._follows(head, before):
            self._left = None
            return False
        self._left = (before, head.id)
        return True

    def _follows(self, newer: Commit, older: CommitId) -> bool:
        # Nearly always it is the same or its parent, and that needs no process of git.
        if older == newer.id or older in newer.parents:
            return True
        return self._descends(newer.id, older) or self._is_accepted(newer.id, older)

    def _descends(self, newer: CommitId, older: CommitId) -> bool:
        if self.desired.descends(newer, older):
            return True
        # The mirror may begin in between: a ref is fetched without its history at first.
        if newer != self._whole:
            self.desired.fetch_history(desired_ref(self.branch))
            self._whole = newer
        return self.desired.descends(newer, older)

    def _is_accepted(self, newer: CommitId, left: CommitId) -> bool:
        fresh = self.desired.since(newer, left, HISTORY_MAX)
        return any(accepts_rewind(commit.message, left) for commit in fresh)
