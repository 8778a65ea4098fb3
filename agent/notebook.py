"""What the agent knows, kept in step with the disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from agent.accepted import Accepted, accepted_from_json, accepted_to_json
from agent.backoff import LONGEST_SECONDS, Tries
from agent.fenced import FENCED_FILE, LABEL_REPLICA, LABEL_STOP_AFTER, record
from agent.grants import ENDED, fences_of, patience
from agent.holding import merged
from agent.journal import Journal
from agent.lease import Lease, lease_from_json, lease_to_json
from agent.memory import Memory, Present, from_json, to_json
from agent.runtime.port import Container
from agent.shelf import Shelf
from schemas.assignment import Fence
from schemas.names import DeploymentName, ReplicaName

MEMORY_FILE = "memory.json"
LEASE_FILE = "lease.json"
# Before the first assignment the fleet's own timings are not known.
HEARTBEAT_SECONDS = 30
ACCEPTED_FILE = "accepted.json"
# Needs no file: the fence clears away what it finds there.
NONE_FENCED = record([])

log = logging.getLogger(__name__)


class Notebook:
    """Memory, the accepted assignment and the journal.

    A pass changes `memory` freely; `save` brings it to disk if it differs from what is there.
    interrupted: replicas of which an act began before we did, and never ended.
    lease: as it is on disk, where `miaas-agent fence` reads it.
    """

    def __init__(self, shelf: Shelf, boot: str) -> None:
        self._shelf = shelf
        self.memory: Memory = from_json(shelf.read_json(MEMORY_FILE), boot=boot)
        self._saved = self.memory
        self.lease: Lease = lease_from_json(shelf.read_json(LEASE_FILE), boot=boot)
        self._fenced = ""
        self.accepted: Accepted | None = accepted_from_json(shelf.read_json(ACCEPTED_FILE))
        self.journal = Journal(shelf)
        self.interrupted: frozenset[ReplicaName] = frozenset()
        self._recover()

    def accept(self, accepted: Accepted) -> None:
        """Obey an assignment from now on.

        Raises:
            OSError: it could not be written down; the last one stays.
        """
        self._shelf.write_json(ACCEPTED_FILE, accepted_to_json(accepted))
        self.accepted = accepted

    def forget_removable(self, replica: ReplicaName) -> None:
        """Note that the volumes of a replica are gone, so that later ones are none of its.

        Raises:
            OSError: it could not be written down.
        """
        if self.accepted is not None:
            left = self.accepted.removable - {replica}
            self.accept(replace(self.accepted, removable=left))

    def save(self) -> None:
        """Bring memory to disk.

        Raises:
            OSError: it could not; memory goes on without.
        """
        # Not compared as JSON: most passes change nothing, and that would cost more than they do.
        if self.memory != self._saved:
            self._shelf.write_json(MEMORY_FILE, to_json(self.memory))
            self._saved = self.memory

    def keep_lease(self, lease: Lease) -> None:
        """Go on with another lease, if it is another one.

        A renewal that whoever else looks after this host cannot read must not count for us either.

        Raises:
            OSError: it could not be written down; the last one stays.
        """
        if lease == self.lease:
            return
        self._shelf.write_in_need(LEASE_FILE, lease_to_json(lease))
        self.lease = lease

    def keep_fenced(self, containers: Iterable[Container]) -> None:
        """Write down what runs and is fenced, for the host's fence, if it is not what it was.

        What was made before it was fenced, or with a longer limit, has the one of now.

        Raises:
            OSError: it could not be written down; the fence finds out by labels what has any.
        """
        entries = []
        for one in containers:
            fence = self.fences().get(ReplicaName(one.replica))
            limits = [fence.stop_after_seconds] if fence is not None else []
            limits += [one.stop_after] if one.stop_after is not None else []
            if limits and one.state not in ENDED:
                labels = {LABEL_REPLICA: one.replica, LABEL_STOP_AFTER: str(min(limits))}
                entries.append({"Id": one.id, "Labels": labels})
        text = record(entries)
        if text not in {self._fenced, NONE_FENCED}:
            self._shelf.write(FENCED_FILE, text)
        self._fenced = text

    def fences(self) -> Mapping[ReplicaName, Fence]:
        """The grants of what is assigned and fenced."""
        return fences_of(self.accepted.assignment.replicas) if self.accepted else {}

    @property
    def heartbeat_seconds(self) -> int:
        """How often the fleet wants to hear from us."""
        return self.accepted.assignment.heartbeat_seconds if self.accepted else HEARTBEAT_SECONDS

    def longest_wait(self) -> float:
        """Seconds to wait at most for Git or Docker. A lease runs out meanwhile."""
        return self.heartbeat_seconds / 3 if self.fences() else LONGEST_SECONDS

    def patience(self, now: float) -> float | None:
        """Seconds for which Git may keep us before something fenced has to stop; None: any."""
        return patience(self.lease, self.fences(), now)

    @property
    def rollbacks(self) -> frozenset[ReplicaName]:
        """The replicas that go back to their last good version when a new one cannot be started."""
        replicas = self.accepted.assignment.replicas if self.accepted else ()
        return frozenset(replica.name for replica in replicas if replica.rollback)

    def tries(self, key: str) -> Tries:
        """What became of the last tries at something."""
        return self.memory.tries.get(key, Tries())

    def note(self, key: str, tries: Tries | None) -> None:
        """Remember what became of tries; None: there is nothing to remember any longer."""
        others = {name: known for name, known in self.memory.tries.items() if name != key}
        self.memory = replace(
            self.memory, tries=others if tries is None else {**others, key: tries}
        )

    def note_present(self, replica: ReplicaName, present: Present | None) -> None:
        """Remember that a replica was started here, or that it is gone."""
        others = {name: known for name, known in self.memory.present.items() if name != replica}
        self.memory = replace(
            self.memory, present=others if present is None else {**others, replica: present}
        )

    def _recover(self) -> None:
        """Take over what an earlier agent left half done."""
        intent = self.journal.interrupted()
        if intent is None:
            return
        log.warning(
            "an act was interrupted",
            extra={"pairs": {"act": intent.kind, "replica": intent.replica}},
        )
        self.interrupted = frozenset({intent.replica})
        known = self.memory.present.get(intent.replica)
        if known is None:
            deployment = DeploymentName(intent.deployment)
            known = Present(deployment=deployment, holding=intent.holding)
        elif intent.kind == "up":
            known = replace(known, holding=merged(known.holding, intent.holding))
        known = replace(known, halfway=True)
        self.note_present(intent.replica, known)
