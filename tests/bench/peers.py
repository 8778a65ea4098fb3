"""Programs of others to measure beside, in a venv of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VENV = Path("build/peers-venv")
# The versions that the figures in docs/performance.md were taken with.
PACKAGES = ("docker-harbormaster==0.5.0", "ansible-core==2.19.14")


def install() -> Path | None:
    """The folder of their programs. None: they cannot be installed here, and are left out."""
    programs = (VENV / "bin").absolute()
    if not (programs / "ansible-pull").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [str(programs / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, *PACKAGES], check=False, capture_output=True).returncode != 0:
            print(f"  left out, as they cannot be installed here: {', '.join(PACKAGES)}")
            return None
    return programs
