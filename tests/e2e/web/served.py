"""A server in a process of its own, which says where it listens."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def served(module: str, *words: str, **environ: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a module until the end of the block; its address without the last slash."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # noqa: TID251 - handed on
    process = subprocess.Popen(
        (sys.executable, "-m", module, *words),
        cwd=ROOT,
        env={**inherited, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("status page http://127.0.0.1:"), _end(process)
        yield line.split()[-1].rstrip("/"), process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> str:
    process.terminate()
    try:
        _, said = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        _, said = process.communicate()
    return said
