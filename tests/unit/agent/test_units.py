"""The systemd units that are shipped can be loaded, and start the program that is shipped."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from schemas.fencing import FENCE_PERIOD

OPERATING = Path(__file__).parents[3] / "docs/operating.md"
NAMES = (
    "miaas-agent.service",
    "miaas-agent-once.service",
    "miaas-agent.timer",
    "miaas-agent-fence.service",
    "miaas-agent-fence.timer",
)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for name in NAMES:
        text = (resources.files("agent") / "units" / name).read_text(encoding="utf-8")
        # The program is not installed where tests run, and systemd looks for it.
        text = text.replace("/usr/local/bin/miaas-agent", "/bin/true")
        (tmp_path / name).write_text(text, encoding="utf-8")

    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--recursive-errors=no",
            *(tmp_path / name for name in NAMES),
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".service")])
def test_units_start_a_command_that_exists(name: str) -> None:
    text = (resources.files("agent") / "units" / name).read_text(encoding="utf-8")

    found = re.search(r"^ExecStart=/usr/local/bin/miaas-agent (\w+)$", text, re.MULTILINE)

    assert found is not None
    assert found[1] in {"run", "once", "fence"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".service")])
def test_a_unit_is_no_more_exposed_than_the_manual_says(name: str) -> None:
    told = re.search(rf"{re.escape(name)}`[^|]*\| (\d\.\d) ", OPERATING.read_text("utf-8"))
    assert told is not None

    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            f"--threshold={round(float(told[1]) * 10)}",
            str(resources.files("agent") / "units" / name),
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_host_fence_looks_as_often_as_the_arithmetic_says() -> None:
    text = (resources.files("agent") / "units/miaas-agent-fence.timer").read_text(encoding="utf-8")

    assert f"OnUnitActiveSec={FENCE_PERIOD.total_seconds():.0f}s" in text.splitlines()


@pytest.mark.parametrize("name", ["miaas-agent.service", "miaas-agent.timer"])
def test_an_agent_does_not_start_without_the_host_fence(name: str) -> None:
    text = (resources.files("agent") / "units" / name).read_text(encoding="utf-8")

    assert re.search(r"^Wants=.*\bmiaas-agent-fence\.timer$", text, re.MULTILINE)
