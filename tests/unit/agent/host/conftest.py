from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.host.gpus import GpuReader

SOURCE = Path(__file__).with_name("fake_nvml.c")
Machine = Callable[..., GpuReader]


@pytest.fixture(scope="session")
def fake_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library that answers as NVIDIA's does, from a description."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here (Debian package gcc)")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", *warnings, "-o", str(target), str(SOURCE)],
        check=True,
        timeout=60,
    )
    return folder


@pytest.fixture
def machine(fake_library: Path, tmp_path: Path) -> Machine:
    """A reader for the machine that a description stands for."""

    def make(description: str, seconds: float = 30) -> GpuReader:
        file = tmp_path / "machine"
        file.write_text(description)
        root = a_root(tmp_path / "root", loaded=True)
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},  # noqa: TID251 - for a child
            "LD_LIBRARY_PATH": str(fake_library),
            "FAKE_NVML": str(file),
        }
        return GpuReader(root=root, environment=environment, seconds=seconds)

    return make


def a_root(root: Path, *, loaded: bool = False, cards: int = 0, driver: str = "") -> Path:
    """A file system with what the kernel shows of NVIDIA: a loaded driver, cards on the bus."""
    root.mkdir(exist_ok=True)
    if loaded:
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev/nvidiactl").touch()
    for number in range(cards):
        device = root / f"sys/bus/pci/devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x10de\n")
        (device / "class").write_text("0x030200\n")
        if driver:
            target = root / "sys/bus/pci/drivers" / driver
            target.mkdir(parents=True, exist_ok=True)
            (device / "driver").symlink_to(target)
    return root
