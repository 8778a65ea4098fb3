"""A newer agent takes over what an older one started, and touches none of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.packaging.wheelhouse import build, build_as, repack_libraries
from tests.e2e.agent.host import IMAGE, Host

pytestmark = pytest.mark.e2e
COMPOSE = f"""\
services:
  web:
    image: {IMAGE}
    pull_policy: never
    restart: unless-stopped
    command: ["sleep", "infinity"]
    stop_signal: SIGKILL
    volumes: ['./page:/page:ro']
    configs: [words]
configs: {{words: {{content: hello}}}}
"""
FILES = {"compose.yaml": COMPOSE, "page": "one"}


class Installed:
    """A host whose agent was installed by our script. below: what stands for / there."""

    def __init__(self, host: Host, script: Path, below: Path) -> None:
        self.host, self.script, self.below = host, script, below

    def install(self, wheel: Path, libraries: Path) -> None:
        """Install or upgrade, from wheels alone."""
        places = ("--root", str(self.below), "--wheelhouse", str(libraries))
        _run("sh", str(self.script), "--python", sys.executable, *places, str(wheel))

    def once(self, *words: str) -> str:
        """Make one pass with the program that is installed, and give its log."""
        host = self.host
        return _run(
            str(self.below / "usr/local/bin/miaas-agent"),
            *("once", *words),
            *("--node", host.node, "--state-url", str(host.bare), "--state-dir", str(host.state)),
            *("--docker-host", host.engine.docker_host),
            *("--docker-config", str(host.docker_config)),
        )


def _run(*words: str) -> str:
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, cwd="/", env={"PATH": os.defpath}
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stderr


def test_an_upgrade_leaves_every_container_alone(
    a_host: Callable[[], Host], tmp_path: Path
) -> None:
    source, old, new = tmp_path / "source", tmp_path / "old", tmp_path / "new"
    first = build(source, old)
    repack_libraries(old)
    second = build_as("0.1.1.dev1", source, new)
    host = a_host()
    here = Installed(host, source / "agent/install.sh", tmp_path / "root")

    here.install(first, old)
    host.publish({"chat-0": FILES, "code-0": FILES})
    here.once()
    here.once()
    before, told = host.containers(), host.heartbeat()
    assert host.run_all("chat-0", "code-0", services=("web",))

    here.install(second, old)
    logs = here.once("--now") + here.once()

    assert host.containers() == before
    assert host.run_all("chat-0", "code-0", services=("web",))
    assert " act " not in logs
    assert host.heartbeat().agent != told.agent
    assert host.heartbeat().agent == "miaas-agent/0.1.1.dev1"
    assert host.heartbeat().observed == told.observed

    # It is the new one that obeys from now on, and it makes anew only what changed.
    host.publish({"chat-0": FILES, "code-0": {**FILES, "page": "two"}})
    here.once("--now")
    after = host.containers()
    assert after["chat-0/web"] == before["chat-0/web"]
    assert after["code-0/web"] != before["code-0/web"]
