"""Where the tour runs: two engines with networks of their own, one engine, or none at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from examples.tour.cables import NAMESPACES, namespaces_allowed
from examples.tour.engines import Engine, cleanup, engines_allowed, link_compose, start_engine
from examples.tour.images import ImageError, busybox, import_image
from examples.tour.machine import EngineError
from examples.tour.services import TourError

IMAGE = "miaas/echo:1"
NODES = ("gpu-1", "gpu-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One node of the tour.

    address: where its published ports answer. entering: words to put before a command so that it
    runs on this node. docker_host, docker_config: empty on the simulated runtime.
    """

    name: str
    address: str
    entering: tuple[str, ...] = ()
    docker_host: str = ""
    docker_config: str = ""

    @property
    def simulated(self) -> bool:
        """Whether this node has no engine and only plays one."""
        return not self.docker_host


@dataclass(frozen=True, slots=True)
class World:
    """The nodes, and a sentence that says what they are."""

    hosts: tuple[Host, ...]
    says: str


def build(base: Path) -> World:
    """Start what the best tour on this machine needs, and put the demo image where it belongs."""
    why_not = engines_allowed()
    try:
        if not why_not and busybox() is not None:
            return _own_engines(base)
        if _engine_answers() and busybox() is not None:
            return _engine_found(base)
    except (EngineError, ImageError) as error:
        raise TourError(str(error)) from error
    hosts = tuple(Host(name=name, address="127.0.0.1") for name in NODES)
    reason = why_not or "no static busybox (Debian package busybox-static) to make an image of"
    return World(
        hosts, f"a SIMULATED runtime: no container is started, because {reason}; no Docker answers"
    )


def demolish(base: Path) -> tuple[str, ...]:
    """Remove every engine that `build` started, and the image from an engine that was here before.

    Returns the names of the engines that were stopped.
    """
    stopped = cleanup(base)
    if (base / "client").exists() and _engine_answers():
        docker = _docker()
        for kind in ("container", "volume"):
            _remove_ours(docker, kind)
        subprocess.run([docker, "image", "rm", IMAGE], check=False, capture_output=True)  # noqa: S603
        shutil.rmtree(base / "client")
    return stopped


def _own_engines(base: Path) -> World:
    if not namespaces_allowed():
        engine = start_engine("engine", base)
        import_image(engine, IMAGE)
        hosts = tuple(_on(engine, name) for name in NODES)
        return World(hosts, "one private Docker engine for both nodes (no network namespaces here)")
    engines = [start_engine(name, base, index) for index, name in enumerate(NODES, start=1)]
    for engine in engines:
        import_image(engine, IMAGE)
    hosts = tuple(_on(engine, engine.name) for engine in engines)
    return World(hosts, "two private Docker engines, each in a network of its own")


def _on(engine: Engine, name: str) -> Host:
    entering = ("nsenter", f"--net={NAMESPACES / engine.namespace}") if engine.namespace else ()
    return Host(
        name=name,
        address=engine.address,
        entering=entering,
        docker_host=engine.docker_host,
        docker_config=str(engine.docker_config),
    )


def _engine_found(base: Path) -> World:
    """Use the engine that answers this user already. Its images and containers stay untouched."""
    socket = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    engine = Engine(
        name="found",
        folder=base,
        socket=Path(socket.removeprefix("unix://")),
        address="127.0.0.1",
        docker_config=link_compose(base / "client"),
        namespace="",
        cable="",
        pid=0,
    )
    import_image(engine, IMAGE)
    hosts = tuple(_on(engine, name) for name in NODES)
    return World(hosts, "the Docker engine of this machine, shared by both nodes")


def _remove_ours(docker: str, kind: str) -> None:
    """Remove what the tour's nodes left on an engine that is not the tour's own."""
    for node in NODES:
        wanted = f"label=io.miaas.node={node}" if kind == "container" else f"name=miaas-{node}-"
        words = ["ls", "--quiet", "--filter", wanted, *(["--all"] if kind == "container" else [])]
        listed = subprocess.run(  # noqa: S603 - a fixed list, no shell
            [docker, kind, *words], check=False, capture_output=True, text=True
        )
        for name in listed.stdout.split():
            subprocess.run([docker, kind, "rm", "--force", name], check=False, capture_output=True)  # noqa: S603


def _engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run([_docker(), "version"], check=False, capture_output=True, timeout=20)  # noqa: S603
    return asked.returncode == 0


def _docker() -> str:
    return shutil.which("docker") or "docker"


def python_program(name: str) -> str:
    """Path of a program of this venv, such as `miaas-agent`."""
    return str(Path(sys.executable).parent / name)
