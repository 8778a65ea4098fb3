"""What a pass of the agent costs when nothing changed, as a fresh process."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

from examples.tour.services import stop_all
from tests.bench.field import deploy, field, settled

RUNS = 15
VENV = Path("build/bench-venv")
# Linux hands a parent's peak of memory on to the child that it starts: so a small one starts it.
LAUNCHER = """\
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def measure() -> dict[str, float]:
    """Median CPU of the process and of the git it runs, and the peak of its memory."""
    program = installed()
    with field() as here:
        here.stage.start_reconciler()
        (host,) = here.stage.world.hosts
        here.stage.start_agent(host)
        deploy(here.stage, "1")
        settled(here.stage)
        stop_all(here.base / "run")
        words = here.stage.agent(host, "once")
        command = [whole_path(word, program) for word in words]
        environment = here.stage.environment()
        for _ in range(3):
            cost(command, environment)
        costs = [cost(command, environment) for _ in range(RUNS)]
    return {
        "agent_noop_cpu_ms": round(statistics.median(cpu for cpu, _ in costs) * 1000, 1),
        "agent_noop_peak_mib": round(max(peak for _, peak in costs) / 1024, 1),
    }


def cost(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """CPU seconds of a process with all that it waited for, and its largest member in KiB."""
    launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    done = subprocess.run(launched, check=True, capture_output=True, text=True, env=environment)
    status, seconds, peak = done.stdout.split()
    if status != "0":
        raise RuntimeError(f"{' '.join(command)} ended with {status}: {done.stderr}")
    return float(seconds), int(peak)


def whole_path(word: str, program: Path) -> str:
    if word.endswith("miaas-agent"):
        return str(program)
    return shutil.which(word) or word if word == "nsenter" else word


def installed() -> Path:
    """Install the wheel as a person would: an editable install adds an import hook to every start.

    The libraries come from the venv that runs this, so nothing is downloaded.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV], check=True)
    (site,) = VENV.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    quiet = ["--no-deps", "--no-build-isolation", "--ignore-installed", "--target", str(site)]
    subprocess.run([*pip, *quiet, "."], check=True, stderr=subprocess.DEVNULL)
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    program = VENV / "bin" / "miaas-agent"
    python = (VENV / "bin" / "python").absolute()
    text = f"#!{python}\nimport sys\nfrom agent.cli import main\nsys.exit(main())\n"
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    return program.absolute()


if __name__ == "__main__":
    print(measure())
