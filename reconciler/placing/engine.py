"""The plan: every desired replica on a node, or the reasons why not."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.observing.node import Freshness, Gpu, Node
from reconciler.placing.checks import (
    FREE_CHECKS,
    STATIC_CHECKS,
    gpu_takes,
    labels_match,
    pin_allows,
)
from reconciler.placing.gpus import kind_objection
from reconciler.placing.hosted import Hosted, Scene, domain
from reconciler.placing.labels import holds
from reconciler.placing.neighbours import apart_objection, near_objection, spread_objection
from reconciler.placing.plan import Desired, Keep, Need, Placement, Plan
from reconciler.placing.ports import choose_ports
from schemas.assignment import GpuShare, Reason, Refusal, RunnerUp, Why
from schemas.names import DeploymentName, NodeName, ReplicaName, replica_name
from schemas.node import Duty
from schemas.resources import Neighbourhood, Preemption, Sharing, Strategy


def plan(
    desired: tuple[Desired, ...], inventory: tuple[Node, ...], previous: tuple[Placement, ...]
) -> Plan:
    """Place every desired replica, and leave where it is whatever may stay there.

    The same input gives the same plan, in any order of input, and a plan made again from its own
    result changes nothing.
    """
    making = _Making(desired, inventory, previous)
    making.keep_residents()
    making.place_newcomers()
    return making.finished()


class _Making:
    """One plan while it is made."""

    def __init__(
        self,
        desired: tuple[Desired, ...],
        inventory: tuple[Node, ...],
        previous: tuple[Placement, ...],
    ) -> None:
        self.needs = {one.deployment: one for one in desired if isinstance(one, Need)}
        kept = {one.deployment for one in desired if isinstance(one, Keep)}
        self.kept = {one.replica: one for one in previous if one.deployment in kept}
        self.before = {one.replica: one for one in previous if one.deployment in self.needs}
        self.scene = Scene.of(inventory, self.kept.values())
        self.placed: dict[ReplicaName, Placement] = dict(self.kept)
        self.refused: dict[ReplicaName, tuple[Reason, ...]] = {}
        self.repelled = _repelled(self.needs.values())
        self.avoid = frozenset(
            number for need in self.needs.values() for number in need.ports.values() if number
        )
        self.order = {
            replica: (need, index)
            for need in _in_order(self.needs)
            for index in range(need.replicas)
            for replica in (replica_name(need.deployment, index),)
        }

    def keep_residents(self) -> None:
        """Count everyone where they are, then move out whoever must go or no longer fits."""
        residents = [(r, need) for r, (need, _) in self.order.items() if r in self.before]
        for replica, _ in residents:
            self._put(self.before[replica])
        for replica, need in residents:
            self._settle(self.before[replica], need)

    def _settle(self, old: Placement, need: Need) -> None:
        host = self.scene.hosts.get(old.node)
        self._take_away(old)
        if host is None:
            return
        must_go = self._must_go(old, need, host)
        new = None if must_go else self._stay(old, need, host)
        if new is not None:
            self._put(new)
        elif old.pinned or need.pinned or (not must_go and _same_shape(old, need)):
            self._put(old)
            self.refused[old.replica] = (
                Reason(text=must_go or self._why_not(need, host), nodes=(old.node,)),
            )

    def _must_go(self, old: Placement, need: Need, host: Hosted) -> str:
        """Say why a resident cannot stay whatever is free; empty if it may."""
        if host.node.duty is Duty.DRAINING:
            return "draining"
        words = (pin_allows(need, host.node), labels_match(need, host.node))
        apart = apart_objection(need, host.node, self.scene, self.repelled.get(need.deployment, {}))
        gone = _gpu_gone(old, host) if _fresh(host.node) else None
        port = _port_lost(old, need, host)
        return next((word for word in (*words, apart, gone, port) if word), "")

    def _stay(self, old: Placement, need: Need, host: Hosted) -> Placement | None:
        """Promise the need where the replica is: on the same GPUs, else on others of the node."""
        gpus = _shares_on(need, [g for g in host.node.gpus if g.uuid in {s.uuid for s in old.gpus}])
        same = _same_numbers(old, need)
        if same:
            ports = self._ports(need, host, old.ports)
            return None if ports is None else _renewed(old, need, old.gpus, ports)
        if any(check(need, host) for check in FREE_CHECKS):
            return None
        if need.gpus is not None and (
            len(gpus) != need.gpus.count
            or not all(
                kind_objection(need.gpus, gpu) is None and gpu_takes(need.gpus, host, gpu)
                for gpu in host.node.gpus
                if gpu.uuid in {share.uuid for share in gpus}
            )
        ):
            gpus = _choose_gpus(need, host)
        ports = self._ports(need, host, old.ports)
        return None if ports is None else _renewed(old, need, gpus, ports)

    def place_newcomers(self) -> None:
        """Place whoever has no node, most important first; gangs whole or not at all."""
        waiting = [r for r in self.order if r not in self.placed]
        for group in _groups(waiting, self.order):
            done = [replica for replica in group if self._place(replica)]
            gang = self.order[group[0]][0].rules.gang
            if gang is not None and len(done) < len(group):
                for replica in done:
                    self._take_away(self.placed[replica])
                    self.refused[replica] = (
                        Reason(text=f"gang {gang} is placed whole or not at all"),
                    )

    def _place(self, replica: ReplicaName) -> bool:
        need, _ = self.order[replica]
        objections = {h.node.name: self._why_not(need, h) for h in self.scene.hosts.values()}
        able = [name for name, text in objections.items() if not text]
        if not able and need.rules.preemption is Preemption.LOWER_PRIORITY:
            able = self._make_room(need)
        if not able:
            self.refused[replica] = _grouped(objections)
            return False
        ranked = sorted((-self._score(need, self.scene.hosts[name]), name) for name in able)
        host = self.scene.hosts[ranked[0][1]]
        before = self.before.get(replica)
        ports = self._ports(need, host, before.ports if before else {})
        why = Why(
            text=f"best of {len(able)} nodes",
            score=-ranked[0][0],
            runners_up=tuple(RunnerUp(node=name, score=-score) for score, name in ranked[1:4]),
        )
        self._put(_placement(replica, need, host, _choose_gpus(need, host), ports or {}, why))
        return True

    def _why_not(self, need: Need, host: Hosted) -> str:
        """Say the first objection to one more replica on this node; empty if there is none."""
        node = host.node
        static = (check(need, node) for check in STATIC_CHECKS)
        free = (check(need, host) for check in FREE_CHECKS)
        for text in itertools.chain(static, free, self._around(need, node)):
            if text is not None:
                return text
        return ""

    def _around(self, need: Need, node: Node) -> Iterator[str | None]:
        """Ask about the neighbours, one check at a time."""
        yield apart_objection(need, node, self.scene, self.repelled.get(need.deployment, {}))
        yield near_objection(need, node, self.scene, self._waived(need))
        yield spread_objection(need, node, self.scene, self._domains(need))

    def _make_room(self, need: Need) -> list[NodeName]:
        """Push out the fewest, then least important replicas that make one node fit."""
        best: tuple[int, list[int], NodeName, list[Placement]] | None = None
        for host in self.scene.hosts.values():
            if any(check(need, host.node) for check in STATIC_CHECKS):
                continue
            victims = self._victims(need, host)
            if victims:
                key = (len(victims), sorted(v.priority for v in victims), host.node.name, victims)
                best = key if best is None or key[:3] < best[:3] else best
        if best is None:
            return []
        for victim in best[3]:
            self._take_away(victim)
            self.refused[victim.replica] = (
                Reason(text=f"gave way to {need.deployment}", nodes=(best[2],)),
            )
        return [best[2]]

    def _victims(self, need: Need, host: Hosted) -> list[Placement]:
        """Return who would have to leave this node; empty if that would not do."""
        lower = [
            one
            for one in host.placements.values()
            if one.priority < need.priority and not one.pinned and one.replica not in self.kept
        ]
        lower.sort(key=lambda one: (one.priority, one.replica))
        gone: list[Placement] = []
        for one in lower:
            if not self._why_not(need, host):
                break
            host.remove(one)
            gone.append(one)
        enough = not self._why_not(need, host)
        needed = []
        for one in reversed(gone):
            host.add(one)
            if enough and self._why_not(need, host):
                host.remove(one)
                needed.append(one)
        for one in needed:
            host.add(one)
        return needed

    def _score(self, need: Need, host: Hosted) -> float:
        """Prefer liked labels and present images, then full nodes (pack) or empty ones (spread)."""
        liked = sum(p.weight for p in need.rules.prefer if holds(p.expression, host.node.labels))
        room, free = host.node.room, host.free()
        full = 1 - sum(
            left / (2 * all_) if all_ else 0.0
            for left, all_ in (
                (free.cpu_milli, room.cpu_milli),
                (free.memory_mib, room.memory_mib),
            )
        )
        packed = full if need.strategy is Strategy.PACK else 1 - full
        return 10.0 * liked + packed + 0.5 * (need.image in host.node.images)

    def _ports(self, need: Need, host: Hosted, before: Mapping[str, int]) -> dict[str, int] | None:
        return choose_ports(
            need.ports,
            within=need.auto_ports,
            taken=host.node.ports | host.ports.keys(),
            avoid=self.avoid,
            before=before,
        )

    def _waived(self, need: Need) -> frozenset[DeploymentName]:
        """Name those who wait for this deployment in turn and are nowhere yet."""
        return frozenset(
            other.deployment
            for other in self.needs.values()
            if other.deployment != need.deployment
            and any(need.deployment in rule.deployments for rule in other.rules.near)
            and self.scene.everywhere(other.deployment) == 0
        )

    def _domains(self, need: Need) -> dict[str, frozenset[str]]:
        """List, for each label to spread over, the values among the nodes that may be used."""
        usable = [
            host.node
            for host in self.scene.hosts.values()
            if not any(check(need, host.node) for check in STATIC_CHECKS)
        ]
        return {
            rule.over: frozenset(v for node in usable if (v := domain(node, rule.over)) is not None)
            for rule in need.rules.spread
        }

    def _put(self, placement: Placement) -> None:
        self.placed[placement.replica] = placement
        if placement.node in self.scene.hosts:
            self.scene.hosts[placement.node].add(placement)

    def _take_away(self, placement: Placement) -> None:
        del self.placed[placement.replica]
        if placement.node in self.scene.hosts:
            self.scene.hosts[placement.node].remove(placement)

    def finished(self) -> Plan:
        """Hand out the result, sorted by replica."""
        return Plan(
            placements=tuple(self.placed[name] for name in sorted(self.placed)),
            refusals=tuple(
                Refusal(replica=name, reasons=self.refused[name]) for name in sorted(self.refused)
            ),
        )


def _in_order(needs: Mapping[DeploymentName, Need]) -> Iterator[Need]:
    """Most important first; who must be near another after that other; then by name."""
    left = sorted(needs.values(), key=lambda need: (-need.priority, need.deployment))
    while left:
        waiting = {need.deployment for need in left}
        ready = next((need for need in left if not _targets(need) & waiting), left[0])
        left.remove(ready)
        yield ready


def _targets(need: Need) -> set[DeploymentName]:
    return {other for rule in need.rules.near for other in rule.deployments} - {need.deployment}


def _groups(
    waiting: list[ReplicaName], order: Mapping[ReplicaName, tuple[Need, int]]
) -> list[list[ReplicaName]]:
    """Put the members of a gang together, at the place of the first."""
    groups: dict[str, list[ReplicaName]] = {}
    for replica in waiting:
        gang = order[replica][0].rules.gang
        groups.setdefault(f"gang {gang}" if gang is not None else replica, []).append(replica)
    return list(groups.values())


def _repelled(
    needs: Iterable[Need],
) -> defaultdict[DeploymentName, dict[DeploymentName, tuple[Neighbourhood, ...]]]:
    """Collect who is named in whose `apart`."""
    found: defaultdict[DeploymentName, dict[DeploymentName, tuple[Neighbourhood, ...]]]
    found = defaultdict(dict)
    for need in needs:
        for rule in need.rules.apart:
            for other in rule.deployments:
                mine = found[other].get(need.deployment, ())
                found[other][need.deployment] = (*mine, rule)
    return found


def _grouped(objections: Mapping[NodeName, str]) -> tuple[Reason, ...]:
    """Group nodes by their reason: the most frequent first."""
    if not objections:
        return (Reason(text="the fleet has no node"),)
    nodes: defaultdict[str, list[NodeName]] = defaultdict(list)
    for name, text in sorted(objections.items()):
        nodes[text].append(name)
    ranked = sorted(nodes.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Reason(text=text, nodes=tuple(names)) for text, names in ranked)


def _fresh(node: Node) -> bool:
    """Whether what the node says of itself can be relied on."""
    return node.freshness is Freshness.READY and not node.runtime_error


def _gpu_gone(old: Placement, host: Hosted) -> str | None:
    there = {gpu.uuid for gpu in host.node.gpus}
    gone = sorted(share.uuid for share in old.gpus if share.uuid not in there)
    return f"its GPU {gone[0]} is gone or sick" if gone else None


def _port_lost(old: Placement, need: Need, host: Hosted) -> str | None:
    for name, number in sorted(need.ports.items()):
        if number is not None and host.port_taken(number):
            return f"port {number} ({name}) is taken on {old.node}"
    return None


def _same_numbers(old: Placement, need: Need) -> bool:
    """Whether the need is what the replica was promised."""
    if old.resources != need.resources:
        return False
    if need.gpus is None:
        return not old.gpus
    return (
        len(old.gpus) == need.gpus.count
        and old.sharing is need.gpus.sharing
        and all(
            share.memory_mib == need.gpus.memory_mib
            or (
                old.sharing is Sharing.EXCLUSIVE and share.memory_mib >= (need.gpus.memory_mib or 0)
            )
            for share in old.gpus
        )
    )


def _same_shape(old: Placement, need: Need) -> bool:
    """Whether the old promise can still be rendered: as many GPUs, the same ports."""
    count = need.gpus.count if need.gpus is not None else 0
    return len(old.gpus) == count and old.ports.keys() == need.ports.keys()


def _renewed(
    old: Placement, need: Need, gpus: tuple[GpuShare, ...], ports: Mapping[str, int]
) -> Placement:
    return replace(
        old,
        resources=need.resources,
        sharing=need.gpus.sharing if need.gpus is not None else Sharing.EXCLUSIVE,
        gpus=gpus,
        ports=ports,
        priority=need.priority,
        pinned=need.pinned,
    )


def _placement(  # noqa: PLR0913, PLR0917
    replica: ReplicaName,
    need: Need,
    host: Hosted,
    gpus: tuple[GpuShare, ...],
    ports: Mapping[str, int],
    why: Why,
) -> Placement:
    return Placement(
        replica=replica,
        deployment=need.deployment,
        node=host.node.name,
        resources=need.resources,
        sharing=need.gpus.sharing if need.gpus is not None else Sharing.EXCLUSIVE,
        gpus=gpus,
        ports=ports,
        priority=need.priority,
        pinned=need.pinned,
        why=why,
    )


def _choose_gpus(need: Need, host: Hosted) -> tuple[GpuShare, ...]:
    """Take the fullest GPUs that still do, all of one model."""
    if need.gpus is None:
        return ()
    models: defaultdict[tuple[str, str], list[Gpu]] = defaultdict(list)
    for gpu in sorted(host.node.gpus, key=lambda gpu: (host.gpu_free(gpu), gpu.uuid)):
        if kind_objection(need.gpus, gpu) is None and gpu_takes(need.gpus, host, gpu):
            models[gpu.vendor, gpu.model].append(gpu)
    fitting = [gpus for _, gpus in sorted(models.items()) if len(gpus) >= need.gpus.count]
    return _shares_on(need, fitting[0][: need.gpus.count])


def _shares_on(need: Need, gpus: list[Gpu]) -> tuple[GpuShare, ...]:
    """Promise these GPUs: all of each if exclusive."""
    if need.gpus is None:
        return ()
    shared = need.gpus.sharing is Sharing.SHARED
    return tuple(
        GpuShare(uuid=g.uuid, memory_mib=(need.gpus.memory_mib or 0) if shared else g.memory_mib)
        for g in sorted(gpus, key=lambda gpu: gpu.uuid)
    )
