"""`miaas-agent doctor`: is everything here that the agent needs? Each answer comes with its fix."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.runtime.docker_socket import DockerSocket, socket_path
from agent.runtime.port import Runtime, RuntimeDownError
from agent.settings import Settings
from fleet.port import Repository, RepositoryError
from schemas.layout import assigned_ref
from schemas.names import NodeName

# Images of model servers are 5 to 20 GB.
DISK_FREE_GIB = 20
GIB = 2**30
# What adjtimex(2) answers when nothing keeps the clock right.
TIME_ERROR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. fix: what to do; empty: all is well."""

    check: str
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined."""

    settings: Settings
    runtime: Runtime
    repository: Repository


def examine(patient: Patient) -> tuple[Finding, ...]:
    """Make every check. A check that breaks is a finding, and hides no other."""
    return tuple(_safely(name, check, patient) for name, check in CHECKS.items())


def as_text(findings: tuple[Finding, ...]) -> str:
    """Findings for a person: one line each, and the fix below."""
    lines = []
    for finding in findings:
        lines.append(f"{'FIX ' if finding.fix else 'ok  '} {finding.check:<12} {finding.found}")
        if finding.fix:
            lines.append(f"                  {finding.fix}")
    return "\n".join(lines) + "\n"


def _safely(name: str, check: Callable[[Patient], tuple[str, str]], patient: Patient) -> Finding:
    try:
        found, fix = check(patient)
    except (OSError, ValueError) as error:
        found, fix = str(error), "look at the message; without this the agent cannot work"
    return Finding(check=name, found=found, fix=fix)


def _state_folder(patient: Patient) -> tuple[str, str]:
    folder = Path(patient.settings.state_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    probe = folder / ".doctor"
    probe.write_text("x", encoding="utf-8")
    probe.unlink()
    free = shutil.disk_usage(folder).free // GIB
    return f"{folder} can be written, {free} GiB free", ""


def _git(_patient: Patient) -> tuple[str, str]:
    path = shutil.which("git")
    return (path, "") if path else ("git is not on PATH", "install git")


def _assignment(patient: Patient) -> tuple[str, str]:
    ref = assigned_ref(NodeName(patient.settings.node))
    try:
        found = patient.repository.fetch(ref)
    except RepositoryError as error:
        return str(error), "check state_url, the network, and the key that git uses"
    if ref in found:
        return f"{ref} is at {found[ref][:12]}", ""
    record = f"nodes/{patient.settings.node}.yaml"
    return f"the remote answers and has no {ref} yet", f"add {record} to the fleet repository"


def _docker(patient: Patient) -> tuple[str, str]:
    if patient.settings.runtime == "simulated":
        return "simulated: nothing here really runs", "set runtime to docker for real work"
    try:
        version = DockerSocket(socket_path(patient.settings.docker_host)).version()
    except RuntimeDownError as error:
        return str(error), "start Docker, and run the agent as root or in group docker"
    return f"Docker {version} answers", ""


def _compose(patient: Patient) -> tuple[str, str]:
    report = patient.runtime.report()
    if report.compose:
        return f"Compose {report.compose}", ""
    found = report.error or "no version"
    return found, "install the docker compose plugin, 2.24 or newer"


def _disk(patient: Patient) -> tuple[str, str]:
    root = Path("/")
    if patient.settings.runtime != "simulated":
        try:
            root = DockerSocket(socket_path(patient.settings.docker_host)).data_root()
        except RuntimeDownError:
            return "Docker does not say where its data is", "start Docker"
    free = shutil.disk_usage(root).free // GIB
    fix = f"make room: an image of a model server needs up to {DISK_FREE_GIB} GiB"
    return f"{free} GiB free for images in {root}", fix if free < DISK_FREE_GIB else ""


def _clock(_patient: Patient) -> tuple[str, str]:
    """Ask the kernel. A wrong clock harms only what people read, so it is worth no more."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if state == TIME_ERROR:
        return "nothing keeps the clock right", "enable systemd-timesyncd or chrony"
    return "the clock is kept right", ""


def _cgroup(_patient: Patient) -> tuple[str, str]:
    if Path("/sys/fs/cgroup/cgroup.controllers").is_file():
        return "version 2", ""
    return "version 1", "boot with systemd.unified_cgroup_hierarchy=1: limits work better there"


def _gpus(_patient: Patient) -> tuple[str, str]:
    if not Path("/proc/driver/nvidia/version").is_file():
        return "no NVIDIA driver is loaded", ""
    if shutil.which("nvidia-ctk") or shutil.which("nvidia-container-runtime"):
        return "driver and container toolkit are here", ""
    return "a driver and no container toolkit", "install nvidia-container-toolkit"


def _user(_patient: Patient) -> tuple[str, str]:
    if os.geteuid() == 0:
        return "root", ""
    return f"user id {os.geteuid()}", "run as root: memory and GPUs of containers are hidden else"


CHECKS: dict[str, Callable[[Patient], tuple[str, str]]] = {
    "user": _user,
    "state folder": _state_folder,
    "git": _git,
    "assignment": _assignment,
    "docker": _docker,
    "compose": _compose,
    "disk": _disk,
    "clock": _clock,
    "cgroup": _cgroup,
    "gpus": _gpus,
}
