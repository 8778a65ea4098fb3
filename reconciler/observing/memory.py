"""When each node was last heard of, kept over restarts in the state folder. Shell.

It is kept in seconds of the boot clock: after a reboot, or if the file is lost or damaged, every
node counts as seen now. Waiting longer than needed is harmless; calling a node lost too early is
not.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from reconciler.observing.inventory import Sighting, Sightings
from schemas.names import NodeName, is_name

FILE: Final = "sightings.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class SightingsFile:
    """Where sightings are kept. `boot_id` tells whether its seconds still mean anything."""

    def __init__(self, folder: Path, *, boot_id: str | None = None) -> None:
        self._path = folder / FILE
        self._boot_id = _boot_id() if boot_id is None else boot_id

    def load(self, now: datetime, boot_seconds: float) -> Sightings:
        """Read what was kept, on a clock that shows `now` at `boot_seconds`. Never fails."""
        try:
            kept = json.loads(self._path.read_bytes())
            if kept["boot"] != self._boot_id or not self._boot_id:
                return {}
            return {
                NodeName(name): _sighting(entry, now, boot_seconds)
                for name, entry in kept["nodes"].items()
                if is_name(name)
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return {}

    def save(self, sightings: Sightings, now: datetime, boot_seconds: float) -> None:
        """Keep the sightings. Written beside and renamed, so that a crash leaves the old ones."""
        nodes = {
            name: [
                one.incarnation,
                one.sequence,
                boot_seconds - (now - one.seen_at).total_seconds(),
            ]
            for name, one in sorted(sightings.items())
        }
        text = json.dumps({"boot": self._boot_id, "nodes": nodes}, indent=1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self._path)


def _sighting(entry: list[object], now: datetime, boot_seconds: float) -> Sighting:
    incarnation, sequence, seen = entry
    if not (isinstance(sequence, int) and isinstance(seen, int | float)):
        raise TypeError
    return Sighting(str(incarnation), sequence, now - timedelta(seconds=boot_seconds - seen))


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
