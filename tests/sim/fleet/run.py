"""Many lives, on several cores, and one account of them all."""

from __future__ import annotations

import gc
import logging
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Final

from reconciler.rendering.child import Child
from reconciler.rendering.pool import BoundedRenderer
from tests.sim.fleet.life import Account, live

# Lives that one process lives before it gives its account: enough to share what was rendered.
AT_ONCE: Final = 4
# Objects, net, after which the youngest are looked through.
GARBAGE: Final = 100_000


def run(seeds: Iterable[int], jobs: int) -> Iterator[Account]:
    """Live the lives of all seeds, and give their accounts as they come."""
    wanted = list(seeds)
    chunks = [wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE)]
    # Forking a process that has threads is asking for trouble, and pytest may have some.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=prepare) as pool:
        yield from pool.map(_live_some, chunks)


def prepare() -> None:
    """Make this process fit for lives: nobody reads its logs, and it leaves little garbage."""
    logging.disable(logging.CRITICAL)
    # Looking for circles as often as Python does by itself takes a tenth of a life.
    gc.freeze()
    gc.set_threshold(GARBAGE)


@contextmanager
def renderer() -> Iterator[BoundedRenderer]:
    """The real renderer, which renders in a child and remembers. Its child is ended at the end."""
    # Patient, because a machine with much to do must not change what happens in a life.
    made = BoundedRenderer(Child(wall_seconds=600.0))
    try:
        yield made
    finally:
        made.close()


def _live_some(seeds: list[int]) -> Account:
    whole = Account()
    with renderer() as shared:
        for seed in seeds:
            whole.add(live(seed, shared))
    return whole
