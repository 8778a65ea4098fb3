"""How large a state repository of one's own grows, with `miaas-state-gc` beside the heartbeats.

A week of 50 nodes is a million pushes. What a push leaves on disk is known: a commit, a tree and a
blob, each a file, and a ref that moved. So these are written directly, with the times that they
would have, hour after hour, as many as come between two rounds of cleaning. After the first hour
every round drops as much as came; that is measured, and the rest of the week is the same.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import tempfile
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.state_gc import MIB, clean, disk_bytes
from schemas.heartbeat import Heartbeat, ReplicaReport, ReplicaState, dump_heartbeat
from schemas.names import DeploymentName, ReplicaName
from tests.builders import a_gpu_report, a_heartbeat, a_host, a_service_report

NODES = 50
BEAT_SECONDS = 30
CLEAN_SECONDS = 600
KEEP_SECONDS = 3600
# Twice as long as anything is kept: by then every round drops as much as came.
HOURS = 3
# A hundred decisions a day, for a week; their history stays.
DECISIONS = 700


@dataclass
class State:
    """A bare repository, written as pushes would leave it. now: in seconds since 1970."""

    folder: Path
    now: float

    def put(self, kind: str, content: bytes) -> str:
        """Write an object as a file of its own, as git does for small pushes."""
        data = f"{kind} {len(content)}".encode() + b"\0" + content
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path = self.folder / "objects" / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(data, 1))
        os.utime(path, (self.now, self.now))
        return name

    def commit(self, files: dict[str, bytes], parent: str = "") -> str:
        """Write a commit with these files at its root."""
        rows = (
            f"100644 {name}".encode() + b"\0" + bytes.fromhex(self.put("blob", data))
            for name, data in sorted(files.items())
        )
        tree = self.put("tree", b"".join(rows))
        who = f"MIaaS <miaas@localhost> {int(self.now)} +0000"
        line = f"parent {parent}\n" if parent else ""
        text = f"tree {tree}\n{line}author {who}\ncommitter {who}\n\nx {self.now}\n"
        return self.put("commit", text.encode())

    def move(self, ref: str, commit: str) -> None:
        """Move a ref."""
        path = self.folder / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{commit}\n", encoding="ascii")

    def clean(self) -> None:
        """One round, at the time that it is. Packs get that time, as they would have it."""
        clean(self.folder, f"@{int(self.now - KEEP_SECONDS)}")
        for path in (self.folder / "objects" / "pack").iterdir():
            os.utime(path, (self.now, self.now))


def measure() -> dict[str, float]:
    """The largest size on disk, just before a round, once every round drops as much as came."""
    base = Path(tempfile.mkdtemp(prefix="miaas-bench-state-"))
    try:
        subprocess.run(["git", "init", "-q", "--bare", str(base / "state.git")], check=True)
        state = State(base / "state.git", time.time() - HOURS * 3600 - KEEP_SECONDS)
        _decide(state)
        sizes = [_period(state, seed) for seed in range(HOURS * 3600 // CLEAN_SECONDS)]
    finally:
        shutil.rmtree(base)
    hour = KEEP_SECONDS // CLEAN_SECONDS
    last, before = max(sizes[-hour:]), max(sizes[-2 * hour : -hour])
    if last > before * 1.05:
        raise RuntimeError(f"it still grows: {before / MIB:.1f}, then {last / MIB:.1f} MiB an hour")
    return {"state_repo_mib_after_week": round(last / MIB, 1)}


def _decide(state: State) -> None:
    """Write the history of the decisions."""
    rng, parent = random.Random(0), ""
    document = "".join(f"replica-{number} on node-{number % NODES}\n" for number in range(2000))
    for number in range(DECISIONS):
        moved = f"replica-{rng.randrange(2000)} moved\n"
        parent = state.commit({"decision.json": (document + moved * (number % 3)).encode()}, parent)
    state.move("refs/heads/assignments", parent)


def _period(state: State, seed: int) -> int:
    """Heartbeats until the next round, that round, and the size just before it."""
    rng = random.Random(seed)
    for _ in range(CLEAN_SECONDS // BEAT_SECONDS):
        for number in range(NODES):
            beat = dump_heartbeat(_beat(f"node-{number}", rng, int(state.now)))
            commit = state.commit({"heartbeat.json": beat.encode()})
            state.move(f"refs/miaas/nodes/node-{number}", commit)
        state.now += BEAT_SECONDS
    size = disk_bytes(state.folder)
    state.clean()
    return size


def _beat(node: str, rng: random.Random, sequence: int) -> Heartbeat:
    """A heartbeat of a node with four GPUs and six replicas, with what changes all the time."""
    cards = tuple(
        replace(
            a_gpu_report(number, owner=node),
            used_mib=16 * rng.randrange(2000),
            utilisation_percent=5 * rng.randrange(20),
            temperature_c=5 * rng.randrange(6, 18),
            power_w=10 * rng.randrange(3, 35),
        )
        for number in range(4)
    )
    replicas = tuple(
        ReplicaReport(
            name=ReplicaName(f"model-{number}-0"),
            deployment=DeploymentName(f"model-{number}"),
            state=ReplicaState.RUNNING,
            observed="1" * 40,
            services=(a_service_report(),),
        )
        for number in range(6)
    )
    host = a_host(foreign_memory_mib=64 * rng.randrange(100))
    images = tuple(f"registry.example.org/team/image-{number}:1.{number}" for number in range(20))
    return a_heartbeat(
        node, sequence=sequence, host=host, gpus=cards, replicas=replicas, images=images
    )


if __name__ == "__main__":
    print(measure())
