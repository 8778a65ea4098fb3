"""What is to run on this host at one moment, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.accepted import Accepted
from agent.acts import Act, RemoveContainer, Up, waits_for
from agent.backoff import Tries, waits
from agent.budget import SOME_TIME, in_turn
from agent.converge import Remembered, Wanted, acts, delays, is_left_alone, own_containers
from agent.faults import faults
from agent.grants import Grants, fences_of
from agent.holding import holding_of
from agent.lease import Lease
from agent.memory import Memory
from agent.rollback import chosen, is_held
from agent.rollback import told as held_text
from agent.runtime.port import Container
from schemas.assignment import AssignedReplica
from schemas.names import NodeName, ReplicaName, TreeId
from schemas.resources import Drift

# Nothing fenced may run under it.
NO_LEASE = Lease(boot="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What was assigned and what is remembered, at one moment of the boot clock.

    accepted: None: nothing was ever assigned. interrupted: replicas of which an act never ended.
    lease: under which what is fenced may run.
    """

    node: NodeName
    accepted: Accepted | None
    memory: Memory
    interrupted: frozenset[ReplicaName]
    now: float
    lease: Lease = NO_LEASE

    def acts(self, containers: tuple[Container, ...] | None) -> tuple[Act, ...]:
        """Hand everything known to the pure decision.

        Nothing is decided on a failed listing, nor before the first assignment: neither of them is
        an empty list.
        """
        if containers is None or self.accepted is None:
            return ()
        return acts(self.node, self.wanted(), containers, self.remembered())

    def turns(self, containers: tuple[Container, ...] | None) -> tuple[Act, ...]:
        """The acts in the order in which they are done, should a pass end before the last one."""
        decided = fenced_last(self.acts(containers), frozenset(fences_of(self.replicas().values())))
        return in_turn(decided, self.tried())

    def tried(self) -> Mapping[ReplicaName, float]:
        """When what is to be done to each replica was last tried, on the boot clock."""
        trees = self.trees()
        last = {
            ReplicaName(name): one.last
            for name, one in self.memory.tries.items()
            if one.subject == trees.get(ReplicaName(name), "")
        }
        return {**dict.fromkeys(self.interrupted, SOME_TIME), **last}

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
                epoch=_epoch_of(replicas[replica]),
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
            epochs={replica: one.epoch for replica, one in memory.present.items()},
            halfway=frozenset(replica for replica, one in memory.present.items() if one.halfway),
            interrupted=self.interrupted,
            waiting=frozenset(name for name in known if self.waits(name, trees.get(name, "")))
            | self.barred(),
            strangers=memory.findings.strangers,
            removable=self.accepted.removable if self.accepted else frozenset(),
        )

    def grants(self) -> Grants:
        """What may run and start of what is fenced."""
        return Grants(
            lease=self.lease,
            fences=fences_of(self.replicas().values()),
            now=self.now,
            looked=self.memory.looked,
            epochs={replica: one.epoch for replica, one in self.memory.present.items()},
        )

    def barred(self) -> frozenset[ReplicaName]:
        """Replicas that must not be started now, and not after a heartbeat of this pass either."""
        grants = self.grants()
        is_mute = waits(self.memory.tries.get("push", Tries()), "push", self.now)
        return frozenset(
            replica
            for replica in grants.fences
            if grants.bar(replica) or (is_mute and grants.is_unconfirmed(replica))
        )

    def outlived(self) -> frozenset[ReplicaName]:
        """Replicas that may only run on, under the grant of an earlier incarnation."""
        grants = self.grants()
        return frozenset(name for name in grants.fences if not grants.is_granted(name))

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
                or is_left_alone(want, own.get(want.replica, ()), remembered)
            )
        }

    def healed(self, containers: tuple[Container, ...] | None) -> frozenset[ReplicaName]:
        """The replicas that are made right again though what is changed by hand is only told.

        None: the engine does not answer, and nothing is done.
        """
        own = own_containers(self.node, containers or ())
        remembered = self.remembered()
        return frozenset(
            want.replica
            for want in self.wanted()
            if containers is not None
            and want.drift is Drift.REPORT
            and not is_left_alone(want, own.get(want.replica, ()), remembered)
        )

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


def _epoch_of(replica: AssignedReplica) -> int | None:
    return replica.fence.epoch if replica.fence else None


def fenced_last(decided: tuple[Act, ...], fenced: frozenset[ReplicaName]) -> tuple[Act, ...]:
    """The same acts, with starts of what is fenced behind all that need not wait for them.

    A heartbeat goes out before them, and nothing else shall wait for that.
    """
    first: list[Act] = []
    last: list[Act] = []
    late: set[ReplicaName] = set()
    for act in decided:
        starts = isinstance(act, Up | RemoveContainer)
        if (starts and act.replica in fenced) or not late.isdisjoint(waits_for(act)):
            late.add(act.replica)
        (last if act.replica in late else first).append(act)
    return (*first, *last)
