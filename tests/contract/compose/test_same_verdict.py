"""Compose and we say the same of a file: it can be run, or it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from schemas import policy
from schemas.compose_references import unresolved

COMPOSE: Final = Path(sys.executable).with_name("docker-compose")
WEB: Final = "services:\n  web:\n    image: demo/web:1\n"
FILES: Final = ("compose.yaml", "a.env", "conf/b.env")

FINE: Final = (
    "",
    "    depends_on: [db]\n  db: {image: 'x:1'}\n",
    "    depends_on: {db: {condition: service_healthy}}\n  db: {image: 'x:1'}\n",
    "    networks: [default]\n",
    "    networks: {default: {priority: 1}}\n",
    "    networks: [n]\nnetworks: {n: null}\n",
    "    network_mode: none\n    networks: []\n",
    "    secrets: [s]\nsecrets: {s: {file: ./a.env}}\n",
    "    configs: [{source: c, target: /c}]\nconfigs: {c: {content: x}}\n",
    "    configs: [c, c]\nconfigs: {c: {content: x}}\n",
    "    volumes: ['data:/d']\nvolumes: {data: null}\n",
    "    env_file: a.env\n",
    "    env_file: [./a.env, conf/b.env, ./conf//b.env, conf/./b.env]\n",
    "    env_file: [{path: ./none.env, required: false}]\n",
    "    ports: ['65535:65535', '[::1]:80:80/udp']\n",
    "    ports: [{target: 80, published: '80', host_ip: '::1'}]\n",
    "    expose: ['80', '80']\n",
    "    healthcheck: {test: curl localhost}\n",
    "    healthcheck: {test: [CMD-SHELL, 'true']}\n",
    "    extra_hosts: ['h=1.1.1.1', 'i:1.1.1.2']\n",
    "    extra_hosts: {h: 1.1.1.1}\n",
    "    ulimits: {nofile: {soft: 1, hard: 2}, nproc: 5}\n",
    "    mem_limit: 1g\n    deploy: {resources: {limits: {memory: 1024M}}}\n",
    "    mem_limit: 1.5gb\n    deploy: {resources: {limits: {memory: 1536m}}}\n",
    "    mem_limit: 0\n    deploy: {resources: {limits: {memory: 1g}}}\n",
    "    cpus: '1.0'\n    deploy: {resources: {limits: {cpus: 1}}}\n",
    "    cpus: 1\n    deploy: {resources: {reservations: {memory: 1g}}}\n",
    "    pids_limit: 5\n    deploy: {restart_policy: {condition: any}}\n",
)
REFUSED: Final = (
    "    depends_on: [db]\n",
    "    depends_on: [DB]\n  db: {image: 'x:1'}\n",
    "    depends_on: {db: {condition: service_started, required: false}}\n",
    "    depends_on: {db: {}}\n  db: {image: 'x:1'}\n",
    "    depends_on: [db, db]\n  db: {image: 'x:1'}\n",
    "    depends_on: [web]\n",
    "    depends_on: {web: {condition: service_started, required: false}}\n",
    "    depends_on: [db]\n  db: {image: 'x:1', depends_on: [web]}\n",
    "    depends_on: [a]\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
    "    networks: [n]\n",
    "    networks: {n: null}\n",
    "    networks: [n, n]\nnetworks: {n: null}\n",
    "    network_mode: none\n    networks: [default]\n",
    "    secrets: [s]\n",
    "    secrets: [{source: s}]\nsecrets: {t: {file: ./a.env}}\n",
    "    configs: [c]\n",
    "    configs: [{source: c, target: /c}]\n",
    "    volumes: ['data:/d']\n",
    "    volumes: [{type: volume, source: data, target: /d}]\n",
    "    env_file: none.env\n",
    "    env_file: [./none.env]\n",
    "    env_file: [{path: ./none.env}]\n",
    "    env_file: [{path: conf, required: false}]\n",
    "    env_file: ['.']\n",
    "    ports: ['99999:80']\n",
    "    ports: ['80:65536']\n",
    "    ports: ['999.0.0.1:80:80']\n",
    "    ports: ['010.0.0.1:80:80']\n",
    "    ports: ['[fe80]:80:80']\n",
    "    ports: [{target: 80, published: '80', host_ip: '1.2.3'}]\n",
    "    healthcheck: {test: [curl, localhost]}\n",
    "    extra_hosts: [h]\n",
    "    extra_hosts: ['=1.1.1.1']\n",
    "    extra_hosts: ['h=1.1.1.1', 'h=1.1.1.1']\n",
    "    ulimits: {nofile: {soft: 1}}\n",
    "    group_add: ['1', '1']\n",
    "    mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}\n",
    "    mem_limit: 1g\n    deploy: {resources: {limits: {cpus: 1}}}\n",
    "    mem_reservation: 1g\n    deploy: {resources: {reservations: {memory: 2g}}}\n",
    "    cpus: 1\n    deploy: {resources: {limits: {memory: 1g}}}\n",
    "    pids_limit: -1\n    deploy: {resources: {limits: {}}}\n",
    "    deploy: {resources: {limits: {memory: 1073741824}}}\n",
    # What the policy keeps out is never asked for here, and Compose would refuse it as well.
    "    network_mode: 'service:db'\n",
    "    volumes_from: [db]\n",
    "    links: [db]\n",
)  # fmt: skip


@pytest.mark.parametrize("text", FINE)
def test_what_compose_takes_is_fine(text: str, tmp_path: Path) -> None:
    assert told(WEB + text) == []
    assert refusal(WEB + text, tmp_path) == ""


@pytest.mark.parametrize("text", REFUSED)
def test_what_compose_refuses_is_told_with_its_line(text: str, tmp_path: Path) -> None:
    found = told(WEB + text)

    assert refusal(WEB + text, tmp_path) != ""
    assert found != []
    assert [one for one in found if not one.startswith("compose.yaml:")] == []


def told(text: str) -> list[str]:
    """Every problem that we see in a file, as it is printed."""
    found = policy.check(text, path="compose.yaml")
    found = found or unresolved(text, path="compose.yaml", files=FILES)
    return [str(problem) for problem in found]


def refusal(text: str, folder: Path) -> str:
    """What Compose says against a file; empty: it takes it."""
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("A=1\n")
    (folder / "compose.yaml").write_text(text)
    done = subprocess.run(
        [COMPOSE, "--env-file", "/dev/null", "-f", "compose.yaml", "config", "--quiet"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 or done.stderr.strip()
    return done.stderr.strip() if done.returncode else ""
