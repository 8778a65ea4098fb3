"""One reading of the whole host, for a heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.host.belongings import belongings
from agent.host.gpus import GpuReader, HostMemory, reports
from agent.host.hardware import Ours, host_report
from schemas.heartbeat import GpuReport, HostReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found. problems: what could not be read, in words, with a way out."""

    host: HostReport
    gpus: tuple[GpuReport, ...] = ()
    problems: tuple[str, ...] = ()


def read_facts(docker_root: Path, ours: Ours, gpus: GpuReader) -> Facts:
    """Read the host once. A GPU driver in trouble becomes a problem and hides nothing else.

    Args:
        docker_root: the folder that holds Docker's data; its file system is the node's disk.
        ours: what we run, so that all the rest counts as foreign.
        gpus: keep one for the life of the process: it remembers a driver that hangs.
    """
    held = belongings(ours.containers)
    host = host_report(docker_root, ours, held)
    reading = gpus.read()
    shared = HostMemory(host.memory_mib, host.foreign_memory_mib)
    return Facts(
        host=host,
        gpus=reports(reading, held.pids, shared),
        problems=reading.problems,
    )
