"""What a node is still worth: how many replicas of the expected mix it could yet take.

A fleet in Git knows the mix: it is what its deployments ask for. Each class of replicas weighs by
how often it is asked for and how much GPU it takes, and more where few nodes have its GPU model.
To place a replica where the fleet loses least of that worth is the fragmentation gradient of the
literature, taken further: the CPU and memory that the GPUs of a node will need count too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from reconciler.placing.ground import Bools, Floats, Ground, Rows

# More classes than this change no decision that could be measured, and cost time.
CLASSES: Final = 64
# A replica without GPU counts as this part of one with: GPUs are what is scarce here.
WITHOUT_GPU: Final = 0.1
# Twice the GPU counts less than twice: measured over many mixes, fleets fill best near here. At 1
# the few large classes crowd out what the many small ones say of a node's CPU.
LARGE: Final = 0.8
# So many rows are weighed at once, so that what is in between stays small.
AT_ONCE: Final = 1024
# Stands for "no limit" where nothing of a resource is needed.
ENDLESS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Shape:
    """What one replica takes, as numbers.

    gpus: how many. alone: whether it wants them for itself. mib: what it needs on each, at least 1.
    kinds: which kinds of GPU will do, one flag for each of `Ground.kinds` and False for none.
    """

    cpu: float
    memory: float
    disk: float
    gpus: int = 0
    alone: bool = False
    mib: float = 0.0
    kinds: tuple[bool, ...] = ()


class Workload:
    """The weighted mix, as arrays. Classes stand in the order: without GPU, sharing, alone."""

    def __init__(self, ground: Ground, mix: dict[Shape, float]) -> None:
        self.mean_mib = _mean_mib(ground)
        ranked = sorted(mix, key=lambda shape: (-mix[shape] * self._size(shape), repr(shape)))
        shapes = sorted(ranked[:CLASSES], key=lambda shape: (shape.gpus > 0, shape.alone))
        self.plain = sum(shape.gpus == 0 for shape in shapes)
        self.sharing = sum(shape.gpus > 0 and not shape.alone for shape in shapes)
        self.inverse_cpu = _inverse([shape.cpu for shape in shapes])
        self.inverse_memory = _inverse([shape.memory for shape in shapes])
        gpu = shapes[self.plain :]
        self.suits = np.array(
            [[shape.kinds[kind] for shape in gpu] for kind in range(len(ground.kinds))]
            + [[False] * len(gpu)],
            dtype=np.float64,
        ).reshape(len(ground.kinds) + 1, len(gpu))
        self.inverse_mib = _inverse([shape.mib for shape in gpu[: self.sharing]])
        self.least_mib = np.array([shape.mib for shape in gpu[self.sharing :]], dtype=np.float64)
        self.per_replica = _inverse([shape.gpus for shape in gpu])
        self.weights = np.array([mix[one] * self._size(one) for one in shapes], dtype=np.float64)
        self._weigh_scarcity(ground)

    def _size(self, shape: Shape) -> float:
        """How much GPU a class takes, in GPUs of the fleet's mean size."""
        if shape.gpus == 0:
            return WITHOUT_GPU
        gpus = shape.gpus * (1.0 if shape.alone else shape.mib / self.mean_mib)
        return float(gpus**LARGE)

    def _weigh_scarcity(self, ground: Ground) -> None:
        """Weigh a class more, the fewer of the places with room for it have its GPU model."""
        suits = self.suits
        here = self._fitting(ground.now)
        self.suits = np.ones_like(suits)
        self.suits[-1] = 0.0
        anywhere = self._fitting(ground.now)
        self.suits = suits
        scarcity = np.maximum(anywhere, 1.0) / np.maximum(np.minimum(here, anywhere), 1.0)
        self.weights[self.plain :] *= scarcity
        self.weights /= max(self.weights.sum(), 1e-12)

    def value_of(self, rows: Rows) -> tuple[Floats, Floats]:
        """What each row is worth, in replicas of the mean class, and what its GPUs bring."""
        brought = np.empty((len(rows.free), len(self.weights) - self.plain))
        for first in range(0, len(rows.free), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            each = self.by_gpu(rows.gpu_free[part], rows.whole[part], self.suits[rows.kind[part]])
            brought[part] = each.sum(axis=1)
        return self.value(rows.free, brought), brought

    def _fitting(self, rows: Rows) -> Floats:
        """How many replicas of each GPU class fit in the fleet; parts count from 1 on."""
        fitting: Floats = self.joined(rows.free, self.value_of(rows)[1])[1].sum(axis=0)
        return fitting

    def by_gpu(self, gpu_free: Floats, whole: Bools, suits: Floats) -> Floats:
        """How many replicas each GPU can take of each GPU class: whole ones, by memory."""
        brings = np.empty(suits.shape)
        shared = brings[..., : self.sharing]
        np.multiply(gpu_free[..., None], self.inverse_mib, out=shared)
        np.floor(shared, out=shared)
        brings[..., self.sharing :] = whole[..., None] & (gpu_free[..., None] >= self.least_mib)
        brings *= suits
        return brings

    def joined(self, free: Floats, brought: Floats) -> tuple[Floats, Floats]:
        """Count the replicas of each class that the scarcest of CPU, memory and GPU allows.

        The classes without GPU first, then those with.
        """
        fit = np.minimum(
            free[..., 0, None] * self.inverse_cpu, free[..., 1, None] * self.inverse_memory
        )
        fit[fit < 1.0] = 0.0
        gpu = brought * self.per_replica
        alone = gpu[..., self.sharing :]
        np.floor(alone + 1e-9, out=alone)
        return fit[..., : self.plain], np.minimum(fit[..., self.plain :], gpu)

    def value(self, free: Floats, brought: Floats) -> Floats:
        """Weigh what `joined` counts."""
        plain, gpu = self.joined(free, brought)
        value: Floats = plain @ self.weights[: self.plain] + gpu @ self.weights[self.plain :]
        return value


def _inverse(amounts: list[float] | list[int]) -> Floats:
    """How many fit in one unit; where nothing is needed, endlessly many."""
    return np.array([1.0 / one if one > 0 else ENDLESS for one in amounts], dtype=np.float64)


def _mean_mib(ground: Ground) -> float:
    """The mean memory of the fleet's GPUs; 1 where there is none."""
    sizes = [gpu.memory_mib for gpus in ground.gpus for gpu in gpus]
    return max(sum(sizes) / len(sizes), 1.0) if sizes else 1.0
