"""The fence of a host: what `miaas-agent fence` does, each time that its timer comes."""

from __future__ import annotations

from typing import Final

from agent.fence import LEASE_FILE, age_seconds, stop_after
from schemas.layout import LABEL_STOP_AFTER
from tests.sim.fleet.actor import Actor
from tests.sim.fleet.host import Host
from tests.sim.fleet.machine import NEVER

PERIOD_SECONDS: Final = 10.0


class Timer(Actor):
    """The timer of one host. It needs Docker, the lease file and the clock, and nobody's agent.

    fired: how often it stopped something.
    """

    kind = "fence"

    def __init__(self, host: Host) -> None:
        super().__init__(f"fence of {host.name}")
        self.host = host
        self.fired = 0

    def step(self) -> float:
        host = self.host
        if host.gone:
            return NEVER
        if not host.engine.hangs and not host.engine.script.down:
            text = host.disk.shelf.read(LEASE_FILE) or ""
            since = age_seconds(text, boot=host.boot, now=host.boottime())
            for one in host.engine.everything():
                labels = host.engine.description(one.id).get("labels") or {}
                entry = {"Id": one.id, "Labels": labels}
                fenced = one.state in {"running", "paused"} and LABEL_STOP_AFTER in labels
                if fenced and stop_after(entry) <= since:
                    host.engine.change(one.id, "exited", 137)
                    self.fired += 1
        return PERIOD_SECONDS

    def died(self) -> float:
        return PERIOD_SECONDS
