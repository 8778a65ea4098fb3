"""What stands on each node while a plan is made: the one mutable thing of placing, in plain words.

The engine decides with arrays; this is the same truth one node at a time, for checks that speak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from reconciler.observing.node import Gpu, Node
from reconciler.placing.plan import Placement
from schemas.names import DeploymentName, GpuUuid, NodeName, ReplicaName
from schemas.resources import Resources, Sharing

NODE_LABEL: Final = "miaas/node"


@dataclass(slots=True, kw_only=True)
class Hosted:
    """One node and the replicas counted on it."""

    node: Node
    used: Resources = field(default_factory=Resources)
    gpu_used: Counter[GpuUuid] = field(default_factory=Counter)
    gpu_holders: Counter[GpuUuid] = field(default_factory=Counter)
    gpu_exclusive: Counter[GpuUuid] = field(default_factory=Counter)
    ports: dict[int, ReplicaName] = field(default_factory=dict)
    deployments: Counter[DeploymentName] = field(default_factory=Counter)
    placements: dict[ReplicaName, Placement] = field(default_factory=dict)

    def free(self) -> Resources:
        """What is left; negative where the node shrank under what it holds."""
        room, used = self.node.room, self.used
        return Resources(
            cpu_milli=room.cpu_milli - used.cpu_milli,
            memory_mib=room.memory_mib - used.memory_mib,
            disk_mib=room.disk_mib - used.disk_mib,
        )

    def gpu_free(self, gpu: Gpu) -> int:
        """GPU memory left for a shared replica, in MiB; 0 where someone has it alone."""
        if self.gpu_exclusive[gpu.uuid] > 0:
            return 0
        return gpu.free_mib - self.gpu_used[gpu.uuid]

    def port_taken(self, number: int) -> bool:
        """Whether a host port is in use, by us or by anything else."""
        return number in self.node.ports or number in self.ports

    def add(self, placement: Placement) -> None:
        """Count one more replica."""
        self._count(placement, 1)
        self.placements[placement.replica] = placement
        self.ports.update(dict.fromkeys(placement.ports.values(), placement.replica))

    def remove(self, placement: Placement) -> None:
        """Count one replica less."""
        self._count(placement, -1)
        del self.placements[placement.replica]
        for number in placement.ports.values():
            if self.ports.get(number) == placement.replica:
                del self.ports[number]

    def _count(self, placement: Placement, sign: int) -> None:
        asked = placement.resources
        self.used = Resources(
            cpu_milli=self.used.cpu_milli + sign * asked.cpu_milli,
            memory_mib=self.used.memory_mib + sign * asked.memory_mib,
            disk_mib=self.used.disk_mib + sign * asked.disk_mib,
        )
        self.deployments[placement.deployment] += sign
        for share in placement.gpus:
            self.gpu_used[share.uuid] += sign * share.memory_mib
            self.gpu_holders[share.uuid] += sign
            self.gpu_exclusive[share.uuid] += sign * (placement.sharing is Sharing.EXCLUSIVE)


@dataclass(slots=True)
class Scene:
    """All nodes as they stand now, sorted by name."""

    hosts: dict[NodeName, Hosted]

    @classmethod
    def of(cls, inventory: Iterable[Node], placements: Iterable[Placement]) -> Scene:
        """Lay out these placements. One whose node is unknown is left out."""
        scene = cls({node.name: Hosted(node=node) for node in sorted(inventory, key=_name)})
        for placement in placements:
            if placement.node in scene.hosts:
                scene.hosts[placement.node].add(placement)
        return scene

    def in_domain(self, over: str, value: str, deployment: DeploymentName) -> int:
        """Count a deployment's replicas on the nodes whose label `over` has this value."""
        return sum(
            host.deployments[deployment]
            for host in self.hosts.values()
            if domain(host.node, over) == value
        )

    def everywhere(self, deployment: DeploymentName) -> int:
        """Count a deployment's replicas on all nodes."""
        return sum(host.deployments[deployment] for host in self.hosts.values())


def domain(node: Node, over: str) -> str | None:
    """Return a node's value of a label; every node has one of `miaas/node`, its name."""
    return node.labels.get(over, node.name if over == NODE_LABEL else None)


def _name(node: Node) -> str:
    return node.name
