"""Which replica may run here, start here, or has to stop, where no two copies may run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from agent.lease import Lease, Limits, age
from agent.runtime.port import Container
from schemas.assignment import AssignedReplica, Fence
from schemas.names import ReplicaName
from schemas.quantity import format_duration

# In any other state something of a container may still run.
ENDED = frozenset({"created", "exited", "dead"})

# Two heartbeats may come so late together, the wait for a timer included. It has to be less than
# the shortest `loseAfter` that is allowed, see `schemas.fencing.least_lose_after`; a test says so.
SILENT_HEARTBEATS = 2
SILENT_SECONDS = 15.0

# Seconds that Git gets even then: Docker may be what keeps a replica from stopping, and that has to
# be told. It has to be less than `schemas.fencing.FENCE_PERIOD`, by which a stop may be late.
LEAST_PATIENCE = 5.0

# A start that gets less time than this is not begun: Compose takes a second or two to do anything,
# and is told to end before it is killed.
LEAST_START = 10.0

# So much of a lease may be used up before a pass ends to renew it: the act that is under way then
# may go on for a minute, and two thirds of the shortest usual `stopAfter` are more than that.
WORN_SHARE = 1 / 3

# Seconds that are left of a lease for a look and a heartbeat when a start of something else ends;
# of a very short one, as much as it can spare.
RENEWAL_SECONDS = 15.0

NO_GRANT = "waits for a grant to this incarnation of the host"
NO_CONTACT = "waits until this host reaches the fleet again"

Own = Mapping[ReplicaName, tuple[Container, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stop containers of one replica at once, and leave them where they are."""

    replica: ReplicaName
    containers: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What of the assignment is fenced, and the lease, at one moment of the boot clock.

    looked: when the last look at the remote that went well began; None: there was none.
    epochs: under which each present replica was started; 0: under none.
    """

    lease: Lease
    fences: Mapping[ReplicaName, Fence]
    now: float
    looked: float | None = None
    epochs: Mapping[ReplicaName, int]

    def is_granted(self, replica: ReplicaName) -> bool:
        """Whether a replica is this incarnation's."""
        fence = self.fences.get(replica)
        return fence is None or fence.incarnation == self.lease.incarnation

    def is_covered(self, replica: ReplicaName) -> bool:
        """Whether a replica that runs may do so: its grant is ours, or was when it started."""
        fence = self.fences.get(replica)
        return self.is_granted(replica) or (
            fence is not None and self.lease.kept.get(replica) == fence.epoch
        )

    def is_unconfirmed(self, replica: ReplicaName) -> bool:
        """Whether nobody heard us since we read this grant, and nothing was started under it."""
        fence = self.fences.get(replica)
        if fence is None or self.epochs.get(replica) == fence.epoch:
            return False
        renewed = self.lease.renewed
        return renewed is None or self.looked is None or renewed < self.looked

    def may_start(self, replica: ReplicaName) -> bool:
        """Whether a replica may be started, or anything of it, at this very moment."""
        return (
            self.is_granted(replica) and self.has_time(replica) and not self.is_unconfirmed(replica)
        )

    def has_time(self, replica: ReplicaName) -> bool:
        """Whether a start would be over before anybody can have given up on us."""
        left = self.start_within(replica)
        return left is None or left >= LEAST_START

    def start_within(self, replica: ReplicaName) -> float | None:
        """Seconds in which a start has to be over; None: it may take any time.

        What rises later than it would have to stop is not stopped in time, see `schemas.fencing`.
        """
        fence = self.fences.get(replica)
        return None if fence is None else fence.stop_after_seconds - age(self.lease, self.now)

    def is_worn(self) -> bool:
        """Whether a heartbeat has to renew the lease before anything is begun, and would."""
        renewed, looked = self.lease.renewed, self.looked
        is_fresh = renewed is not None and looked is not None and renewed < looked
        return is_fresh and needs_renewal(self.lease, self.fences, self.now)

    def bar(self, replica: ReplicaName) -> str:
        """Why a replica must not be started even if a heartbeat goes out before; empty: it may."""
        if not self.is_covered(replica):
            return NO_GRANT
        return "" if self.has_time(replica) else NO_CONTACT

    def stops(self, own: Own) -> tuple[Stop, ...]:
        """What has to stop at once: the lease is over, or nobody gave it to this incarnation.

        A container goes by its own label too: it may be older than what is assigned now.
        """
        return tuple(self._stops(own))

    def _stops(self, own: Own) -> Iterator[Stop]:
        for replica, containers in sorted(own.items()):
            running = running_of(containers)
            limit = least(self._limits(replica, running))
            if not running or limit is None:
                continue
            if age(self.lease, self.now) >= limit:
                reason = f"reached nobody for {format_duration(timedelta(seconds=limit))}"
            elif not self.is_covered(replica):
                reason = "no grant to this incarnation of the host"
            else:
                continue
            ids = tuple(container.id for container in running)
            yield Stop(replica=replica, containers=ids, reason=reason)

    def survivors(self, own: Own) -> Mapping[ReplicaName, int]:
        """The fenced replicas that run, by epoch: they outlive the incarnation."""
        return {
            replica: fence.epoch
            for replica, fence in self.fences.items()
            if self.is_covered(replica) and running_of(own.get(replica, ()))
        }

    def deadline(self) -> float | None:
        """When the first fenced replica has to stop unless the lease is renewed; None: none has."""
        if self.lease.renewed is None:
            return None
        ends = [self.lease.renewed + one.stop_after_seconds for one in self.fences.values()]
        return min((end for end in ends if end > self.now), default=None)

    def _limits(self, replica: ReplicaName, running: tuple[Container, ...]) -> Iterator[int]:
        yield from (one.stop_after for one in running if one.stop_after is not None)
        if replica in self.fences:
            yield self.fences[replica].stop_after_seconds


def fences_of(replicas: Iterable[AssignedReplica]) -> Mapping[ReplicaName, Fence]:
    """The grants of those replicas that need one."""
    return {one.name: one.fence for one in replicas if one.fence is not None}


def patience(lease: Lease, fences: Mapping[ReplicaName, Fence], now: float) -> float | None:
    """Seconds for which Git may keep an agent before something fenced has to stop; None: any.

    What had to stop is no longer ours, and not among what was kept, once it did.
    """
    ends = (renewed + seconds for renewed, seconds in _in_force(lease, fences))
    return min((max(LEAST_PATIENCE, end - now) for end in ends), default=None)


def worn_at(lease: Lease, fences: Mapping[ReplicaName, Fence]) -> float | None:
    """When a lease has to be renewed before anything else is begun, on the boot clock.

    None: nothing here ends by it.
    """
    ends = (renewed + seconds * WORN_SHARE for renewed, seconds in _in_force(lease, fences))
    return min(ends, default=None)


def needs_renewal(lease: Lease, fences: Mapping[ReplicaName, Fence], now: float) -> bool:
    """Whether a lease is worn, and may still be renewed: one that is over never is again."""
    worn = worn_at(lease, fences)
    ends = [renewed + seconds for renewed, seconds in _in_force(lease, fences)]
    return worn is not None and worn <= now < min(ends)


def act_within(lease: Lease, fences: Mapping[ReplicaName, Fence], now: float) -> float | None:
    """Seconds in which a start has to be over so that nothing of `fences` stops meanwhile.

    None: it may take any time. It always gets enough to do anything at all.
    """
    ends = (
        renewed + seconds - min(RENEWAL_SECONDS, seconds / 3)
        for renewed, seconds in _in_force(lease, fences)
    )
    return min((max(LEAST_START, end - now) for end in ends), default=None)


def _in_force(lease: Lease, fences: Mapping[ReplicaName, Fence]) -> Iterator[tuple[float, int]]:
    """The last renewal and seconds without one after which each replica that is ours stops."""
    for name, fence in fences.items():
        is_ours = fence.incarnation == lease.incarnation or name in lease.kept
        if lease.renewed is not None and is_ours:
            yield lease.renewed, fence.stop_after_seconds


def limits_of(
    fences: Mapping[ReplicaName, Fence],
    kept: Iterable[ReplicaName],
    containers: Iterable[Container],
    heartbeat_seconds: float,
) -> Limits:
    """The least times without contact after which something here stops.

    Args:
        fences: of what is assigned.
        kept: replicas that outlived an incarnation.
        containers: all of ours, whether they run or not.
        heartbeat_seconds: how often one is due.
    """
    labels = [one.stop_after for one in containers if one.stop_after is not None]
    assigned = {name: fence.stop_after_seconds for name, fence in fences.items()}
    of_kept = [assigned[name] for name in kept if name in assigned]
    return Limits(
        silence=SILENT_HEARTBEATS * heartbeat_seconds + SILENT_SECONDS,
        shortest=least([*labels, *assigned.values()]),
        kept=least(of_kept),
    )


def running_of(containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """The containers of which anything may run."""
    return tuple(one for one in containers if one.state not in ENDED)


def least(numbers: Iterable[int]) -> int | None:
    """The smallest; None: there is none."""
    return min(numbers, default=None)
