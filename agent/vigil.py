"""Watches over what runs: who falls, whose probes fail, and what those printed last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent import crashes as falls
from agent.clock import Clock
from agent.converge import Wanted
from agent.crashes import Crashes, Sight
from agent.files import ReplicaFiles
from agent.masking import masked, secret_values, tail
from agent.notebook import Notebook
from agent.probes import Prober, Standings
from agent.probing import Watched
from agent.runtime.port import (
    Container,
    Details,
    Runtime,
    RuntimeDownError,
    RuntimeFailedError,
)
from agent.tails import TAIL_CHARACTERS, Failure, Tail, failures, kept, to_read
from agent.watched import Watch, watch_of
from schemas.assignment import AssignedReplica
from schemas.names import ReplicaName

# While a container is young it may fall without anybody being told: look again after this long.
YOUNG_SECONDS = 30.0
# A secret is a password or a key. What is larger is data, and no line of it would be found anyway.
SECRET_BYTES = 64 * 1024

Own = Mapping[ReplicaName, tuple[Container, ...]]


@dataclass(slots=True, kw_only=True)
class Vigil:
    """Looks closer at what runs. It never acts on it."""

    runtime: Runtime
    files: ReplicaFiles
    prober: Prober
    clock: Clock
    _due: float | None = field(default=None)

    def look(
        self,
        notebook: Notebook,
        wanted: tuple[Wanted, ...],
        own: Own,
        assigned: Mapping[ReplicaName, AssignedReplica],
    ) -> None:
        """Bring what is remembered of falls, probes and logs up to date."""
        try:
            self._count_falls(notebook, wanted, own)
        except RuntimeDownError:
            return  # the next listing says so
        watched = tuple(_watched(notebook, wanted, own, assigned))
        memory = notebook.memory
        standings = self.prober.attend(watched, memory.probes)
        if standings != memory.probes:
            notebook.memory = replace(memory, probes=standings)
        self._read_logs(notebook, wanted, own, assigned)
        self._due = self._next_look(notebook.memory.probes, notebook, own)

    def next_look(self) -> float | None:
        """When a pass has to look again, on the boot clock."""
        return self._due

    def watches(
        self, notebook: Notebook, assigned: Mapping[ReplicaName, AssignedReplica]
    ) -> Mapping[ReplicaName, Watch]:
        """What there is to say of each replica."""
        memory, now = notebook.memory, self.clock.boottime()
        return {
            name: watch_of(replica, memory.crashes.get(name), memory.probes, now, memory.tails)
            for name, replica in assigned.items()
        }

    # falls -----------------------------------------------------------------------------------

    def _count_falls(self, notebook: Notebook, wanted: tuple[Wanted, ...], own: Own) -> None:
        """Look closer at suspects, and count.

        Raises:
            RuntimeDownError: the engine went away.
        """
        memory, now = notebook.memory, self.clock.boottime()
        found: dict[ReplicaName, Crashes] = {}
        for want in wanted:
            sights = tuple(self._sights(want, own.get(want.replica, ())))
            present = memory.present.get(want.replica)
            tree = present.tree if present else ""
            after = falls.noted(memory.crashes.get(want.replica), tree, sights, now)
            if after is not None:
                found[want.replica] = after
        if found != memory.crashes:
            notebook.memory = replace(memory, crashes=found)

    def _sights(self, want: Wanted, containers: tuple[Container, ...]) -> Iterator[Sight]:
        finishing = {service.name for service in want.services or () if service.finishes}
        for one in containers:
            details = self._details(one) if falls.is_suspect(one) else None
            yield Sight(container=one, details=details, finishes=one.service in finishing)

    def _details(self, container: Container) -> Details | None:
        try:
            return self.runtime.details(container.id)
        except RuntimeFailedError:
            return None  # it went away since it was listed

    # logs ------------------------------------------------------------------------------------

    def _read_logs(
        self,
        notebook: Notebook,
        wanted: tuple[Wanted, ...],
        own: Own,
        assigned: Mapping[ReplicaName, AssignedReplica],
    ) -> None:
        memory = notebook.memory
        watches = self.watches(notebook, assigned)
        found: dict[ReplicaName, tuple[Tail, ...]] = {}
        for want in wanted:
            name = want.replica
            failing = self._failures(memory.crashes.get(name), watches[name], own.get(name, ()))
            known = memory.tails.get(name, ())
            read = {one.mark: self._tail(want, one) for one in to_read(failing, known)}
            if tails := kept(failing, known, read):
                found[name] = tails
        if found != memory.tails:
            notebook.memory = replace(memory, tails=found)

    def _failures(
        self, crashes: Crashes | None, watch: Watch, containers: tuple[Container, ...]
    ) -> tuple[Failure, ...]:
        fallen = frozenset(fall.service for fall in crashes.falls) if crashes else frozenset()
        return failures(
            containers,
            fallen=fallen,
            kind="loop" if watch.loop else "fall",
            probe_fails=bool(watch.failing),
        )

    def _tail(self, want: Wanted, failure: Failure) -> str:
        """The masked end of a log; empty where it cannot be read."""
        container = failure.container.id
        try:
            text = self.runtime.logs(container)
            environment = self.runtime.details(container).environment
        except (RuntimeFailedError, RuntimeDownError):
            return ""
        secrets = secret_values(environment, self._secret_files(want))
        return tail(masked(text, secrets), TAIL_CHARACTERS)

    def _secret_files(self, want: Wanted) -> Iterator[str]:
        """What the files hold that Compose calls secrets: their paths stand in our overlay."""
        try:
            text = self.files.overlay(want.replica, want.tree).read_text(encoding="utf-8")
            entries = json.loads(text).get("secrets", {}).values()
        except (OSError, ValueError, AttributeError):
            return
        for entry in entries:
            try:
                yield Path(entry["file"]).read_bytes()[:SECRET_BYTES].decode(errors="replace")
            except OSError:
                continue

    # time ------------------------------------------------------------------------------------

    def _next_look(self, standings: Standings, notebook: Notebook, own: Own) -> float | None:
        now = self.clock.boottime()
        dues = [falls.forgiven_at(one, now) for one in notebook.memory.crashes.values()]
        dues.append(self.prober.due(standings))
        if any(one.young for containers in own.values() for one in containers):
            dues.append(now + YOUNG_SECONDS)
        return min((due for due in dues if due is not None), default=None)


def _watched(
    notebook: Notebook,
    wanted: tuple[Wanted, ...],
    own: Own,
    assigned: Mapping[ReplicaName, AssignedReplica],
) -> Iterator[Watched]:
    """The probes to ask: those of replicas of which something runs."""
    for want in wanted:
        containers = own.get(want.replica, ())
        crashes = notebook.memory.crashes.get(want.replica)
        if not any(one.state == "running" for one in containers):
            continue
        for probe in assigned[want.replica].probes:
            port = assigned[want.replica].ports.get(probe.port)
            if port is not None:
                run = _run(containers, crashes, f"{port} {probe}")
                yield Watched(replica=want.replica, probe=probe, port=port, run=run)


def _run(containers: tuple[Container, ...], crashes: Crashes | None, asked: str) -> str:
    """Names what is asked of whom, and since which start."""
    seen = crashes.seen if crashes else {}
    starts = [f"{one.id} {seen[one.id].started if one.id in seen else ''}" for one in containers]
    return "; ".join([asked, *starts])
