"""The Git side of a pass: where our own ref is, and what is taken in from there."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, replace

from agent.accepted import Accepted
from agent.backoff import Tries, failed, waits
from agent.clock import Clock
from agent.files import ReplicaFiles
from agent.intake import RefusedError, take
from agent.notebook import Notebook
from agent.pacing import next_poll
from fleet.port import Repository, RepositoryError
from schemas.layout import assigned_ref
from schemas.names import CommitId, NodeName

log = logging.getLogger(__name__)

KEY = "git"
# Before the first assignment the fleet's own timings are not known.
POLL_SECONDS = 15


@dataclass(slots=True, kw_only=True)
class Look:
    """Keeps the accepted assignment in step with the node's own ref.

    head: where that ref was last seen; None: nowhere. problem: what is wrong with it, in words.
    """

    node: NodeName
    repository: Repository
    files: ReplicaFiles
    clock: Clock
    rng: random.Random
    head: CommitId | None = None
    problem: str = ""

    def look(self, notebook: Notebook) -> None:
        """Ask the remote and take in what is new. Whatever fails, the last assignment stays."""
        now = self.clock.boottime()
        ref = assigned_ref(self.node)
        try:
            with self.repository.within(notebook.patience(now)):
                self.head = self.repository.fetch(ref).get(ref)
                problem = self._follow(notebook, self.head)
            notebook.note(KEY, None)
            notebook.memory = replace(notebook.memory, looked=now)
        except RepositoryError as error:
            problem = f"cannot read the assignment: {error}"
            notebook.note(KEY, self._failed(notebook, problem, now))
            self.restore(notebook)
        self._set_problem(problem)
        accepted = notebook.accepted
        seconds = accepted.assignment.poll_seconds if accepted else POLL_SECONDS
        due = next_poll(now, seconds, self.rng)
        notebook.memory = replace(notebook.memory, poll_due=due)

    def look_later(self, notebook: Notebook) -> None:
        """Do without the remote, and mend what can be mended without it."""
        self.problem = self.problem or notebook.tries(KEY).message
        self.restore(notebook)

    def restore(self, notebook: Notebook) -> None:
        """Write files of the accepted assignment that someone removed: the mirror has them all."""
        accepted = notebook.accepted
        if accepted is None or not self.is_incomplete(accepted):
            return
        pairs = {"commit": str(accepted.commit)}
        try:
            self._take(notebook, accepted.commit)
            log.warning("files restored that were gone or edited", extra={"pairs": pairs})
        except (RepositoryError, RefusedError, OSError) as error:
            log.warning("files not restored", extra={"pairs": {**pairs, "error": str(error)}})

    def is_waiting(self, notebook: Notebook) -> bool:
        """Whether the remote failed not long enough ago."""
        return waits(notebook.tries(KEY), KEY, self.clock.boottime())

    def is_incomplete(self, accepted: Accepted) -> bool:
        """Whether files of what is accepted are not on disk."""
        return not all(self.files.is_here(*one) for one in accepted.trees.items())

    def _follow(self, notebook: Notebook, head: CommitId | None) -> str:
        """Take in the assignment at `head` if it is new; say what is wrong with it, if anything.

        Raises:
            RepositoryError: it cannot be read.
        """
        last = notebook.accepted
        if head is None:
            gone = "the assignment is gone from the remote; the last one stays in force"
            return gone if last else ""
        if last is not None and head == last.commit and not self.is_incomplete(last):
            return ""
        try:
            accepted = self._take(notebook, head)
        except RefusedError as error:
            return str(error)
        except OSError as error:
            return f"cannot write the assignment down: {error}"
        pairs = {
            "commit": head,
            "generation": accepted.assignment.generation,
            "replicas": len(accepted.trees),
        }
        log.info("assignment accepted", extra={"pairs": pairs})
        return ""

    def _take(self, notebook: Notebook, head: CommitId) -> Accepted:
        """Write files first and the acceptance last: a kill in between leaves the old one whole.

        Raises:
            RefusedError, RepositoryError, OSError: it was not taken in.
        """
        taken = take(self.repository, head, self.node, notebook.accepted, self.files.is_here)
        for replica, contents in taken.files.items():
            self.files.put(replica, taken.accepted.trees[replica], contents)
        notebook.accept(taken.accepted)
        return taken.accepted

    def _failed(self, notebook: Notebook, problem: str, now: float) -> Tries:
        tries = notebook.tries(KEY)
        return failed(tries, KEY, problem, now, self.rng, longest=notebook.longest_wait())

    def _set_problem(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("assignment not followed", extra={"pairs": {"reason": problem}})
        self.problem = problem
