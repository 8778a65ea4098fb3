"""The fence of a host: what `miaas-agent fence` does, each time that its timer comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from agent.fence import LEASE_FILE, age_seconds, due, limits
from agent.fenced import FENCED_FILE, LABEL_STOP_AFTER, SEEN_FILE, record, recorded
from tests.sim.fleet.actor import Actor
from tests.sim.fleet.host import Host
from tests.sim.fleet.machine import NEVER

PERIOD_SECONDS: Final = 10.0


class Timer(Actor):
    """The timer of one host. It needs two files and the clock, and nobody's agent.

    While Docker does not answer it ends what it saw last, as the kernel lets it.

    fired: how often it stopped something. forced: how often without Docker.
    """

    kind = "fence"

    def __init__(self, host: Host) -> None:
        super().__init__(f"fence of {host.name}")
        self.host = host
        self.fired = 0
        self.forced = 0

    def step(self) -> float:
        host = self.host
        if host.gone:
            return NEVER
        shelf, engine = host.disk.shelf, host.engine
        answers = not engine.hangs and not engine.script.down
        told = recorded(shelf.read(FENCED_FILE) or "")
        if answers:
            entries = list(self._running())
            self._keep(record(entries))
        else:
            entries = recorded(shelf.read(SEEN_FILE) or "")
        since = age_seconds(shelf.read(LEASE_FILE) or "", boot=host.boot, now=host.boottime())
        over = due(limits([*entries, *told]), since)
        for one in engine.everything():
            if one.id in over and one.state in {"running", "paused"}:
                engine.change(one.id, "exited", 137)
                self.fired += 1
                self.forced += not answers
        return PERIOD_SECONDS

    def _running(self) -> Iterator[dict[str, Any]]:
        engine = self.host.engine
        for one in engine.everything():
            labels = engine.description(one.id).get("labels") or {}
            if one.state in {"running", "paused"} and LABEL_STOP_AFTER in labels:
                yield {"Id": one.id, "Labels": labels}

    def _keep(self, text: str) -> None:
        shelf = self.host.disk.shelf
        known = shelf.texts.get(SEEN_FILE, "")
        if text != known and not self.host.disk.full:
            shelf.texts[SEEN_FILE] = text

    def died(self) -> float:
        return PERIOD_SECONDS
