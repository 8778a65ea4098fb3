"""Carries acts out, one at a time: intent on disk before, result on disk after."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from agent.backoff import failed, started
from agent.clock import Clock
from agent.converge import Act, Down, Pull, RemoveContainer, RemoveVolumes, Up
from agent.janitor import Janitor
from agent.memory import Present
from agent.notebook import Notebook
from agent.prepare import Preparer
from agent.rollback import held_back
from agent.runtime.port import Runtime, RuntimeDownError, RuntimeFailedError, UnfinishedError
from schemas.names import DeploymentName, ReplicaName

log = logging.getLogger(__name__)


class StillPullingError(RuntimeFailedError):
    """Images are on their way, beside the passes. No failure: ask again."""


@dataclass(slots=True, kw_only=True)
class Performer:
    """The hands of the agent."""

    runtime: Runtime
    preparer: Preparer
    janitor: Janitor
    clock: Clock
    rng: random.Random

    def perform(
        self,
        decided: tuple[Act, ...],
        notebook: Notebook,
        deployments: Mapping[ReplicaName, DeploymentName],
    ) -> tuple[Act, ...]:
        """Apply acts in order and say which were tried.

        A failure ends the acts on that replica and on no other. An engine that went away ends all.
        """
        given_up: set[ReplicaName] = set()
        tried: list[Act] = []
        for act in decided:
            if act.replica in given_up:
                continue
            tried.append(act)
            try:
                self._apply(act, notebook, deployments)
            except StillPullingError:
                given_up.add(act.replica)
            except (RuntimeFailedError, OSError) as error:
                given_up.add(act.replica)
                subject = _subject(act, notebook)
                message = f"{_verb(act)}: {error}"
                self.note_failure(notebook, act.replica, subject, message)
                if isinstance(act, Up) and not isinstance(error, UnfinishedError):
                    self._hold_back(act, notebook, message)
            except RuntimeDownError as error:
                log.warning("docker went away", extra={"pairs": {"error": str(error)}})
                break
        return tuple(tried)

    def note_failure(
        self, notebook: Notebook, replica: ReplicaName, subject: str, message: str
    ) -> None:
        """Remember that something about a replica failed, and when it may be tried again."""
        now = self.clock.boottime()
        tries = failed(notebook.tries(replica), subject, message, now, self.rng)
        notebook.note(replica, tries)
        pairs = {
            "replica": replica,
            "error": message,
            "failures": tries.failures,
            "wait_seconds": round(tries.not_before - now),
        }
        log.warning("act failed", extra={"pairs": pairs})

    def _hold_back(self, act: Up, notebook: Notebook, message: str) -> None:
        """Let the last good version of a replica run again, where that is wanted and possible."""
        memory, good = notebook.memory, notebook.memory.good.get(act.replica)
        if act.replica not in notebook.rollbacks or good is None or good.tree == act.tree:
            return
        if not self.preparer.is_ready(act.replica, good, good.tree):
            return  # its files are not as they were: there is nothing to go back to
        now = self.clock.boottime()
        held = held_back(memory.held.get(act.replica), act.tree, message, now)
        notebook.memory = replace(memory, held={**memory.held, act.replica: held})
        pairs = {
            "replica": act.replica,
            "failed": act.tree,
            "good": good.tree,
            "wait_seconds": round(held.until - now),
        }
        log.warning("rolled back", extra={"pairs": pairs})

    def _apply(
        self,
        act: Act,
        notebook: Notebook,
        deployments: Mapping[ReplicaName, DeploymentName],
    ) -> None:
        """Carry out one act.

        Raises:
            RuntimeFailedError, RuntimeDownError: the engine.
            OSError: the intent or the result could not be written down.
        """
        self._begin(act, notebook, deployments)
        match act:
            case Down():
                self.runtime.down(act.project)
                notebook.note_present(act.replica, None)
            case Pull():
                project = self.preparer.project(act.replica, act.tree)
                self.janitor.admit(notebook, project)
                self.runtime.pull(project)
                return
            case RemoveContainer():
                self.runtime.remove(act.container)
                _say_done(act, container=act.container[:12])
                return
            case RemoveVolumes():
                names = self.runtime.remove_volumes(act.project)
                _say_done(act, volumes=", ".join(names) or "none were left")
                notebook.forget_removable(act.replica)
                return
            case Up():
                self._up(act, notebook, deployments[act.replica])
            case _:
                assert_never(act)
        notebook.interrupted -= {act.replica}
        notebook.save()
        notebook.journal.end()
        _say_done(act)

    def _begin(
        self, act: Act, notebook: Notebook, deployments: Mapping[ReplicaName, DeploymentName]
    ) -> None:
        """Write the intent down. A removal goes on without: it may be what makes room on the disk.

        Raises:
            OSError: it could not be written, and the act needs it.
        """
        try:
            notebook.journal.begin(act, deployments.get(act.replica, DeploymentName("")))
        except OSError:
            if not isinstance(act, Down):
                raise

    def _up(self, act: Up, notebook: Notebook, deployment: DeploymentName) -> None:
        """Start a replica. It counts as present from the first moment: a failed start leaves parts.

        Raises:
            RuntimeFailedError, RuntimeDownError: the engine.
        """
        known = notebook.memory.present.get(act.replica) or Present(deployment=deployment)
        notebook.note_present(act.replica, known)
        self.runtime.up(self.preparer.project(act.replica, act.tree))
        notebook.note_present(act.replica, Present(deployment=deployment, tree=act.tree))
        now = self.clock.boottime()
        before = notebook.tries(act.replica)
        notebook.note(act.replica, started(before, act.tree, now, self.rng))


def _subject(act: Act, notebook: Notebook) -> str:
    """What was tried: a tree. A removal makes way for the one that is assigned, if any is."""
    if not isinstance(act, Down | RemoveVolumes):
        return act.tree
    accepted = notebook.accepted
    return accepted.trees.get(act.replica, "") if accepted else ""


def _say_done(act: Act, **more: str) -> None:
    pairs = {"act": _verb(act), "replica": act.replica, "reason": act.reason, **more}
    log.info("act done", extra={"pairs": pairs})


def _verb(act: Act) -> str:
    return type(act).__name__.lower()
