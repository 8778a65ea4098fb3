"""What `miaas-agent run` costs while nothing changes: heartbeats, looks and children included."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from examples.tour.services import Service, start, stop_all, wait_for
from tests.bench.agent_noop import installed
from tests.bench.field import deploy, field, runs, settled

# As a fleet has it that says nothing of timings: a heartbeat every 30 s, a look at Git every 15 s.
FLEET = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: bench}\nspec: {}\n"
# After a change Compose's client stays for two minutes.
CALM_SECONDS = 180.0
# Four heartbeats. The kernel counts processor time in hundredths of a second.
SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def measure() -> dict[str, float]:
    """Share of a core, and the usual memory of the agent with all its children."""
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
        here.stage.start_reconciler()
        agent = start("idle", words, here.base / "run", here.stage.environment())
        deploy(here.stage, "2")
        if not wait_for(lambda: runs(here.engine, "2"), CALM_SECONDS):
            raise RuntimeError("the agent does not follow")
        if not wait_for(lambda: not _helpers(agent.pid), CALM_SECONDS):
            raise RuntimeError("the agent does not come to rest")
        return _watched(agent)


def _watched(agent: Service) -> dict[str, float]:
    begun, used = time.monotonic(), _seconds(agent.pid)
    resident = []
    while time.monotonic() - begun < SECONDS:
        resident.append(sum(map(_resident_kib, _family(agent.pid))))
        time.sleep(0.5)
    share = (_seconds(agent.pid) - used) / (time.monotonic() - begun)
    return {
        "agent_idle_core_percent": round(share * 100, 3),
        "agent_idle_mib": round(statistics.median(resident) / 1024, 1),
    }


def _helpers(pid: int) -> list[int]:
    """Children that make Compose's calls."""
    return [one for one in _family(pid) if "agent.hands" in _read(one, "cmdline")]


def _seconds(pid: int) -> float:
    """Processor time of a process, of its children that ended, and of those that live."""
    return sum(_own_seconds(one) for one in _family(pid))


def _own_seconds(pid: int) -> float:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def _family(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [pid]
    for one in found:
        tasks = Path(f"/proc/{one}/task")
        names = [task.name for task in tasks.iterdir()] if tasks.exists() else []
        for name in names:
            found += map(int, _read(one, f"task/{name}/children").split())
    return found


def _resident_kib(pid: int) -> int:
    lines = _read(pid, "status").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def _read(pid: int, name: str) -> str:
    """A file that the kernel keeps of a process; empty: it ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    print(measure())
