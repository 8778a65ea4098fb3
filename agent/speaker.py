"""Sends the heartbeat: at once when there is news, otherwise now and then."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from agent.backoff import failed, waits
from agent.clock import Clock
from agent.fitting import fitting_text, with_other_facts
from agent.grants import limits_of
from agent.host.facts import Facts
from agent.lease import heard, speaking
from agent.memory import Memory, Spoken
from agent.notebook import Notebook
from agent.pacing import Budget, next_keep_alive
from agent.report import substance, with_volumes
from agent.runtime.port import Container, Runtime, RuntimeDownError, RuntimeFailedError
from fleet.port import Repository, RepositoryError
from schemas.heartbeat import Heartbeat, HostReport, ReplicaReport, RuntimeReport
from schemas.layout import HEARTBEAT_FILE, heartbeat_ref
from schemas.names import NodeName

log = logging.getLogger(__name__)


class UntellableError(Exception):
    """A heartbeat that breaks its own schema. The message says in what."""


class ReadFacts(Protocol):
    """Reads the facts of this host, given what runs here on our behalf."""

    def __call__(self, containers: tuple[Container, ...], ports: frozenset[int]) -> Facts:
        """Read them. `containers` are ours, `ports` the host ports that were given to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What there is to tell beside the facts of the host.

    containers: ours, as last seen. ports: host ports that were given to us.
    docker_since: since when the engine answers, or does not. disk_since: since when the disk is
    nearly full, or is not. None: unknown.
    """

    replicas: tuple[ReplicaReport, ...]
    problems: tuple[str, ...]
    runtime_error: str
    containers: tuple[Container, ...] = ()
    ports: frozenset[int] = frozenset()
    docker_since: datetime | None = None
    disk_since: datetime | None = None


NOTHING_KNOWN = Facts(
    host=HostReport(os="unknown", architecture="unknown", cpu_milli=0, memory_mib=0, disk_mib=0)
)


@dataclass(slots=True)
class LastFacts:
    """The facts of the host as this process told them last.

    They are better than none: nobody moves what runs here for a number that is odd.
    """

    facts: Facts = NOTHING_KNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """The one writer of this node's own ref. budget: of pushes on change."""

    node: NodeName
    version: str
    repository: Repository
    runtime: Runtime
    facts: ReadFacts
    clock: Clock
    rng: random.Random
    budget: Budget = field(default_factory=Budget)
    last: LastFacts = field(default_factory=LastFacts)

    def speak(self, notebook: Notebook, news: News, every_seconds: int) -> bool:
        """Send a heartbeat if there is reason to, and say whether one arrived."""
        told = self._substance(notebook, news)
        if not self._has_reason(notebook, told, self.clock.boottime()):
            return False
        return self.speak_now(notebook, news, every_seconds)

    def speak_now(self, notebook: Notebook, news: News, every_seconds: int) -> bool:
        """Send a heartbeat, and say whether one arrived. One that just failed is not repeated."""
        now, tries = self.clock.boottime(), notebook.tries("push")
        if waits(tries, "push", now):
            return False
        told = self._substance(notebook, news)
        notebook.lease = speaking(notebook.lease, now)
        try:
            heartbeat = self._heartbeat(notebook, news, now)
            with self.repository.within(notebook.patience(self.clock.boottime())):
                self._send(heartbeat)
        except (RepositoryError, UntellableError) as error:
            longest = notebook.longest_wait()
            tries = failed(tries, "push", str(error), now, self.rng, longest=longest)
            notebook.note("push", tries)
            return False
        notebook.note("push", None)
        self._renew(notebook, news, now)
        self._remember(notebook, told, now, every_seconds)
        return True

    def _renew(self, notebook: Notebook, news: News, spoke: float) -> None:
        """Note that a heartbeat was heard. What cannot be written down was not renewed."""
        now, looked = self.clock.boottime(), notebook.memory.looked
        every = notebook.heartbeat_seconds
        limits = limits_of(notebook.fences(), notebook.lease.kept, news.containers, every)
        lease = heard(notebook.lease, looked=looked, spoke=spoke, now=now, limits=limits)
        try:
            notebook.keep_lease(lease)
        except OSError as error:
            log.warning("lease not renewed", extra={"pairs": {"error": str(error)}})

    def is_unsaid(self, notebook: Notebook, news: News) -> bool:
        """Whether there is news that has not arrived, and need not wait for the remote."""
        told = self._substance(notebook, news)
        is_waiting = waits(notebook.tries("push"), "push", self.clock.boottime())
        return told != notebook.memory.spoken.substance and not is_waiting

    def next_chance(self, notebook: Notebook, news: News) -> float | None:
        """When the budget lets out what is unsaid, on the boot clock; None: nothing waits for it.

        A keep-alive that comes first takes it along.
        """
        if not self.is_unsaid(notebook, news):
            return None
        memory, now = notebook.memory, self.clock.boottime()
        return now + self.budget.wait_seconds(self._tokens(memory, now))

    def _has_reason(self, notebook: Notebook, told: str, now: float) -> bool:
        memory = notebook.memory
        if now >= memory.speak_due:
            return True
        return told != memory.spoken.substance and self._tokens(memory, now) >= 1.0

    def _tokens(self, memory: Memory, now: float) -> float:
        return self.budget.refilled(memory.tokens, now - memory.tokens_at)

    def _substance(self, notebook: Notebook, news: News) -> str:
        memory = notebook.memory
        return substance(
            self.version,
            notebook.lease.incarnation,
            memory.converged,
            memory.generation,
            news.replicas,
            news.problems,
            news.runtime_error,
        )

    def _heartbeat(self, notebook: Notebook, news: News, now: float) -> Heartbeat:
        """Ask the host for its facts and put everything together.

        The sequence never falls below the seconds since boot: it grows even when the state
        folder was lost, and a reconciler would take a smaller one for a replayed heartbeat. It
        goes on in a new incarnation: of two of one boot, the higher one is the later one.
        """
        memory, accepted = notebook.memory, notebook.accepted
        sequence = max(memory.sequence + 1, int(now))
        notebook.memory = replace(memory, sequence=sequence)
        facts = self.facts(news.containers, news.ports)
        return Heartbeat(
            node=self.node,
            incarnation=notebook.lease.incarnation,
            sequence=sequence,
            sent_at=self.clock.wall(),
            agent=self.version,
            observed=memory.converged,
            generation=memory.generation,
            accepted=accepted.commit if accepted else None,
            accepted_generation=accepted.assignment.generation if accepted else 0,
            host=facts.host,
            runtime=self._runtime(news),
            gpus=facts.gpus,
            replicas=news.replicas,
            images=self._present(news, self.runtime.images),
            volumes=with_volumes(self.node, self._present(news, self.runtime.volume_projects)),
            problems=(*news.problems, *facts.problems),
            disk_since=news.disk_since,
        )

    def _runtime(self, news: News) -> RuntimeReport:
        """The engine's versions. One that was just silent is not asked again: it takes long."""
        error = news.runtime_error
        report = RuntimeReport(error=error) if error else self.runtime.report()
        return replace(report, since=news.docker_since)

    def _present(self, news: News, listing: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """What the engine lists; nothing where it does not say."""
        if news.runtime_error:
            return ()
        try:
            return listing()
        except (RuntimeDownError, RuntimeFailedError):
            return ()

    def _send(self, heartbeat: Heartbeat) -> None:
        """Push a heartbeat: an orphan commit, so that old ones can be thrown away.

        Raises:
            RepositoryError: it did not arrive, or nobody knows.
            UntellableError: nobody could read it.
        """
        text = self._text(heartbeat)
        tree = self.repository.write(None, {HEARTBEAT_FILE: text.encode()})
        message = f"Heartbeat {heartbeat.sequence} of {self.node}"
        commit = self.repository.commit(tree, parent=None, message=message, at=heartbeat.sent_at)
        self.repository.push_own(heartbeat_ref(self.node), commit)

    def _text(self, heartbeat: Heartbeat) -> str:
        """Write a heartbeat. Facts that cannot be told keep nothing else from being said.

        Raises:
            UntellableError: it is not the facts.
        """
        try:
            text = fitting_text(heartbeat)
        except AssertionError as error:
            log.error("facts cannot be told", extra={"pairs": {"why": str(error)}})  # noqa: TRY400  # where it is wrong says nothing about what is
            return self._text_without_facts(heartbeat, str(error))
        self.last.facts = Facts(host=heartbeat.host, gpus=heartbeat.gpus)
        return text

    def _text_without_facts(self, heartbeat: Heartbeat, why: str) -> str:
        host, gpus = self.last.facts.host, self.last.facts.gpus
        try:
            return fitting_text(with_other_facts(heartbeat, host, gpus, why))
        except AssertionError as error:
            # What runs does not depend on our voice: the passes go on.
            raise UntellableError(f"the heartbeat cannot be written: {error}") from error

    def _remember(self, notebook: Notebook, told: str, now: float, every_seconds: int) -> None:
        memory = notebook.memory
        tokens = self._tokens(memory, now)
        cost = 1.0 if told != memory.spoken.substance else 0.0
        notebook.memory = replace(
            memory,
            spoken=Spoken(substance=told),
            speak_due=next_keep_alive(now, every_seconds, self.rng),
            tokens=max(0.0, tokens - cost),
            tokens_at=now,
        )
