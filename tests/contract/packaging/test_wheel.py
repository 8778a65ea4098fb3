"""What a person installs holds what the programs need, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("agent", "fleet", "reconciler", "schemas", "templates")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The paths inside the wheel that is built from what Git knows of the tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in _tracked():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("miaas-*.whl")
    return frozenset(zipfile.ZipFile(built).namelist())


def test_every_source_file_of_the_rooms_is_in_the_wheel(wheel: frozenset[str]) -> None:
    wanted = {path for path in _tracked() if path.split("/")[0] in ROOMS}

    assert wanted - wheel == set()


def test_nothing_else_is_in_the_wheel(wheel: frozenset[str]) -> None:
    tops = {path.split("/")[0] for path in wheel if ".dist-info/" not in path}

    assert tops == set(ROOMS)


def test_the_programs_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert set(project["scripts"]) == {
        "miaas",
        "miaas-agent",
        "miaas-reconciler",
        "miaas-state-gc",
    }


def test_the_lock_file_pins_every_dependency_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]

    assert "://" not in lock
    for line in declared:
        assert f"\n{line.split('>')[0].lower()}==" in f"\n{lock}"


def _tracked() -> list[str]:
    """Files that Git knows or would take; of the folder itself where there is no Git."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]
