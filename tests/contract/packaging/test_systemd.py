"""The agent's life under a systemd that really runs: install, enrol, upgrade, timer, removal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.packaging.wheelhouse import build, repack_libraries

pytestmark = pytest.mark.e2e
BOOT = Path(__file__).with_name("boot.sh")
SYSTEMD = Path("/lib/systemd/systemd")
BOOT_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
SERVICE, TIMER, ONCE = "miaas-agent.service", "miaas-agent.timer", "miaas-agent-once.service"
# The state repository is on the host itself here, as docs/operating.md says.
DROP_IN = "[Service]\nReadWritePaths=/srv/state.git\n"


@dataclass(frozen=True, slots=True)
class Box:
    """A booted host. init: its first process, as this machine counts."""

    init: int

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program inside."""
        entering = ("nsenter", "--all", "--root", "--wd", f"--target={self.init}")
        inside = ("env", "-i", "HOME=/root", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        return subprocess.run(
            [*entering, *inside, *words], check=False, capture_output=True, text=True, timeout=180
        )

    def said(self, *words: str) -> str:
        """What a program that must not fail says."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def install(self) -> str:
        """Install or upgrade from the wheels on /mnt."""
        python = str(Path(sys.base_prefix) / "bin/python3")
        (wheel,) = self.said("sh", "-c", "ls /mnt/miaas-*.whl").split()
        return self.said("sh", "/mnt/install.sh", "--python", python, wheel)

    def is_enabled(self, unit: str) -> bool:
        return self.run("systemctl", "--quiet", "is-enabled", unit).returncode == 0

    def is_active(self, unit: str) -> bool:
        return self.run("systemctl", "--quiet", "is-active", unit).returncode == 0

    def shown(self, unit: str, key: str) -> str:
        return self.said("systemctl", "show", "--value", f"--property={key}", unit)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host with our wheels on /mnt; skipped where no systemd can be booted."""
    if os.geteuid() != 0 or not SYSTEMD.exists() or shutil.which("unshare") is None:
        pytest.skip("only root can boot systemd, where it is installed")
    shared, folder = tmp_path / "shared", tmp_path / "folder"
    shared.mkdir()
    folder.mkdir()
    build(tmp_path / "source", shared)
    repack_libraries(shared)
    shutil.copy(tmp_path / "source/agent/install.sh", shared)
    with booted(folder, shared) as init:
        yield Box(init)


@contextlib.contextmanager
def booted(folder: Path, shared: Path) -> Iterator[int]:
    """Boot, and leave nothing behind."""
    name = f"miaas-test-{os.getpid()}"
    log = folder.with_name("boot.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", str(BOOT), str(folder), str(shared), name],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        init = _first_process(process)
        if init is None:
            pytest.skip(f"systemd does not boot here: {log.read_text(errors='replace')[-500:]}")
        yield init
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)
        _remove_cgroups(name)


def _first_process(process: subprocess.Popen[bytes]) -> int | None:
    """The systemd below `unshare`, once it has booted; None: it does not."""
    end = time.monotonic() + BOOT_SECONDS
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, IndexError):
            init = int(children.read_text().split()[0])
            state = Box(init).run("systemctl", "is-system-running").stdout.strip()
            if state in {"running", "degraded"}:
                return init
        threading.Event().wait(0.2)
    return None


def _remove_cgroups(name: str) -> None:
    """Remove the cgroups of a box, deepest first, as soon as its processes are gone."""
    end = time.monotonic() + PATIENCE_SECONDS
    roots = [path for path in Path("/sys/fs/cgroup").glob(f"**/{name}") if path.is_dir()]
    while roots and time.monotonic() < end:
        for root in roots:
            for path in sorted(root.glob("**/"), key=lambda one: len(one.parts), reverse=True):
                with contextlib.suppress(OSError):
                    path.rmdir()
        roots = [root for root in roots if root.exists()]


def test_a_life_under_systemd(box: Box) -> None:
    """One life, in order: each step starts from what the one before left."""
    assert "miaas-agent enrol" in box.install()
    assert not box.is_enabled(SERVICE)
    assert not box.is_enabled(TIMER)

    box.said("git", "init", "-q", "--bare", "/srv/state.git")
    state = ("--state-url", "/srv/state.git", "--runtime", "simulated")
    box.said("miaas-agent", "enrol", "--node", "box", *state)
    for unit in (SERVICE, ONCE):
        place = f"/etc/systemd/system/{unit}.d"
        box.said("sh", "-c", f"mkdir {place} && printf '{DROP_IN}' >{place}/state.conf")

    # It says by itself that it is ready.
    box.said("systemctl", "enable", "--now", SERVICE)
    assert box.shown(SERVICE, "StatusText") == "nothing is assigned yet"
    assert "refs/miaas/nodes/box" in box.said("git", "-C", "/srv/state.git", "for-each-ref")

    # An upgrade takes the place of what runs.
    before = box.shown(SERVICE, "MainPID")
    assert "upgraded" in box.install()
    assert box.is_enabled(SERVICE)
    assert box.is_active(SERVICE)
    assert box.shown(SERVICE, "MainPID") not in {before, "0"}

    # Whoever chose the timer keeps it.
    box.said("systemctl", "disable", "--now", SERVICE)
    box.said("systemctl", "enable", "--now", TIMER)
    box.install()
    assert box.is_active(TIMER)
    assert not box.is_active(SERVICE)
    assert not box.is_enabled(SERVICE)
    box.said("systemctl", "start", ONCE)
    assert box.shown(ONCE, "Result") == "success"

    box.said("sh", "/opt/miaas/install.sh", "--uninstall")
    assert not box.is_active(TIMER)
    assert box.shown(SERVICE, "LoadState") == box.shown(TIMER, "LoadState") == "not-found"
    assert box.said("ls", "/etc/miaas") != ""
    assert box.run("ls", "/opt/miaas").returncode != 0
    assert box.said("systemctl", "--failed", "--no-legend") == ""
