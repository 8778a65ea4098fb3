"""The shell scripts of the templates, run for real, with their paths moved into a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from tests.unit.catalogue.shelf import TEMPLATES

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script, what runs it, the folder that it writes to, the secret it keeps there, and the
    program that it needs.
    """

    template: str
    home: str
    runner: str
    program: str
    keeps: str = ""
    file: str = "start.sh"


REDIS: Final = Script(
    template="redis", home="/data", runner="sh", program="redis-server", keeps="miaas-password"
)
MAKERS: Final = (
    REDIS,
    Script(
        template="postgres",
        home="/var/lib/postgresql",
        runner="bash",
        program="docker-entrypoint.sh",
        keeps="miaas-password",
    ),
    Script(
        template="qdrant",
        home="/qdrant",
        runner="bash",
        program="entrypoint.sh",
        keeps="storage/miaas-api-key",
    ),
    Script(
        template="litellm",
        home="/var/lib/miaas",
        runner="sh",
        program="litellm",
        keeps="master-key",
    ),
)
OLLAMA: Final = Script(template="ollama", home="/run/miaas", runner="sh", program="ollama")

by_maker = pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.template)


@pytest.mark.parametrize("script", sorted(TEMPLATES.glob("*/*.sh")), ids=str)
def test_scripts_are_shell(script: Path) -> None:
    shell = "bash" if "bash" in script.with_name("compose.yaml.j2").read_text() else "sh"

    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@by_maker
def test_the_first_start_makes_a_secret_that_only_its_user_reads(
    maker: Script, tmp_path: Path
) -> None:
    run = _moved(maker, tmp_path)

    done = run()

    made = tmp_path / "home" / maker.keeps
    assert done.returncode == 0, done.stderr
    assert len(made.read_text().removeprefix("sk-")) == 32
    assert made.read_text().strip() == made.read_text()
    assert made.stat().st_mode & 0o777 == 0o600
    assert not list(made.parent.glob("*.new"))


@by_maker
def test_the_next_start_keeps_the_secret(maker: Script, tmp_path: Path) -> None:
    run = _moved(maker, tmp_path)
    run()
    first = (tmp_path / "home" / maker.keeps).read_text()

    run()

    assert (tmp_path / "home" / maker.keeps).read_text() == first


@by_maker
def test_a_start_that_was_cut_off_does_not_leave_an_empty_secret(
    maker: Script, tmp_path: Path
) -> None:
    run = _moved(maker, tmp_path)
    (tmp_path / "home" / maker.keeps).touch()

    run()

    assert len((tmp_path / "home" / maker.keeps).read_text()) >= 32


@by_maker
def test_the_secret_is_on_no_command_line(maker: Script, tmp_path: Path) -> None:
    done = _moved(maker, tmp_path)("--an", "argument")

    assert (tmp_path / "home" / maker.keeps).read_text() not in done.stdout
    assert "argument" in done.stdout or maker.template == "qdrant"


def test_redis_reads_the_password_from_a_file_in_memory(tmp_path: Path) -> None:
    done = _moved(REDIS, tmp_path)()

    password = (tmp_path / "home" / "miaas-password").read_text()
    assert (tmp_path / "run" / "password.conf").read_text() == f"requirepass {password}\n"
    assert done.stdout.split()[0] == str(tmp_path / "run" / "password.conf")


@pytest.mark.parametrize("answer", ["PONG", "LOADING Redis is loading the dataset in memory", ""])
def test_redis_is_healthy_only_when_it_answers(answer: str, tmp_path: Path) -> None:
    run = _moved(replace(REDIS, file="health.sh"), tmp_path)
    (tmp_path / "home" / "miaas-password").write_text("secret")
    client = tmp_path / "bin" / "redis-cli"
    client.write_text(f"#!/bin/sh\necho '{answer}'\n")
    client.chmod(0o755)

    assert (run().returncode == 0) is (answer == "PONG")


def test_ollama_pulls_what_is_missing_before_it_is_ready(tmp_path: Path) -> None:
    run = _moved(OLLAMA, tmp_path)
    (tmp_path / "bin" / "ollama").write_text(_OLLAMA.format(log=tmp_path / "log"))
    (tmp_path / "log").write_text("has:1\n")

    done = run("has:1", "missing:2")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == ["has:1", "missing:2"]
    assert (tmp_path / "home" / "ready").exists()


def test_ollama_does_not_say_ready_when_the_server_died(tmp_path: Path) -> None:
    run = _moved(OLLAMA, tmp_path)
    (tmp_path / "bin" / "ollama").write_text("#!/bin/sh\nexit 1\n")

    done = run("any:1")

    assert done.returncode == 1
    assert not (tmp_path / "home" / "ready").exists()


# Serves until the model that is missing was pulled: the log is its store.
_OLLAMA = """#!/bin/sh
case $1 in
  serve) until grep -qx missing:2 {log}; do sleep 0.05; done; sleep 0.3 ;;
  list) exit 0 ;;
  show) grep -qx "$2" {log} ;;
  pull) echo "$2" >> {log} ;;
esac
"""


def test_http_echo_notes_its_start_and_serves(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "state").mkdir()
    busybox = tmp_path / "bin" / "busybox"
    busybox.write_text('#!/bin/sh\n[ "$1" = date ] && { echo now; exit; }\necho "$@"\n')
    busybox.chmod(0o755)
    text = (TEMPLATES / "http-echo" / "start.sh").read_text()
    text = text.replace("/bin/busybox", str(busybox)).replace("/www", str(tmp_path))

    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)

    assert done.stdout == f"httpd -f -v -p 8080 -h {tmp_path}\n"
    assert (tmp_path / "state" / "starts.txt").read_text() == "now\n"


def _moved(script: Script, base: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Prepare a script to run on a folder, where the program it ends in tells its arguments."""
    for folder in ("home/storage", "run", "bin"):
        (base / folder).mkdir(parents=True)
    text = (TEMPLATES / script.template / script.file).read_text()
    text = text.replace(script.home, str(base / "home")).replace("/run/miaas", str(base / "run"))
    for place in (base / "bin" / script.program, base / "home" / script.program):
        place.write_text('#!/bin/sh\necho "$@"\n')
        place.chmod(0o755)
    environment = {
        "PATH": f"{base / 'bin'}:{Path(sys.executable).parent}:{PATH}",
        "POSTGRES_PASSWORD_FILE": str(base / "home" / "miaas-password"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script.runner, "-c", text, script.file, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run
