"""The install script: offline, upgrade beside what runs, removal that leaves the work alone."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.contract.packaging.wheelhouse import build, repack_libraries

pytestmark = pytest.mark.e2e
PROGRAMS = ("miaas", "miaas-agent", "miaas-reconciler", "miaas-state-gc")
UNITS = (
    "miaas-agent-fence.service",
    "miaas-agent-fence.timer",
    "miaas-agent-once.service",
    "miaas-agent.service",
    "miaas-agent.timer",
)


class Box:
    """A folder that stands for a host, and the script that installs there."""

    def __init__(self, root: Path, wheel: Path, script: Path) -> None:
        self.root = root
        self.wheel = wheel
        self.script = script

    def install(self) -> str:
        """Install or upgrade, with every way to an index closed."""
        return self._sh(str(self.wheel))

    def uninstall(self, *words: str) -> str:
        """Remove, with the script that stands on the host itself."""
        self.script = self.root / "opt/miaas/install.sh"
        return self._sh("--uninstall", *words)

    def agent(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the installed agent, as a person there would."""
        program = str(self.root / "usr/local/bin/miaas-agent")
        return _run(program, *words)

    @property
    def programs(self) -> list[str]:
        return sorted(path.name for path in (self.root / "usr/local/bin").iterdir())

    @property
    def units(self) -> list[str]:
        return sorted(path.name for path in (self.root / "etc/systemd/system").iterdir())

    def _sh(self, *words: str) -> str:
        done = _run("sh", str(self.script), "--root", str(self.root), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **nowhere}  # noqa: TID251
    return subprocess.run(words, check=False, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our wheel, and with those of all libraries beside it."""
    out = tmp_path_factory.mktemp("wheels")
    build(tmp_path_factory.mktemp("source"), out)
    repack_libraries(out)
    return out


@pytest.fixture
def box(shelf: Path, tmp_path: Path) -> Box:
    (wheel,) = shelf.glob("miaas-*.whl")
    # As docs/operating.md says: the script comes out of the wheel itself.
    with zipfile.ZipFile(wheel) as opened:
        script = Path(opened.extract("agent/install.sh", tmp_path))
    return Box(tmp_path / "host", wheel, script)


def test_a_host_s_life(box: Box, tmp_path: Path) -> None:
    """Install, enrol, upgrade, fail to upgrade, remove: one after the other."""
    box.install()
    assert box.programs == sorted(PROGRAMS)
    assert box.units == sorted(UNITS)

    state = tmp_path / "state.git"
    subprocess.run(["git", "init", "-q", "--bare", str(state)], check=True)
    told = ("--node", "gpu-1", "--state-url", str(state), "--runtime", "simulated")
    enrolled = box.agent("enrol", "--root", str(box.root), *told)
    assert enrolled.returncode == 0, enrolled.stderr
    config = str(box.root / "etc/miaas/agent.toml")
    before = _contents(box.root / "var/lib"), _contents(box.root / "etc/miaas")
    first = (box.root / "opt/miaas/current").resolve()

    assert "upgraded" in box.install()

    assert (box.root / "opt/miaas/current").resolve() != first
    assert first.is_dir(), "what runs still has its files, and there is a way back"
    assert (_contents(box.root / "var/lib"), _contents(box.root / "etc/miaas")) == before
    assert box.agent("once", "--config", config).returncode == 0
    box.install()
    assert len(list((box.root / "opt/miaas/releases").iterdir())) == 2

    current = (box.root / "opt/miaas/current").resolve()
    refused = _install_alone(box, tmp_path / "alone")
    assert refused.returncode == 3
    assert "put the wheels of all libraries beside it" in refused.stderr
    assert (box.root / "opt/miaas/current").resolve() == current
    assert len(list((box.root / "opt/miaas/releases").iterdir())) == 2
    assert box.agent("--help").returncode == 0

    stranger = box.root / "usr/local/bin/other"
    stranger.write_text("not ours")
    box.uninstall()

    assert (box.programs, box.units) == (["other"], [])
    assert not (box.root / "opt/miaas").exists()
    assert _contents(box.root / "etc/miaas") == before[1]
    assert (box.root / "var/lib/miaas-agent").is_dir()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("--no-such",), 2, "no option --no-such", id="option"),
        pytest.param((), 2, "name the wheel", id="nothing"),
        pytest.param(("/none.whl",), 3, "/none.whl is not there", id="no wheel"),
    ],
)
def test_each_mistake_is_told(box: Box, words: tuple[str, ...], code: int, said: str) -> None:
    done = _run("sh", str(box.script), "--root", str(box.root), *words)

    assert (done.returncode, said in done.stderr) == (code, True)


def _install_alone(box: Box, folder: Path) -> subprocess.CompletedProcess[str]:
    """Try to install with no libraries beside the wheel, and no index to be reached."""
    folder.mkdir()
    lonely = folder / box.wheel.name
    lonely.write_bytes(box.wheel.read_bytes())
    return _run("sh", str(box.script), "--root", str(box.root), str(lonely))


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but the lock, which names a process."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
