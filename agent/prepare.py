"""Makes the files of a replica ready to run: checked by this host's own policy, hashed, stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.content import BadContentError, Owner, contents
from agent.files import ReplicaFiles
from agent.memory import Prepared
from agent.runtime.port import Project, Runtime, RuntimeDownError, RuntimeFailedError
from schemas.assignment import AssignedReplica
from schemas.given import Given, given_to
from schemas.layout import COMPOSE_FILE, project_name
from schemas.names import NodeName, ReplicaName
from schemas.problem import Problem

# Enough to see what kind of mistake it is; the reconciler shows all of them to the author.
PROBLEMS_SHOWN = 5


class UnusableError(Exception):
    """The files cannot be run on this host. The message says why."""


def stop_after_of(replica: AssignedReplica) -> int | None:
    """After how many seconds without contact it is stopped; None: it runs on."""
    return replica.fence.stop_after_seconds if replica.fence else None


class Policy(Protocol):
    """Says what in the files of a replica is not allowed."""

    def __call__(
        self, text: str, *, path: str, files: Mapping[str, bytes], given: Given
    ) -> tuple[Problem, ...]:
        """All that is wrong with a compose file and its files; nothing means that it may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparer:
    """What is needed to prepare a replica.

    policy: of this host. Whoever wrote a file, and whoever else checked it: this is final.
    """

    node: NodeName
    policy: Policy
    runtime: Runtime
    files: ReplicaFiles

    def project(self, replica: ReplicaName, tree: str) -> Project:
        """What the runtime is told to run."""
        return Project(
            name=project_name(self.node, replica),
            folder=self.files.folder(replica, tree),
            overlay=self.files.overlay(replica, tree),
        )

    def is_ready(self, replica: ReplicaName, prepared: Prepared | None, tree: str) -> bool:
        """Whether a tree was prepared, and all of it is still as it was written."""
        return (
            prepared is not None
            and prepared.tree == tree
            and prepared.seal == self.files.seal(replica, tree, prepared.stored)
        )

    def prepare(self, replica: AssignedReplica, tree: str) -> Prepared:
        """Check, understand and store the files of a tree. Nothing that runs is touched.

        Raises:
            UnusableError: this host will not, or cannot, run them.
        """
        try:
            return self._prepare(replica, tree)
        except (BadContentError, RuntimeFailedError) as error:
            raise UnusableError(str(error)) from error
        except RuntimeDownError as error:
            raise UnusableError(f"Docker does not answer: {error}") from error
        except OSError as error:
            raise UnusableError(f"cannot write its files: {error}") from error

    def _prepare(self, assigned: AssignedReplica, tree: str) -> Prepared:
        replica, stop_after = assigned.name, stop_after_of(assigned)
        if not self.files.is_here(replica, tree):
            raise UnusableError("its files are gone from this host, and Git does not give them")
        files = self.files.read(replica, tree)
        self._check(files, given_to(assigned))
        folder = self.files.folder(replica, tree)
        understood = contents(
            self.runtime.resolve(folder, project_name(self.node, replica)),
            files,
            folder=folder,
            store=self.files.store(replica),
            owner=Owner(
                node=self.node,
                deployment=assigned.deployment,
                replica=replica,
                stop_after=stop_after,
            ),
        )
        self.files.put_stored(replica, understood.stored, files)
        self.files.put_overlay(replica, tree, understood.overlay)
        stored = tuple(sorted(understood.stored))
        seal = self.files.seal(replica, tree, stored)
        return Prepared(
            tree=tree,
            services=understood.services,
            stored=stored,
            seal=seal,
            stop_after=stop_after,
        )

    def _check(self, files: Mapping[str, bytes], given: Given) -> None:
        """Ask the policy.

        Raises:
            UnusableError: a file asks for what is not allowed here, or was not given.
        """
        try:
            text = files.get(COMPOSE_FILE, b"").decode("utf-8")
            problems = self.policy(text, path=COMPOSE_FILE, files=files, given=given)
        except UnicodeDecodeError as error:
            raise UnusableError(f"{COMPOSE_FILE} is not text: {error}") from error
        if problems:
            shown = "; ".join(str(problem) for problem in problems[:PROBLEMS_SHOWN])
            more = len(problems) - PROBLEMS_SHOWN
            rest = f"; and {more} more" if more > 0 else ""
            raise UnusableError(f"refused by this host: {shown}{rest}")
