"""What a person installs holds what the programs need, and nothing else."""

from __future__ import annotations

import tomllib
import zipfile

import pytest

from tests.contract.packaging.wheelhouse import ROOT, build, tracked

ROOMS = ("agent", "fleet", "reconciler", "schemas", "templates")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The paths inside the wheel that is built from what Git knows of the tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    built = build(source, out)
    return frozenset(zipfile.ZipFile(built).namelist())


def test_every_source_file_of_the_rooms_is_in_the_wheel(wheel: frozenset[str]) -> None:
    wanted = {path for path in tracked() if path.split("/")[0] in ROOMS}

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
