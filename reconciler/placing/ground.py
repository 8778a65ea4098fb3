"""The fleet as arrays: what each node and each GPU has left. The engine's working memory.

One row a node in the order of names, so that the first of equals is the one that names put first.
Amounts are whole numbers in float64, which holds them exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reconciler.observing.node import Gpu, Node
from schemas.names import GpuUuid
from schemas.resources import Resources

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

# A shared need of 0 MiB would fit a missing GPU otherwise.
NOTHING: Final = -1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a need can tell apart about a GPU: one column of what is suitable for whom."""

    vendor: str
    model: str
    memory_mib: int
    compute_capability: tuple[int, ...]
    driver: tuple[int, ...]
    cuda: tuple[int, ...]


@dataclass(slots=True)
class Rows:
    """The state of some nodes.

    free: CPU, memory and disk left. gpu_free: MiB left for sharing on each GPU, -1 where there is
    none. whole: nobody of ours is on it. kind: index into `Ground.kinds`, the last one for no GPU.
    model: which GPUs of the node are of one model.
    """

    free: Floats
    gpu_free: Floats
    whole: Bools
    kind: Ints
    model: Ints

    def at(self, rows: Ints) -> Rows:
        """Copy some of the rows."""
        return Rows(
            self.free[rows],
            self.gpu_free[rows],
            self.whole[rows],
            self.kind[rows],
            self.model[rows],
        )


class Ground:
    """All nodes, and a log of which rows changed."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: tuple[Node, ...] = tuple(sorted(nodes, key=lambda node: node.name))
        self.index = {node.name: row for row, node in enumerate(self.nodes)}
        self.gpus: list[tuple[Gpu, ...]] = [
            tuple(sorted(node.gpus, key=lambda gpu: gpu.uuid)) for node in self.nodes
        ]
        self.slots: list[dict[GpuUuid, int]] = [
            {gpu.uuid: slot for slot, gpu in enumerate(gpus)} for gpus in self.gpus
        ]
        self.kinds: tuple[Kind, ...] = tuple(
            sorted({kind_of(gpu) for gpus in self.gpus for gpu in gpus}, key=repr)
        )
        self.examples = {kind_of(gpu): gpu for gpus in self.gpus for gpu in gpus}
        self.now = self._rows()
        self.room = self.now.free.copy()
        self.all_mib = np.zeros(self.now.gpu_free.shape)
        for row, gpus in enumerate(self.gpus):
            self.all_mib[row, : len(gpus)] = [gpu.memory_mib for gpu in gpus]
        self.holders: Ints = np.zeros(self.now.whole.shape, dtype=np.int64)
        self.state = _states(self.now)
        self.log: list[int] = []

    def _rows(self) -> Rows:
        many, most = len(self.nodes), max(map(len, self.gpus), default=0)
        codes = {kind: code for code, kind in enumerate(self.kinds)}
        room = [(n.room.cpu_milli, n.room.memory_mib, n.room.disk_mib) for n in self.nodes]
        rows = Rows(
            np.array(room, dtype=np.float64).reshape(many, 3),
            np.full((many, most), NOTHING),
            np.zeros((many, most), dtype=np.bool_),
            np.full((many, most), len(self.kinds), dtype=np.int64),
            np.full((many, most), -1, dtype=np.int64),
        )
        for row, gpus in enumerate(self.gpus):
            models: dict[tuple[str, str], int] = {}
            for slot, gpu in enumerate(gpus):
                rows.gpu_free[row, slot] = gpu.free_mib
                rows.whole[row, slot] = True
                rows.kind[row, slot] = codes[kind_of(gpu)]
                rows.model[row, slot] = models.setdefault((gpu.vendor, gpu.model), len(models))
        return rows

    def take(self, row: int, amounts: Resources, slots: Sequence[int], mib: Sequence[int]) -> None:
        """Count a replica. mib: per slot what is shared; one who is alone takes all there is."""
        self._change(row, amounts, slots, mib, 1)

    def take_all(
        self, amounts: Resources, places: Sequence[tuple[int, tuple[int, ...]]], mib: int | None
    ) -> None:
        """Count replicas of one class, each on a row and its slots. mib None: all of each GPU."""
        rows = np.array([row for row, _ in places], dtype=np.int64)
        need = np.array([amounts.cpu_milli, amounts.memory_mib, amounts.disk_mib], dtype=np.float64)
        np.subtract.at(self.now.free, rows, need)
        pairs = [(row, slot) for row, slots in places for slot in slots]
        if pairs:
            lines, slots = np.array(pairs, dtype=np.int64).T
            amount = self.all_mib[lines, slots] if mib is None else float(mib)
            np.subtract.at(self.now.gpu_free, (lines, slots), amount)
            np.add.at(self.holders, (lines, slots), 1)
            self.now.whole[lines, slots] = False
        self.log.extend(rows.tolist())
        self.state[rows] = len(self.nodes) + len(self.log) - np.arange(len(rows))

    def take_each(self, rows: Ints, need: Floats, shares: Sequence[tuple[int, int, int]]) -> None:
        """Count many different replicas. shares: row, slot and MiB of each GPU they hold."""
        np.subtract.at(self.now.free, rows, need)
        if shares:
            lines, slots, mib = np.array(shares, dtype=np.int64).T
            np.subtract.at(self.now.gpu_free, (lines, slots), mib)
            np.add.at(self.holders, (lines, slots), 1)
            self.now.whole[lines, slots] = False
        for row in np.unique(rows).tolist():
            self.touch(row)

    def give(self, row: int, amounts: Resources, slots: Sequence[int], mib: Sequence[int]) -> None:
        """Count a replica no more."""
        self._change(row, amounts, slots, mib, -1)

    def _change(
        self, row: int, amounts: Resources, slots: Sequence[int], mib: Sequence[int], sign: int
    ) -> None:
        free = self.now.free[row]
        free[0] -= sign * amounts.cpu_milli
        free[1] -= sign * amounts.memory_mib
        free[2] -= sign * amounts.disk_mib
        for slot, amount in zip(slots, mib, strict=True):
            self.now.gpu_free[row, slot] -= sign * amount
            self.holders[row, slot] += sign
            self.now.whole[row, slot] = self.holders[row, slot] == 0
        self.touch(row)

    def touch(self, row: int) -> None:
        """Note that a row is not what it was, nor like any other row."""
        self.log.append(row)
        self.state[row] = len(self.nodes) + len(self.log)


def kind_of(gpu: Gpu) -> Kind:
    """Take what is compared about a GPU."""
    return Kind(gpu.vendor, gpu.model, gpu.memory_mib, gpu.compute_capability, gpu.driver, gpu.cuda)


def _states(rows: Rows) -> Ints:
    """Number the distinct rows: equal numbers mean equal nodes."""
    if not len(rows.free):
        return np.zeros(0, dtype=np.int64)
    flat = np.concatenate(
        [rows.free, rows.gpu_free, rows.whole, rows.kind, rows.model], axis=1, dtype=np.float64
    )
    return np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
