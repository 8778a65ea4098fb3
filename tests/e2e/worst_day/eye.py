"""What really runs, as the kernel tells it: whatever Docker, agents and Git think of it.

Each container's processes stand in a control group of the container's name. So an engine that is
stopped, hung or dead is seen through as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from examples.tour.engines import Engine
from examples.tour.leftovers import CGROUPS
from schemas.layout import LABEL_REPLICA

LOOK_EVERY_SECONDS = 0.1
ID_LETTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A container that ran from the end of the first look that saw it to the begin of the last.

    Seconds of the steady clock. One that only one look saw has its end before its begin.
    """

    replica: str
    node: str
    container: str
    first: float
    last: float

    def __str__(self) -> str:
        span = f"{self.first:.1f} to {self.last:.1f}"
        return f"{self.replica} on {self.node} ({self.container[:12]}) from {span}"


@dataclass
class Eye:
    """Looks at all engines again and again, and remembers what ran when. times: seconds."""

    engines: dict[str, Engine]
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _shut: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _past: list[Run] = field(default_factory=list)

    @contextlib.contextmanager
    def open(self) -> Iterator[Eye]:
        """Look for the length of a block."""
        looking = threading.Thread(target=self._look_on, daemon=True)
        looking.start()
        try:
            yield self
        finally:
            self._shut.set()
            looking.join()

    def of(self, replica: str) -> list[Run]:
        """All runs of a replica so far, in order."""
        with self._lock:
            found = [one for one in (*self._past, *self.runs.values()) if one.replica == replica]
        return sorted(found, key=lambda one: one.first)

    def running(self, replica: str) -> list[str]:
        """The nodes on which a replica runs at this moment."""
        return [name for name, engine in self.engines.items() if replica in self.on(engine)]

    def on(self, engine: Engine) -> list[str]:
        """The replicas that run on an engine at this moment."""
        return [name for one in _alive(engine) if (name := self._replica(engine, one))]

    def fell(self, replica: str) -> None:
        """Kill all processes of a replica, wherever it runs, as a fault in them would."""
        for engine in self.engines.values():
            for group in _groups(engine):
                if self._replica(engine, group.name) == replica:
                    for pid in _processes(group):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)

    def doubles(self) -> list[str]:
        """Every two copies of a replica that were seen to run at once on two nodes."""
        with self._lock:
            runs = sorted((*self._past, *self.runs.values()), key=lambda one: one.first)
        return [
            f"{one}, and {other}"
            for number, one in enumerate(runs)
            for other in runs[number + 1 :]
            if one.replica == other.replica
            and one.node != other.node
            and max(one.first, other.first) <= min(one.last, other.last)
        ]

    def _look_on(self) -> None:
        while not self._shut.wait(LOOK_EVERY_SECONDS):
            for node, engine in self.engines.items():
                self._look(node, engine)

    def _look(self, node: str, engine: Engine) -> None:
        before = time.monotonic()
        found = {one: name for one in _alive(engine) if (name := self._replica(engine, one))}
        now = time.monotonic()
        with self._lock:
            for container, replica in found.items():
                key = (node, container)
                if key in self.runs:
                    self.runs[key] = replace(self.runs[key], last=before)
                else:
                    self.runs[key] = Run(
                        replica=replica, node=node, container=container, first=now, last=before
                    )
            # A container that is started again later runs anew, and did not run in between.
            for key in [one for one in self.runs if one[0] == node and one[1] not in found]:
                self._past.append(self.runs.pop(key))

    def _replica(self, engine: Engine, container: str) -> str:
        """The replica that a container belongs to; empty: it is none of ours."""
        if container not in self._names:
            file = engine.folder / "data" / "containers" / container / "config.v2.json"
            try:
                labels = json.loads(file.read_text())["Config"]["Labels"] or {}
            except (OSError, ValueError, KeyError):
                return ""  # it was removed meanwhile, or is written at this moment
            self._names[container] = str(labels.get(LABEL_REPLICA, ""))
        return self._names[container]


def _alive(engine: Engine) -> list[str]:
    """Ids of the containers that have a process."""
    return sorted({group.name for group in _groups(engine) if _has_process(group)})


def _groups(engine: Engine) -> list[Path]:
    """One hierarchy on new kernels, one a controller on old ones: any of those will do."""
    tag = engine.socket.parent.name
    roots = [root for root in (CGROUPS / tag, CGROUPS / "pids" / tag) if root.is_dir()]
    with contextlib.suppress(OSError):
        return [one for root in roots for one in root.iterdir() if len(one.name) == ID_LETTERS]
    return []


def _has_process(group: Path) -> bool:
    return bool(_processes(group))


def _processes(group: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    return []
