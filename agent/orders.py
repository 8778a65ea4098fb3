"""What is to run on this host at one moment, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.accepted import Accepted
from agent.backoff import Tries, waits
from agent.converge import (
    Act,
    Remembered,
    Wanted,
    acts,
    delays,
    is_left_alone,
    own_containers,
)
from agent.faults import faults
from agent.holding import holding_of
from agent.memory import Memory
from agent.rollback import chosen, is_held
from agent.rollback import told as held_text
from agent.runtime.port import Container
from schemas.assignment import AssignedReplica
from schemas.names import NodeName, ReplicaName, TreeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What was assigned and what is remembered, at one moment of the boot clock.

    accepted: None: nothing was ever assigned. interrupted: replicas of which an act never ended.
    """

    node: NodeName
    accepted: Accepted | None
    memory: Memory
    interrupted: frozenset[ReplicaName]
    now: float

    def acts(self, containers: tuple[Container, ...] | None) -> tuple[Act, ...]:
        """Hand everything known to the pure decision.

        Nothing is decided on a failed listing, nor before the first assignment: neither of them is
        an empty list.
        """
        if containers is None or self.accepted is None:
            return ()
        return acts(self.node, self.wanted(), containers, self.remembered())

    def delays(self, containers: tuple[Container, ...] | None) -> Mapping[ReplicaName, str]:
        """Which replicas wait until another lets something go, and for whom, in words."""
        if containers is None:
            return {}
        return delays(self.node, self.wanted(), containers, self.remembered())

    def wanted(self) -> tuple[Wanted, ...]:
        """Every replica that is to run, sorted by name."""
        prepared, replicas = self.memory.prepared, self.replicas()
        return tuple(
            Wanted(
                replica=replica,
                deployment=replicas[replica].deployment,
                drift=replicas[replica].drift,
                holding=holding_of(replicas[replica]),
                tree=tree,
                services=(
                    prepared[replica].services
                    if replica in prepared and prepared[replica].tree == tree
                    else None
                ),
            )
            for replica, tree in sorted(self.trees().items())
        )

    def remembered(self) -> Remembered:
        """What a listing cannot tell."""
        trees, memory = self.trees(), self.memory
        known = {ReplicaName(name) for name in (*trees, *memory.present, *memory.tries)}
        return Remembered(
            present={replica: one.tree for replica, one in memory.present.items()},
            held={replica: one.holding for replica, one in memory.present.items()},
            interrupted=self.interrupted,
            waiting=frozenset(name for name in known if self.waits(name, trees.get(name, ""))),
            strangers=memory.findings.strangers,
            removable=self.accepted.removable if self.accepted else frozenset(),
        )

    def reached(self, containers: tuple[Container, ...]) -> Mapping[ReplicaName, TreeId]:
        """The assigned replicas whose containers are exactly what their files say, or once were.

        One that nobody remembers counts as well: memory may be lost, and labels are not.
        """
        own, present = own_containers(self.node, containers), self.memory.present
        remembered = self.remembered()
        return {
            want.replica: want.tree
            for want in self.wanted()
            if want.services is not None
            and (want.replica in present or want.replica in own)
            and want.replica not in self.interrupted
            and (
                not any(faults(want.services, own.get(want.replica, ())))
                or is_left_alone(want, remembered)
            )
        }

    def converged(self, reached: Mapping[ReplicaName, TreeId]) -> Memory:
        """Memory once nothing is left to do: every replica as assigned means that it is reached."""
        accepted, memory = self.accepted, self.memory
        if accepted is None or not set(memory.present) == set(reached) == set(accepted.trees):
            return memory
        if self.trees() != accepted.trees:
            return memory
        generation = accepted.assignment.generation
        return replace(memory, converged=accepted.commit, generation=generation)

    def failure(self, replica: ReplicaName) -> str:
        """Why the last try at a replica failed; that its newest version is held back, first."""
        held, tries = self.memory.held.get(replica), self.memory.tries.get(replica, Tries())
        if held is None or not is_held(held, self.assigned().get(replica, ""), self.now):
            return tries.message
        is_other = tries.message and tries.subject != held.tree
        return (
            f"{held_text(held)}. That fails too: {tries.message}" if is_other else held_text(held)
        )

    def assigned(self) -> Mapping[ReplicaName, TreeId]:
        """The version of each replica that was assigned."""
        return self.accepted.trees if self.accepted else {}

    def trees(self) -> Mapping[ReplicaName, TreeId]:
        """What is to run now: what was assigned, or the last good version for a while."""
        if not self.memory.held:
            return self.assigned()
        good = {name: one.tree for name, one in self.memory.good.items()}
        return chosen(self.assigned(), self.memory.held, good, self.now)

    def replicas(self) -> Mapping[ReplicaName, AssignedReplica]:
        """What was said of each assigned replica."""
        return {one.name: one for one in self.accepted.assignment.replicas} if self.accepted else {}

    def ports(self) -> frozenset[int]:
        """The host ports that were given to us."""
        return frozenset(port for one in self.replicas().values() for port in one.ports.values())

    def waits(self, replica: ReplicaName, subject: str) -> bool:
        """Whether the last try at a replica failed not long enough ago."""
        return waits(self.memory.tries.get(replica, Tries()), subject, self.now)
