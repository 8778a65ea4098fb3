"""What only a real engine can show."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from agent.host.belongings import belongings
from agent.host.hardware import Ours
from agent.runtime.compose import KILL_AFTER_SECONDS, Bounds, ComposeRuntime, DockerSettings
from agent.runtime.docker_socket import BadDockerHostError, DockerSocket
from agent.runtime.holdings import holdings
from agent.runtime.plugin import compose_version
from agent.runtime.port import Project, RuntimeDownError, RuntimeFailedError, UnfinishedError
from examples.tour.engines import Engine
from tests.contract.runtime.world import (
    ABSENT,
    IMAGE,
    NODE,
    DockerWorld,
    a_project,
    a_service,
    compose_runtime,
)

pytestmark = pytest.mark.e2e
Eventually = Callable[[Callable[[], bool]], None]


def test_volumes_outlive_their_project(docker_world: DockerWorld, tmp_path: Path) -> None:
    service = a_service(volumes=["kept:/data", "/anonymous"])
    project = a_project(tmp_path / "db", "db-0", {"db": service}, volumes={"kept": {}})
    docker_world.runtime.up(project)
    (container,) = docker_world.runtime.containers(NODE)
    docker_world.docker("exec", container.id, "sh", "-c", "echo precious > /data/file")
    volumes = docker_world.docker("volume", "ls", "-q")

    docker_world.runtime.down(project.name)

    assert docker_world.docker("volume", "ls", "-q") == volumes
    docker_world.runtime.up(project)
    (again,) = docker_world.runtime.containers(NODE)
    assert docker_world.docker("exec", again.id, "cat", "/data/file") == "precious\n"


@pytest.mark.usefixtures("unanswered_input")
def test_a_volume_that_its_file_describes_otherwise_stays_as_it_was_made(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    first, then = (
        a_project(
            tmp_path / purpose,
            "db-0",
            {"db": a_service(volumes=["kept:/data"], **{"x-hash": purpose})},
            volumes={"kept": {"labels": {"purpose": purpose}}},
        )
        for purpose in ("first", "then")
    )
    docker_world.runtime.up(first)
    (container,) = docker_world.runtime.containers(NODE)
    docker_world.docker("exec", container.id, "sh", "-c", "echo precious > /data/file")

    docker_world.runtime.up(then)

    (again,) = docker_world.runtime.containers(NODE)
    assert (again.content_hash, again.state) == ("then", "running")
    assert docker_world.docker("exec", again.id, "cat", "/data/file") == "precious\n"


def test_a_tag_that_moved_makes_nothing_anew_that_is_as_described(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    docker_world.docker("tag", IMAGE, "moving:1")
    services = {name: a_service(image="moving:1") for name in ("model", "web")}
    project = a_project(tmp_path / "chat", "chat-0", services)
    docker_world.runtime.up(project)
    before = {one.service: one.id for one in docker_world.runtime.containers(NODE)}
    docker_world.make_image("moving:1")
    docker_world.docker("stop", before["web"])

    docker_world.runtime.up(project)

    after = docker_world.runtime.containers(NODE)
    assert {one.service: one.id for one in after} == before
    assert {one.state for one in after} == {"running"}

    services["web"]["x-hash"] = "2"
    docker_world.runtime.up(a_project(tmp_path / "chat", "chat-0", services))
    assert {one.content_hash for one in docker_world.runtime.containers(NODE)} == {"1", "2"}


def test_the_agents_environment_stays_out_of_containers(
    docker_world: DockerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_SECRET", "canary")
    monkeypatch.setenv("COMPOSE_PROFILES", "extra")
    folder = tmp_path / "chat"
    environment = {"TAKEN": "${AGENT_SECRET:-}", "FILED": "${FROM_DOT_ENV:-}", "AGENT_SECRET": None}
    project = a_project(
        folder,
        "chat-0",
        {"web": a_service(environment=environment), "extra": a_service(profiles=["extra"])},
    )
    (folder / ".env").write_text("FROM_DOT_ENV=canary\n")

    docker_world.runtime.up(project)

    (container,) = docker_world.runtime.containers(NODE)
    assert "canary" not in docker_world.docker("exec", container.id, "env")


def test_a_missing_image_that_must_not_be_pulled_fails_before_anything_changes(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    services = {"web": a_service(), "side": a_service(image="own:9", pull_policy="never")}
    project = a_project(tmp_path / "chat", "chat-0", services)

    with pytest.raises(RuntimeFailedError, match=r"own:9 has `pull_policy: never`.*Fix: load"):
        docker_world.runtime.pull(project)

    assert docker_world.runtime.containers(NODE) == ()


def test_pulling_asks_no_registry_for_what_is_here(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    # No registry answers here, so to ask one would fail.
    services = {"a": a_service(), "b": a_service(pull_policy="never")}

    docker_world.runtime.pull(a_project(tmp_path / "chat", "chat-0", services))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"image": ABSENT}, "registry unreachable: .* Fix: ", id="no registry"),
        pytest.param(
            {"image": IMAGE, "pull_policy": "always"}, "registry unreachable", id="always"
        ),
        pytest.param({"image": "Not an image"}, "Fix: ", id="no reference"),
        pytest.param({"image": "x/../../y"}, "cannot be an image", id="climbing reference"),
    ],
)
def test_a_pull_says_what_it_could_not_have(
    docker_world: DockerWorld, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service(**change)})

    with pytest.raises(RuntimeFailedError, match=message):
        docker_world.runtime.pull(project)


GPU = {"driver": "nvidia", "capabilities": ["gpu"], "device_ids": ["GPU-0"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"deploy": {"resources": {"reservations": {"devices": [GPU]}}}},
            "the engine has no GPU support: .*Container Toolkit",
            id="no GPU runtime",
        ),
        pytest.param(
            {"command": ["/no/such"]}, "the container's command cannot be started", id="command"
        ),
        pytest.param({"imag": "x"}, "Compose does not accept the file: ", id="unknown key"),
        pytest.param({"image": "absent:1", "pull_policy": "never"}, "image not found", id="image"),
    ],
)
def test_up_says_why_a_service_did_not_start(
    docker_world: DockerWorld, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service(**change)})

    with pytest.raises(RuntimeFailedError, match=message):
        docker_world.runtime.up(project)


def test_a_port_in_use_is_named(docker_world: DockerWorld, tmp_path: Path) -> None:
    ports = ["18099:80"]
    docker_world.runtime.up(a_project(tmp_path / "a", "a-0", {"web": a_service(ports=ports)}))

    with pytest.raises(RuntimeFailedError, match=r"port already allocated: .*18099.*`auto`"):
        docker_world.runtime.up(a_project(tmp_path / "b", "b-0", {"web": a_service(ports=ports)}))

    assert {one.replica for one in docker_world.runtime.containers(NODE)} == {"a-0", "b-0"}


def test_gpus_survive_resolving(docker_world: DockerWorld, tmp_path: Path) -> None:
    reserved = {"resources": {"reservations": {"devices": [GPU]}}}
    folder = tmp_path / "chat"
    a_project(folder, "chat-0", {"web": a_service(deploy=reserved)})

    resolved = docker_world.runtime.resolve(folder, "chat-0")

    assert "'GPU-0'" in str(resolved)


def test_up_does_not_wait_for_health(docker_world: DockerWorld, tmp_path: Path) -> None:
    check = {"test": ["CMD", "false"], "interval": "60s", "start_period": "600s"}
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service(healthcheck=check)})

    docker_world.runtime.up(project)

    assert [one.health for one in docker_world.runtime.containers(NODE)] == ["starting"]


def test_a_created_container_has_no_exit_code(docker_world: DockerWorld, tmp_path: Path) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service(command=["/no/such"])})
    with pytest.raises(RuntimeFailedError):
        docker_world.runtime.up(project)

    (container,) = docker_world.runtime.containers(NODE)

    assert (container.state, container.exit_code) == ("created", None)


def test_the_report_names_both_versions(docker_world: DockerWorld) -> None:
    report = docker_world.runtime.report()

    assert report.error == ""
    assert report.docker == docker_world.docker("version", "-f", "{{.Server.Version}}").strip()
    assert report.compose.count(".") == 2


def test_without_the_plugin_the_report_says_so(docker_world: DockerWorld, tmp_path: Path) -> None:
    host = docker_world.engine.docker_host
    runtime = ComposeRuntime(DockerSettings(host=host, config=tmp_path, home=tmp_path))

    error = runtime.report().error

    if error:  # a host may have the plugin installed for all
        assert error.startswith("Docker has no Compose plugin")


def test_the_version_of_compose_is_asked_once_and_again_when_it_changes(tmp_path: Path) -> None:
    plugin, asked = tmp_path / "docker-compose", tmp_path / "asked"
    plugin.write_text("one")
    command = ["sh", "-c", f"echo x >> {asked}; echo v5.{tmp_path.name[-1]}.1"]

    def version() -> str:
        return compose_version(command, plugin=plugin, notes=tmp_path)

    assert version() == version() == f"5.{tmp_path.name[-1]}.1"
    assert asked.read_text() == "x\n"
    plugin.write_text("another")
    version()
    assert asked.read_text() == "x\nx\n"


def test_a_compose_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailedError, match="Docker has no Compose plugin"):
        compose_version(
            ["sh", "-c", "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"],
            plugin=None,
            notes=tmp_path,
        )
    with pytest.raises(RuntimeFailedError, match="cannot be started"):
        compose_version(["/no/such/program"], plugin=None, notes=tmp_path)


def test_pulling_notices_that_the_file_changed_since_it_was_resolved(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service()})
    docker_world.runtime.resolve(project.folder, project.name)
    docker_world.runtime.pull(project)

    changed = a_project(tmp_path / "chat", "chat-0", {"web": a_service(image=ABSENT)})

    with pytest.raises(RuntimeFailedError, match="registry unreachable"):
        docker_world.runtime.pull(changed)


def test_an_engine_that_is_not_there_is_down(tmp_path: Path) -> None:
    runtime = ComposeRuntime(DockerSettings(host=f"unix://{tmp_path}/none", config=tmp_path))

    with pytest.raises(RuntimeDownError, match=r"does not exist\. Fix: "):
        runtime.containers(NODE)

    assert "does not exist" in runtime.report().error


def test_only_an_engine_of_this_host_is_driven() -> None:
    with pytest.raises(BadDockerHostError, match="only the engine of its own host"):
        ComposeRuntime(DockerSettings(host="tcp://10.0.0.1:2375"))


@contextlib.contextmanager
def engine_that_hangs_after_the_ping(real: Engine) -> Iterator[str]:
    """A socket that answers our first questions, and swallows everything that Compose says."""
    folder = mkdtemp(prefix="mi")  # short: a socket's path has 107 characters at most
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/s")
    listener.listen(64)
    held: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                held.append(link)
                asked = link.recv(65536)
                if b"/_ping" in asked or asked.startswith(b"GET /containers/json"):
                    body = b"OK" if b"/_ping" in asked else b"[]"
                    link.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n" + body)
                    link.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"unix://{folder}/s"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for link in held:
            link.close()
        shutil.rmtree(folder)
        assert real.socket.exists()


def test_a_call_that_hangs_half_way_is_ended_with_all_its_children(
    docker_engine: Engine, tmp_path: Path, eventually: Eventually
) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service()})
    bounds = Bounds(answer=20, up=1, down=1)

    with engine_that_hangs_after_the_ping(docker_engine) as host:
        config, home = docker_engine.docker_config, tmp_path
        runtime = ComposeRuntime(DockerSettings(host=host, config=config, home=home, bounds=bounds))
        with pytest.raises(RuntimeFailedError, match="not finished within 1 s"):
            runtime.up(project)
        with pytest.raises(RuntimeFailedError, match="not finished within 1 s"):
            runtime.down(project.name)

        eventually(lambda: not children_using(host))


def one_that_waits(folder: Path) -> Project:
    """A project of which one service waits for another that never gets well."""
    check = {"test": ["CMD", "false"], "interval": "60s", "start_period": "600s"}
    slow = a_service(healthcheck=check)
    waiting = a_service(depends_on={"slow": {"condition": "service_healthy"}})
    return a_project(folder / "chat", "chat-0", {"slow": slow, "waiting": waiting})


def test_a_service_that_others_wait_for_does_not_hold_the_agent(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    project = one_that_waits(tmp_path)
    impatient = compose_runtime(docker_world.engine, up=3)

    with pytest.raises(RuntimeFailedError, match=r"not finished within 3 s; it stood at: .*slow"):
        impatient.up(project)

    states = {one.service: one.state for one in docker_world.runtime.containers(NODE)}
    assert states == {"slow": "running", "waiting": "created"}


def test_a_start_that_has_to_be_over_in_time_is_ended(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    project = one_that_waits(tmp_path)

    with pytest.raises(UnfinishedError, match="not finished within 3 s"):
        docker_world.runtime.up(project, 3.0 + KILL_AFTER_SECONDS)

    states = {one.service: one.state for one in docker_world.runtime.containers(NODE)}
    assert states["waiting"] == "created"


def children_using(host: str) -> list[str]:
    """Processes whose environment names this engine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if host.encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def test_a_client_that_ignores_the_request_to_end_is_killed(
    docker_engine: Engine, tmp_path: Path
) -> None:
    stubborn = tmp_path / "docker"
    stubborn.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n")
    stubborn.chmod(0o755)
    settings = DockerSettings(
        host=docker_engine.docker_host,
        path=f"{tmp_path}:{os.defpath}",
        bounds=Bounds(answer=20, down=0.2),
        kill_after_seconds=0.2,
    )

    with pytest.raises(RuntimeFailedError, match=r"not finished within 0.2 s"):
        ComposeRuntime(settings).down("miaas-x")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("#!/no/such/interpreter\n", id="cannot be started"),
        pytest.param("#!/bin/sh\necho '{\"services\": '\n", id="half a file"),
        pytest.param("#!/bin/sh\nprintf '\\377'\n", id="no text"),
        pytest.param("#!/bin/sh\nprintf '\\377' >&2; exit 1\n", id="no text in its complaint"),
    ],
)
def test_a_client_that_does_not_work_is_told(
    docker_engine: Engine, tmp_path: Path, script: str
) -> None:
    broken = tmp_path / "docker"
    broken.write_text(script)
    broken.chmod(0o755)
    path = f"{tmp_path}:{os.defpath}"
    settings = DockerSettings(host=docker_engine.docker_host, path=path, bounds=Bounds(answer=20))

    with pytest.raises(RuntimeFailedError):
        ComposeRuntime(settings).resolve(tmp_path, "miaas-x")


def test_looking_costs_no_heavy_import() -> None:
    program = (
        "import sys\n"
        "from agent.runtime.compose import ComposeRuntime, DockerSettings\n"
        "ComposeRuntime(DockerSettings()).report()\n"
        "heavy = {'python_on_whales', 'pydantic', 'ssl', 'http.client', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert answer.stdout == "[]\n"


def test_holdings_tell_ours_from_the_rest(docker_world: DockerWorld, tmp_path: Path) -> None:
    service = a_service(ports=["18101:80"], volumes=["kept:/data"])
    project = a_project(tmp_path / "db", "db-0", {"db": service}, volumes={"kept": {}})
    docker_world.runtime.up(project)
    docker_world.docker("run", "-d", "-p", "18102:80", IMAGE)
    docker_world.docker("volume", "create", "foreign")
    engine = DockerSocket(docker_world.engine.socket)
    (container,) = docker_world.runtime.containers(NODE)

    found = holdings(engine, NODE, (container,), frozenset({18103}))

    (folder,) = found.folders
    assert (folder.parent.name, folder.is_dir()) == (f"{project.name}_kept", True)
    assert found == Ours(
        containers=(container.id,),
        ports=frozenset({18101, 18103}),
        published=frozenset({18102}),
        folders=(folder,),
        image_mib=engine.image_mib(frozenset({IMAGE})),
    )
    assert found.image_mib >= 1


def test_the_processes_of_our_containers_are_found(
    docker_world: DockerWorld, tmp_path: Path
) -> None:
    docker_world.runtime.up(a_project(tmp_path / "chat", "chat-0", {"web": a_service()}))
    foreign = docker_world.docker("run", "-d", IMAGE).strip()
    (container,) = docker_world.runtime.containers(NODE)

    ours = belongings([container.id]).pids

    first = docker_world.docker("inspect", "-f", "{{.State.Pid}}", container.id, foreign).split()
    assert int(first[0]) in ours
    assert int(first[1]) not in ours


def test_the_data_root_is_the_engines_own(docker_world: DockerWorld) -> None:
    root = DockerSocket(docker_world.engine.socket).data_root()

    assert root == docker_world.engine.folder / "data"


def test_a_paused_engine_answers_again(docker_world: DockerWorld, tmp_path: Path) -> None:
    docker_world.runtime.up(a_project(tmp_path / "chat", "chat-0", {"web": a_service()}))
    with docker_world.hung() as impatient, pytest.raises(RuntimeDownError):
        impatient.containers(NODE)

    runtime = compose_runtime(docker_world.engine)

    assert [one.service for one in runtime.containers(NODE)] == ["web"]
