"""What `miaas-agent run` costs while nothing changes: heartbeats, looks and children included."""

from __future__ import annotations

import os
import time
from pathlib import Path

from examples.tour.services import Service, start, stop_all
from tests.bench.agent_noop import installed
from tests.bench.field import deploy, field, settled

# As a fleet has it that says nothing of timings: a heartbeat every 30 s, a look at Git every 15 s.
FLEET = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: bench}\nspec: {}\n"
SETTLE_SECONDS = 20.0
# Four heartbeats. The kernel counts processor time in hundredths of a second.
SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def measure() -> dict[str, float]:
    """Share of a core, and the largest memory of the agent with all its children."""
    program = installed()
    with field() as here:
        here.stage.repository.put("fleet.yaml", FLEET)
        here.stage.start_reconciler()
        (host,) = here.stage.world.hosts
        here.stage.start_agent(host)
        deploy(here.stage, "1")
        settled(here.stage)
        stop_all(here.base / "run")
        words = [
            str(program) if word.endswith("miaas-agent") else word
            for word in here.stage.agent(host, "run")
        ]
        agent = start("idle", words, here.base / "run", here.stage.environment())
        time.sleep(SETTLE_SECONDS)
        return _watched(agent)


def _watched(agent: Service) -> dict[str, float]:
    begun, used = time.monotonic(), _seconds(agent.pid)
    most = 0
    while time.monotonic() - begun < SECONDS:
        most = max(most, sum(map(_resident_kib, _family(agent.pid))))
        time.sleep(0.5)
    share = (_seconds(agent.pid) - used) / (time.monotonic() - begun)
    return {
        "agent_idle_core_percent": round(share * 100, 3),
        "agent_idle_mib": round(_at_rest_kib(agent.pid) / 1024, 1),
        "agent_idle_peak_mib": round(most / 1024, 1),
    }


def _at_rest_kib(pid: int) -> int:
    """Resident memory of the whole family, in a moment in which no git runs for it."""
    return min(sum(map(_resident_kib, _family(pid))) for _ in _moments(20))


def _moments(number: int) -> range:
    time.sleep(0.1)
    return range(number)


def _seconds(pid: int) -> float:
    """Processor time of a process, of its children that ended, and of those that live."""
    return sum(_own_seconds(one) for one in _family(pid))


def _own_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            children = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii")
            tasks = Path(f"/proc/{one}/task").iterdir()
            children = " ".join((task / "children").read_text(encoding="ascii") for task in tasks)
        except OSError:
            continue
        found += [int(child) for child in children.split()]
    return found


def _resident_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


if __name__ == "__main__":
    print(measure())
