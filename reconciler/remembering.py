"""What a reconciler remembers between passes, kept over restarts in the state folder. Shell.

Times are kept in seconds of the boot clock: after a reboot, or if the file is lost or damaged,
every node counts as seen now and every rollout as just begun. Waiting longer than needed is
harmless; calling a node lost too early is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler.leading import Standing
from reconciler.observing.inventory import Sighting
from reconciler.rolling.marks import Mark, Memory
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName, is_name

FILE: Final = "memory.json"
STANDING: Final = "standing.json"
_DAMAGED: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_Write = Callable[[datetime], float]
_Read = Callable[[object], datetime]


class MemoryFile:
    """Where memory is kept. `boot_id` tells whether its seconds still mean anything."""

    def __init__(self, folder: Path, *, boot_id: str | None = None) -> None:
        self._path = folder / FILE
        self._boot_id = _boot_id() if boot_id is None else boot_id

    def load(self, now: datetime, boot_seconds: float) -> Memory:
        """Read what was kept, on a clock that shows `now` at `boot_seconds`. Never fails."""
        try:
            return _memory(_kept(self._path, self._boot_id), _reading(now, boot_seconds))
        except _DAMAGED:
            return Memory()

    def save(self, memory: Memory, now: datetime, boot_seconds: float) -> None:
        """Keep it. Written beside and renamed, so that a crash leaves the old one."""
        _keep(self._path, self._boot_id, _plain(memory, _writing(now, boot_seconds)))


class StandingFile:
    """Where it is kept since when a lease stands still, for who ends after every pass."""

    def __init__(self, folder: Path, *, boot_id: str | None = None) -> None:
        self._path = folder / STANDING
        self._boot_id = _boot_id() if boot_id is None else boot_id

    def load(self, now: datetime, boot_seconds: float) -> Standing:
        """Read what was kept, as `MemoryFile.load` does. No lease is ours: we made none yet."""
        try:
            kept = _kept(self._path, self._boot_id)
            moved = _reading(now, boot_seconds)(kept["moved"])
            return Standing(at=CommitId(str(kept["at"])), moved=moved)
        except _DAMAGED:
            return Standing()

    def save(self, standing: Standing, now: datetime, boot_seconds: float) -> None:
        """Keep it, unless there is no lease. Written as memory is."""
        if standing.at is not None and standing.moved is not None:
            moved = _writing(now, boot_seconds)(standing.moved)
            _keep(self._path, self._boot_id, {"at": standing.at, "moved": moved})


def _kept(path: Path, boot_id: str) -> Mapping[str, Any]:
    """Read a file of seconds since this boot. Raises one of `_DAMAGED` where it is of no use."""
    kept: Mapping[str, Any] = json.loads(path.read_bytes())
    if kept["boot"] != boot_id or not boot_id:
        raise ValueError("it is of another boot")
    return kept


def _keep(path: Path, boot_id: str, plain: Mapping[str, Any]) -> None:
    text = json.dumps({"boot": boot_id, **plain}, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _reading(now: datetime, boot_seconds: float) -> _Read:
    def moment(kept: object) -> datetime:
        if not isinstance(kept, int | float):
            raise TypeError
        return now - timedelta(seconds=boot_seconds - kept)

    return moment


def _writing(now: datetime, boot_seconds: float) -> _Write:
    return lambda moment: boot_seconds - (now - moment).total_seconds()


def _plain(memory: Memory, stamp: _Write) -> dict[str, Any]:
    return {
        "nodes": {
            name: {
                "incarnation": one.incarnation,
                "sequence": one.sequence,
                "seenAt": stamp(one.seen_at),
                "lost": one.is_lost,
                "losses": one.losses,
                "backAt": None if one.back_at is None else stamp(one.back_at),
                "machine": one.machine,
                "rival": one.rival,
                "news": one.is_news,
                "rivalAt": None if one.rival_at is None else stamp(one.rival_at),
            }
            for name, one in sorted(memory.sightings.items())
        },
        "marks": {
            name: {
                "revision": one.revision,
                "since": stamp(one.since),
                "reached": sorted(one.reached),
                "ready": sorted(one.ready),
                "untouched": sorted(one.untouched),
                "unready": sorted(one.unready),
                "provenSince": None if one.proven_since is None else stamp(one.proven_since),
            }
            for name, one in sorted(memory.marks.items())
        },
        "evacuated": {name: stamp(at) for name, at in sorted(memory.evacuated.items())},
        "doubts": {name: stamp(at) for name, at in sorted(memory.doubts.items())},
        "generations": dict(sorted(memory.generations.items())),
        "ran": sorted(memory.ran),
        "restoredAt": None if memory.restored_at is None else stamp(memory.restored_at),
        "rescheduledAt": None if memory.rescheduled_at is None else stamp(memory.rescheduled_at),
        "failing": {name: stamp(at) for name, at in sorted(memory.failing.items())},
        "readAt": None if memory.read_at is None else stamp(memory.read_at),
    }


def _memory(kept: Mapping[str, Any], moment: _Read) -> Memory:
    return Memory(
        sightings={
            NodeName(name): _sighting(one, moment)
            for name, one in kept["nodes"].items()
            if is_name(name)
        },
        marks={
            DeploymentName(name): _mark(one, moment)
            for name, one in kept["marks"].items()
            if is_name(name)
        },
        evacuated={NodeName(name): moment(at) for name, at in kept["evacuated"].items()},
        doubts={ReplicaName(name): moment(at) for name, at in kept["doubts"].items()},
        generations={NodeName(name): int(one) for name, one in kept["generations"].items()},
        ran=frozenset(map(DeploymentName, kept.get("ran", ()))),
        restored_at=None if kept["restoredAt"] is None else moment(kept["restoredAt"]),
        rescheduled_at=None if kept.get("rescheduledAt") is None else moment(kept["rescheduledAt"]),
        failing={ReplicaName(name): moment(at) for name, at in kept.get("failing", {}).items()},
        read_at=None if kept["readAt"] is None else moment(kept["readAt"]),
    )


def _sighting(one: Mapping[str, Any], moment: _Read) -> Sighting:
    sequence, losses = one["sequence"], one["losses"]
    if not (isinstance(sequence, int) and isinstance(losses, int)):
        raise TypeError
    return Sighting(
        str(one["incarnation"]),
        sequence,
        moment(one["seenAt"]),
        is_lost=bool(one["lost"]),
        losses=losses,
        back_at=None if one["backAt"] is None else moment(one["backAt"]),
        machine=str(one["machine"]),
        rival=str(one["rival"]),
        is_news=bool(one.get("news")),
        rival_at=None if one["rivalAt"] is None else moment(one["rivalAt"]),
    )


def _mark(one: Mapping[str, Any], moment: _Read) -> Mark:
    reached = frozenset(map(ReplicaName, one["reached"]))
    ready = frozenset(map(ReplicaName, one["ready"]))
    return Mark(
        revision=str(one["revision"]),
        since=moment(one["since"]),
        reached=reached,
        ready=ready,
        unready=frozenset(map(ReplicaName, one.get("unready", reached - ready))),
        untouched=frozenset(map(ReplicaName, one.get("untouched", ()))),
        proven_since=None if one["provenSince"] is None else moment(one["provenSince"]),
    )


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
