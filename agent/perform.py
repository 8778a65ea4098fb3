"""Carries acts out, one at a time: intent on disk before, result on disk after."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from agent.acts import Act, Down, Pull, RemoveContainer, RemoveVolumes, Up, waits_for
from agent.backoff import cut_short, failed, started
from agent.clock import Clock
from agent.grants import Grants, act_within
from agent.holding import NOTHING, Holding, excess, holding_of, merged
from agent.janitor import Janitor
from agent.memory import Present
from agent.notebook import Notebook
from agent.prepare import Preparer
from agent.rollback import held_back
from agent.runtime.port import Runtime, RuntimeDownError, RuntimeFailedError, UnfinishedError
from schemas.assignment import AssignedReplica
from schemas.names import ReplicaName

log = logging.getLogger(__name__)


class Ending(StrEnum):
    """How an act ended."""

    WELL = "well"
    FAILED = "failed"
    GOES_ON = "goes on"  # beside the passes


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
        assigned: Mapping[ReplicaName, AssignedReplica],
        tell: Callable[[], None],
        until: float,
    ) -> tuple[Act, ...]:
        """Apply acts in order and say which were tried.

        A failure ends the acts on that replica, and on those that wait for it to let something go.
        An engine that went away ends all, and whom it went away from comes after the others.

        tell: sends a heartbeat; called once, before the first start whose grant it confirms. What
        may not be started by then is left for a later pass.
        until: when the rest is left for the next pass, on the boot clock. One thing is always done.
        """
        given_up: set[ReplicaName] = set()
        tried: list[Act] = []
        was_told = was_done = False
        for act in decided:
            if act.replica in given_up or not given_up.isdisjoint(waits_for(act)):
                given_up.add(act.replica)
                continue
            is_over = was_done and self.clock.boottime() >= until
            if is_over and not _belongs_to(act, tried[-1]):
                log.info("the pass ends early", extra={"pairs": {"next": act.replica}})
                break
            if isinstance(act, Up | RemoveContainer):
                if not was_told and self._grants(notebook).is_unconfirmed(act.replica):
                    was_told = True
                    tell()
                if not self._grants(notebook).may_start(act.replica):
                    given_up.add(act.replica)
                    continue
            tried.append(act)
            try:
                ending = self._try(act, notebook, assigned)
            except RuntimeDownError as error:
                self._note_cut_short(act, notebook, str(error))
                break
            if ending is not Ending.WELL:
                given_up.add(act.replica)
            # A pull alone is no step ahead: the next pass would begin with the same one again.
            was_done |= ending is Ending.FAILED or not isinstance(act, Pull)
        return tuple(tried)

    def _try(
        self, act: Act, notebook: Notebook, assigned: Mapping[ReplicaName, AssignedReplica]
    ) -> Ending:
        """Carry out one act, and say how it ended. A failure is remembered.

        Raises:
            RuntimeDownError: the engine went away.
        """
        try:
            self._apply(act, notebook, assigned)
        except StillPullingError:
            return Ending.GOES_ON
        except (RuntimeFailedError, OSError) as error:
            message = f"{_verb(act)}: {error}"
            self.note_failure(notebook, act.replica, _subject(act, notebook), message)
            if isinstance(act, Up) and _speaks_against(error):
                self._hold_back(act, notebook, holding_of(assigned[act.replica]), message)
            return Ending.FAILED
        return Ending.WELL

    def _note_cut_short(self, act: Act, notebook: Notebook, error: str) -> None:
        """Remember that an act was tried though the engine went away: it is not the first again."""
        log.warning("docker went away", extra={"pairs": {"error": error}})
        subject, now = _subject(act, notebook), self.clock.boottime()
        notebook.note(act.replica, cut_short(notebook.tries(act.replica), subject, now))

    def _grants(self, notebook: Notebook) -> Grants:
        """What may start at this very moment: an act before may have taken minutes."""
        memory = notebook.memory
        return Grants(
            lease=notebook.lease,
            fences=notebook.fences(),
            now=self.clock.boottime(),
            looked=memory.looked,
            epochs={replica: one.epoch for replica, one in memory.present.items()},
        )

    def _within(self, notebook: Notebook, replica: ReplicaName) -> float | None:
        """Seconds in which a start has to be over: its own grant says so, or those of others."""
        others = {name: fence for name, fence in notebook.fences().items() if name != replica}
        bounds = (
            self._grants(notebook).start_within(replica),
            act_within(notebook.lease, others, self.clock.boottime()),
        )
        return min((bound for bound in bounds if bound is not None), default=None)

    def note_failure(
        self, notebook: Notebook, replica: ReplicaName, subject: str, message: str
    ) -> None:
        """Remember that something about a replica failed, and when it may be tried again.

        At once, on disk: whatever ends us in a later act of this pass, it is not the first again.
        """
        now = self.clock.boottime()
        tries = failed(notebook.tries(replica), subject, message, now, self.rng)
        notebook.note(replica, tries)
        with contextlib.suppress(OSError):  # the end of the pass tells of it
            notebook.save()
        pairs = {
            "replica": replica,
            "error": message,
            "failures": tries.failures,
            "wait_seconds": round(tries.not_before - now),
        }
        log.warning("act failed", extra={"pairs": pairs})

    def _hold_back(self, act: Up, notebook: Notebook, given: Holding, message: str) -> None:
        """Let the last good version of a replica run again, where that is wanted and possible.

        Not one that held what is no longer given: others may have it by now.
        """
        memory, good = notebook.memory, notebook.memory.good.get(act.replica)
        if act.replica not in notebook.rollbacks or good is None or good.tree == act.tree:
            return
        held = notebook.memory.present[act.replica].holding
        if held is None or excess(held, given) != NOTHING:
            return
        if not self.preparer.is_ready(act.replica, good, good.tree):
            return  # its files are not as they were: there is nothing to go back to
        now = self.clock.boottime()
        back = held_back(memory.held.get(act.replica), act.tree, message, now)
        notebook.memory = replace(memory, held={**memory.held, act.replica: back})
        pairs = {
            "replica": act.replica,
            "failed": act.tree,
            "good": good.tree,
            "wait_seconds": round(back.until - now),
        }
        log.warning("rolled back", extra={"pairs": pairs})

    def _apply(
        self,
        act: Act,
        notebook: Notebook,
        assigned: Mapping[ReplicaName, AssignedReplica],
    ) -> None:
        """Carry out one act.

        Raises:
            RuntimeFailedError, RuntimeDownError: the engine.
            OSError: the intent or the result could not be written down.
        """
        self._begin(act, notebook, assigned.get(act.replica))
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
                self._up(act, notebook, assigned[act.replica])
            case _:
                assert_never(act)
        notebook.interrupted -= {act.replica}
        notebook.save()
        notebook.journal.end()
        _say_done(act)

    def _begin(self, act: Act, notebook: Notebook, replica: AssignedReplica | None) -> None:
        """Write the intent down. A removal goes on without: it may be what makes room on the disk.

        Raises:
            OSError: it could not be written, and the act needs it.
        """
        try:
            deployment = replica.deployment if replica else ""
            notebook.journal.begin(act, deployment, _intended(act, notebook, replica))
        except OSError:
            if not isinstance(act, Down):
                raise

    def _up(self, act: Up, notebook: Notebook, replica: AssignedReplica) -> None:
        """Start a replica. It counts as present from the first moment: a failed start leaves parts.

        Until it runs it may hold what it held and what it is given, and be made of either version.

        Raises:
            RuntimeFailedError, RuntimeDownError: the engine.
        """
        holding = holding_of(replica)
        untold = None if act.adopts else NOTHING
        fresh = Present(deployment=replica.deployment, holding=untold)
        known = notebook.memory.present.get(act.replica, fresh)
        either = merged(known.holding, holding)
        epoch = replica.fence.epoch if replica.fence else 0
        begun = replace(known, halfway=True, holding=either, epoch=epoch)
        notebook.note_present(act.replica, begun)
        project = self.preparer.project(act.replica, act.tree)
        self.runtime.up(project, self._within(notebook, act.replica))
        notebook.note_present(
            act.replica, replace(begun, tree=act.tree, halfway=False, holding=holding)
        )
        now = self.clock.boottime()
        before = notebook.tries(act.replica)
        notebook.note(act.replica, started(before, act.tree, now, self.rng))


def _intended(act: Act, notebook: Notebook, replica: AssignedReplica | None) -> Holding | None:
    """What a replica may hold while an act on it is under way; None: nobody knows.

    What nobody remembers may hold anything, until its last container was made by us or is gone.
    """
    if isinstance(act, Up) and replica:
        return None if act.adopts else holding_of(replica)
    known = notebook.memory.present.get(act.replica)
    return known.holding if known else None


def _belongs_to(act: Act, last: Act) -> bool:
    """Whether it goes on making anew what was begun to be removed: nothing serves until then."""
    goes_on = isinstance(act, Up | RemoveContainer) and isinstance(last, RemoveContainer)
    return goes_on and act.replica == last.replica


def _speaks_against(error: Exception) -> bool:
    """Whether a failed start says anything about what was started.

    A disk of ours that is full, or a start that only takes long, would blame a version that nobody
    tried to the end.
    """
    return isinstance(error, RuntimeFailedError) and not isinstance(error, UnfinishedError)


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
