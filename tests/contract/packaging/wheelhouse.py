"""Wheels without a network: our own, built from the tree, and the libraries as they are here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).parents[3]


def tracked() -> list[str]:
    """Files that Git knows or would take."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def build(source: Path, out: Path) -> Path:
    """Build our wheel from a copy of the tree, so that the tree stays as it is."""
    for path in tracked():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target)
    return _wheel(source, out)


def build_as(version: str, source: Path, out: Path) -> Path:
    """Build the same once more from its copy, under another version."""
    project = source / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    named = re.sub(r'^version = "[^"]+"$', f'version = "{version}"', text, flags=re.MULTILINE)
    project.write_text(named, encoding="utf-8")
    return _wheel(source, out)


def _wheel(source: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("miaas-*.whl")
    return built


def repack_libraries(out: Path) -> None:
    """Make wheels of all that ours depends on, from what is installed here."""
    done: set[str] = set()
    waiting = _needs(distribution("miaas"))
    while waiting:
        name = waiting.pop()
        if name not in done:
            done.add(name)
            found = distribution(name)
            _repack(found, out)
            waiting |= _needs(found)


def _needs(of: Distribution) -> set[str]:
    """Names of what a distribution cannot do without; extras and other systems left out."""
    found = set()
    for line in of.requires or ():
        requirement, _, marker = line.partition(";")
        if "extra" in marker or "python_version <" in marker or "win32" in marker:
            continue
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is not None and _is_here(name[0]):
            found.add(name[0].lower().replace("_", "-"))
    return found


def _is_here(name: str) -> bool:
    try:
        distribution(name)
    except ModuleNotFoundError:
        return False
    return True


def _repack(found: Distribution, out: Path) -> None:
    name = found.metadata["Name"].replace("-", "_").replace(".", "_")
    with zipfile.ZipFile(out / f"{name}-{found.version}-py3-none-any.whl", "w") as wheel:
        for file in found.files or ():
            if not str(file).startswith("..") and not str(file).endswith(".pyc"):
                wheel.write(str(file.locate()), str(file))
