"""The quick look: a pass without a change loads next to nothing, and in doubt the agent looks."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import glance
from agent.runtime.docker_socket import DockerSocket
from agent.settings import Settings, read_settings

LABELS = {
    "io.miaas.node": "alpha",
    "io.miaas.replica": "chat-0",
    "io.miaas.deployment": "chat",
    "io.miaas.hash": "abc",
    "com.docker.compose.project": "miaas-alpha-chat-0",
    "com.docker.compose.service": "web",
}
PROGRAM = """
import sys
from agent.cli import main
code = main(["once", "--config", sys.argv[1]])
print(code, "agent.commands" in sys.modules)
"""


class FakeDocker:
    """Answers every question about containers with a list, and about all else with nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.containers: list[dict[str, Any]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop answering, as a daemon that was stopped."""
        with contextlib.suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                question = link.recv(65536).split(b" ")[1]
                is_list = question.startswith(b"/containers/json")
                body = json.dumps(self.containers if is_list else {}).encode()
                link.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)


def _entry(name: str = "c1", state: str = "running", status: str = "Up 3 minutes") -> Any:
    return {"Id": name, "State": state, "Status": status, "Image": "img:1", "Labels": LABELS}


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[FakeDocker]:
    fake = FakeDocker(tmp_path / "docker.sock")
    yield fake
    fake.close()


@pytest.fixture
def config(tmp_path: Path, docker: FakeDocker) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "state.git"], check=True)
    values = {
        "node": "alpha",
        "state_url": str(tmp_path / "state.git"),
        "state_dir": str(tmp_path / "state"),
        "docker_host": f"unix://{docker.path}",
        "docker_config": str(tmp_path / "docker-config"),
    }
    path = tmp_path / "agent.toml"
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
    return path


def _once(config: Path) -> tuple[int, bool]:
    """Run a fresh `miaas-agent once`: its exit code, and whether the whole agent was loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(config)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    code, loaded = done.stdout.split()
    return int(code), loaded == "True"


def test_the_second_pass_is_a_glance_and_every_change_ends_that(
    config: Path, docker: FakeDocker, tmp_path: Path
) -> None:
    docker.containers = [_entry()]
    assert _once(config) == (0, True)
    assert _once(config) == (0, False)
    docker.containers = [_entry(status="Up 4 minutes")]
    assert _once(config) == (0, False), "only the words about its age changed"

    docker.containers = [_entry(status="Up 4 minutes (unhealthy)")]
    assert _once(config) == (0, True)
    assert _once(config) == (0, False)

    commit = _git(tmp_path, "commit-tree", _git(tmp_path, "mktree"), "-m", "x")
    _git(tmp_path, "update-ref", "refs/miaas/assigned/alpha", commit)
    code, loaded = _once(config)
    assert (code, loaded) == (3, True), "an assignment without its document is refused"
    assert _once(config) == (0, False), "and that was told already"

    docker.close()
    assert _once(config) == (3, True)


@pytest.mark.parametrize(
    ("change", "is_quiet"),
    [
        pytest.param({}, True, id="as it was"),
        pytest.param({"until": 100.0}, False, id="something is due"),
        pytest.param({"boot": "another"}, False, id="another boot"),
        pytest.param({"stamp": "older"}, False, id="another program or setting"),
        pytest.param({"head": "1" * 40}, False, id="our ref moved"),
        pytest.param({"head": "1" * 40, "look_at": 101.0}, True, id="git failed a moment ago"),
        pytest.param({"containers": "c2 running  abc"}, False, id="another container"),
        pytest.param({"odd": 1}, False, id="not a memo of ours"),
    ],
)
def test_a_memo_counts_only_while_all_is_as_it_says(
    config: Path, docker: FakeDocker, tmp_path: Path, change: dict[str, object], is_quiet: bool
) -> None:
    docker.containers = [_entry()]
    settings = read_settings(str(config), {}, {})
    (tmp_path / "state").mkdir()
    memo = {
        "stamp": glance.stamp(settings),
        "boot": "this",
        "head": "",
        "containers": "c1 running  abc",
        "until": 100.5,
        "look_at": 0.0,
    }
    (tmp_path / "state" / "memo.json").write_text(json.dumps({**memo, **change}))

    assert glance.is_all_quiet(settings, boot="this", now=100.0) is is_quiet


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("running", "Up 3 minutes"),
        ("running", "Up 3 minutes (healthy)"),
        ("running", "Up 1 second (health: starting)"),
        ("running", "Up 2 hours (unhealthy)"),
        ("paused", "Up 2 hours (Paused)"),
        ("exited", "Exited (137) 3 seconds ago"),
        ("restarting", "Restarting (1) 3 seconds ago"),
        ("created", "Created"),
    ],
)
def test_a_glance_sees_what_the_whole_agent_sees(
    docker: FakeDocker, state: str, status: str
) -> None:
    docker.containers = [_entry(state=state, status=status)]
    settings = Settings(node="alpha", docker_host=f"unix://{docker.path}")

    full = DockerSocket(docker.path).containers("alpha")

    seen = glance.fingerprint((c.id, c.state, c.health, c.content_hash) for c in full)
    assert glance.containers_seen(settings) == seen
    assert len(full) == 1


def test_docker_down_is_not_an_empty_list(tmp_path: Path) -> None:
    settings = Settings(node="alpha", docker_host=f"unix://{tmp_path}/nobody")

    assert glance.containers_seen(settings) is None


def test_no_answer_is_not_an_empty_list(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def hang_up() -> None:
            link, _ = listener.accept()
            link.recv(100)
            link.close()

        threading.Thread(target=hang_up, daemon=True).start()
        settings = Settings(node="alpha", docker_host=f"unix://{tmp_path}/s")

        assert glance.containers_seen(settings) is None


def _git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *identity, "-C", str(folder / "state.git"), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input="")
    return done.stdout.strip()
