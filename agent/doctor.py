"""`miaas-agent doctor`: is everything here that the agent needs? Each answer comes with its fix."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.runtime.docker_socket import DockerSocket, socket_path
from agent.runtime.plugin import compose_plugin
from agent.runtime.port import Runtime, RuntimeDownError
from agent.settings import Settings
from fleet.port import RejectedError, Repository, RepositoryError
from fleet.rehearsal import Answer, Guard
from schemas.layout import assigned_ref, heartbeat_ref
from schemas.names import NodeName

# Images of model servers are 5 to 20 GB.
DISK_FREE_GIB = 20
GIB = 2**30
# What adjtimex(2) answers when nothing keeps the clock right.
TIME_ERROR = 5
# The first version in which all that templates may use works, `configs: content` the last of it.
COMPOSE = (2, 24)
UNITS = ("miaas-agent.service", "miaas-agent.timer")
ANSWER_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. fix: what to do; empty: all is well."""

    check: str
    found: str
    fix: str = ""


def _nothing() -> None:
    """Stand in for a rehearsal where there is no remote to ask."""


def _no_rules() -> Answer:
    """Stand in for the question where there is no remote to ask."""
    return Answer(Guard.UNKNOWN, "not asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined.

    rehearse: asks the remote whether we may push, and raises RepositoryError if not.
    ask_rules: asks the remote whether a rule keeps us from refs that are not ours.
    root: where /proc, /run, /sys and /usr stand.
    """

    settings: Settings
    runtime: Runtime
    repository: Repository
    rehearse: Callable[[], None] = field(default=_nothing)
    ask_rules: Callable[[], Answer] = field(default=_no_rules)
    root: Path = Path("/")


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


def as_json(findings: tuple[Finding, ...]) -> str:
    """Findings for machines."""
    return json.dumps([asdict(finding) for finding in findings], indent=2) + "\n"


def _safely(name: str, check: Callable[[Patient], tuple[str, str]], patient: Patient) -> Finding:
    try:
        found, fix = check(patient)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
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


def _secrets(patient: Patient) -> tuple[str, str]:
    """Keys and passwords that others can read; ssh itself refuses such keys."""
    settings = patient.settings
    named = [Path(name) for name in (settings.ssh_key, settings.credentials) if name]
    missing = [str(path) for path in named if not path.is_file()]
    if missing:
        return f"{', '.join(missing)} is not there", "write it, or run `miaas-agent enrol`"
    open_ones = [str(path) for path in named if path.stat().st_mode & 0o077]
    if open_ones:
        return f"others can read {', '.join(open_ones)}", f"chmod 600 {' '.join(open_ones)}"
    return f"{len(named)} files, for nobody else to read" if named else "none are needed", ""


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


def _push(patient: Patient) -> tuple[str, str]:
    try:
        patient.rehearse()
    except RejectedError as error:
        return str(error), "let this host's key write there; on a forge: a deploy key that may push"
    except RepositoryError as error:
        return str(error), "check state_url, the network, and that the key may write, not only read"
    return f"{heartbeat_ref(NodeName(patient.settings.node))} may be pushed", ""


def _rules(patient: Patient) -> tuple[str, str]:
    """A key that may write every ref is root on every host of the fleet."""
    try:
        answer = patient.ask_rules()
    except RepositoryError as error:
        return str(error), "check state_url, and that the key may write"
    if answer.guard is Guard.HELD:
        return "this host's key may not write what other hosts run", ""
    if answer.guard is Guard.UNKNOWN:
        return f"not known whether this key may write what other hosts run: {answer.why}", ""
    return (
        "this host's key may write what other hosts run: no rule of the server is in its way",
        'see "Who may push what" in docs/operating.md',
    )


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
    fix = f"install the docker compose plugin, {'.'.join(map(str, COMPOSE))} or newer"
    if not report.compose:
        return report.error or "no version", fix
    found = re.match(r"(\d+)\.(\d+)", report.compose)
    is_old = found is not None and (int(found[1]), int(found[2])) < COMPOSE
    plugin = compose_plugin(Path(patient.settings.docker_config))
    place = f" in {plugin.parent}" if plugin else ""
    return f"Compose {report.compose}{place}", fix if is_old else ""


def _disk(patient: Patient) -> tuple[str, str]:
    root = patient.root
    if patient.settings.runtime != "simulated":
        try:
            root = DockerSocket(socket_path(patient.settings.docker_host)).data_root()
        except RuntimeDownError:
            return "Docker does not say where its data is", "start Docker"
    free = shutil.disk_usage(root).free // GIB
    fix = f"make room: an image of a model server needs up to {DISK_FREE_GIB} GiB"
    return f"{free} GiB free for images in {root}", fix if free < DISK_FREE_GIB else ""


def _clock(_patient: Patient) -> tuple[str, str]:
    """Ask the kernel. A wrong clock harms TLS and what people read, and no decision of ours."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if state == TIME_ERROR:
        return "nothing keeps the clock right", "enable systemd-timesyncd or chrony"
    return "the clock is kept right", ""


def _cgroup(patient: Patient) -> tuple[str, str]:
    if (patient.root / "sys/fs/cgroup/cgroup.controllers").is_file():
        return "version 2", ""
    return "version 1", "boot with systemd.unified_cgroup_hierarchy=1: limits work better there"


def _gpus(patient: Patient) -> tuple[str, str]:
    if not (patient.root / "proc/driver/nvidia/version").is_file():
        return "no NVIDIA driver is loaded", ""
    if patient.settings.runtime == "simulated":
        return "a driver is loaded", ""
    try:
        info = DockerSocket(socket_path(patient.settings.docker_host)).described("/info")
    except RuntimeDownError:
        return "Docker does not say whether it hands out GPUs", "start Docker"
    if gives_gpus(info) or shutil.which("nvidia-container-runtime-hook"):
        return "a driver is loaded, and Docker hands its cards out", ""
    return (
        "a driver is loaded, and Docker knows no way to hand its cards out",
        "install nvidia-container-toolkit, then: nvidia-ctk runtime configure --runtime=docker "
        "&& systemctl restart docker",
    )


def gives_gpus(info: dict[str, object]) -> bool:
    """Whether Docker's description of itself names NVIDIA's runtime, or its cards by CDI."""
    runtimes, devices = info.get("Runtimes"), info.get("DiscoveredDevices")
    listed = devices if isinstance(devices, list) else []
    by_name = isinstance(runtimes, dict) and "nvidia" in runtimes
    return by_name or any("nvidia.com/gpu" in str(device) for device in listed)


def _user(_patient: Patient) -> tuple[str, str]:
    if os.geteuid() == 0:
        return "root", ""
    return f"user id {os.geteuid()}", "run as root: memory and GPUs of containers are hidden else"


def _unit(patient: Patient) -> tuple[str, str]:
    if not (patient.root / "run/systemd/system").is_dir():
        return "no systemd here: something else has to keep `miaas-agent run` going", ""
    command = ["systemctl", "is-enabled", *UNITS]
    done = subprocess.run(  # noqa: S603  # fixed words, no shell
        command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
    )
    enabled = [
        unit
        for unit, said in zip(UNITS, done.stdout.split(), strict=False)
        if said.startswith("enabled")
    ]
    if len(enabled) > 1:
        return "both ways to run are enabled", f"systemctl disable --now {UNITS[1]}"
    if not enabled:
        return "the agent does not start by itself", f"systemctl enable --now {UNITS[0]}"
    return f"{enabled[0]} is enabled", ""


CHECKS: dict[str, Callable[[Patient], tuple[str, str]]] = {
    "user": _user,
    "state folder": _state_folder,
    "secrets": _secrets,
    "git": _git,
    "assignment": _assignment,
    "push": _push,
    "rules": _rules,
    "docker": _docker,
    "compose": _compose,
    "disk": _disk,
    "clock": _clock,
    "cgroup": _cgroup,
    "gpus": _gpus,
    "unit": _unit,
}
