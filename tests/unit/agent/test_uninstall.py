"""The install script stops what runs on the engine that the agent drives, and for good."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "agent/install.sh"
# Writes down what it is asked, and has two containers of which one runs.
DOCKER = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in
*"$REFUSED"*) exit 1 ;;
*"ps --all"*) printf 'aaa\\nbbb\\n' ;;
*ps*) echo aaa ;;
esac
"""
USUAL = "unix:///var/run/docker.sock"
FILTER = "--filter label=io.miaas.node=gpu-1"


class Box:
    """A folder that stands for a host whose agent has these settings."""

    def __init__(self, root: Path, settings: str) -> None:
        self.root = root
        self.asked = root / "asked"
        docker = root / "bin/docker"
        for path, text in ((docker, DOCKER), (root / "etc/miaas/agent.toml", settings)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        docker.chmod(0o755)

    def uninstall(self, refused: str = "nothing") -> subprocess.CompletedProcess[str]:
        """Remove the agent and stop its containers. refused: what Docker does not do."""
        command = ["sh", str(SCRIPT), "--root", str(self.root), "--uninstall", "--stop-containers"]
        environment = {
            "PATH": f"{self.root}/bin:{os.defpath}",
            "DOCKER_HOST": "unix:///somewhere/else.sock",
            "ASKED": str(self.asked),
            "REFUSED": refused,
        }
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        pytest.param('node = "gpu-1"\n', USUAL, id="the usual engine"),
        pytest.param("node='gpu-1'  # ours\n", USUAL, id="as people write it"),
        pytest.param(
            'node = "gpu-1"\ndocker_host = "unix:///run/user/1000/docker.sock"\n',
            "unix:///run/user/1000/docker.sock",
            id="an engine of its own",
        ),
    ],
)
def test_what_is_stopped_stays_so_on_the_engine_of_the_agent(
    tmp_path: Path, settings: str, engine: str
) -> None:
    box = Box(tmp_path, settings)

    done = box.uninstall()

    assert done.returncode == 0, done.stderr
    assert "stopped 1 containers" in done.stdout
    assert box.asked.read_text().splitlines() == [
        f"--host {engine} ps --all --quiet {FILTER}",
        f"--host {engine} ps --quiet {FILTER}",
        f"--host {engine} update --restart=no aaa bbb",
        f"--host {engine} stop aaa",
    ]


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("ps --quiet", "Docker does not answer"),
        ("update", "Docker would start some containers again"),
        ("stop", "some containers do not stop"),
    ],
)
def test_an_engine_that_refuses_is_told_and_nothing_is_removed(
    tmp_path: Path, refused: str, said: str
) -> None:
    unit = tmp_path / "etc/systemd/system/miaas-agent.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    box = Box(tmp_path, 'node = "gpu-1"\n')

    done = box.uninstall(refused)

    assert done.returncode == 3
    assert said in done.stderr
    assert unit.exists()
