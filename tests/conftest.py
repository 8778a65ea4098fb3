"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes depends on the machine and says nothing about the code.
settings.register_profile("calm", deadline=None)
# What `make fuzz` asks for.
settings.register_profile("fuzz", deadline=None, max_examples=3_000)
settings.load_profile("calm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        default=False,
        help="write what is found into tests/golden instead of comparing; read the diff",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Mapping[str, bytes]], None]:
    """Compare a tree of files with the folder of that name in tests/golden, byte by byte."""
    update: bool = request.config.getoption("--update-golden")

    def compare(name: str, files: Mapping[str, bytes]) -> None:
        folder = Path(__file__).parent / "golden" / name
        if update:
            _write(folder, files)
        assert _read(folder) == dict(files)

    return compare


@pytest.fixture
def unanswered_input() -> Iterator[None]:
    """Have a standard input that is open and says nothing, as a terminal is."""
    before, (end, other) = os.dup(0), os.pipe()
    os.dup2(end, 0)
    yield
    os.dup2(before, 0)
    for one in (before, end, other):
        os.close(one)


def _read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path in _read(folder).keys() - files.keys():
        (folder / path).unlink()
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
