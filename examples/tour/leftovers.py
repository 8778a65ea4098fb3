"""What an engine leaves behind, found by the name of its folder, and removed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from examples.tour.machine import EngineError, alive, poll, run, send

MARK: Final = "MIAAS_ENGINE"
CGROUPS: Final = Path("/sys/fs/cgroup")
RUN: Final = Path("/run")  # sockets live here: their paths may have 107 characters at most
STOP_SECONDS: Final = 15.0  # usually 1


def kill_all(find: Callable[[], tuple[int, ...]]) -> None:
    """Kill what is found, until nothing is.

    Raises:
        EngineError: some processes do not die.
    """

    def gone() -> bool:
        left = find()
        for pid in left:
            send(pid, signal.SIGKILL)
        return not left

    if not poll(gone, STOP_SECONDS):
        raise EngineError(f"processes that do not die: {find()}")


def processes_of(folder: Path, tag: str) -> tuple[int, ...]:
    """All that the engine started: its own by a mark in their environment, containers by cgroup."""
    mark = f"{MARK}={folder.resolve()}".encode()
    cgroup = f"/miaas-{tag}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            marked = mark in (process / "environ").read_bytes().split(b"\0")
            if marked or cgroup in (process / "cgroup").read_bytes():
                found.append(int(process.name))
    return tuple(pid for pid in found if pid != os.getpid() and alive(pid))


def unmount_below(*folders: Path) -> None:
    """Unmount all that is mounted below some folders."""
    roots = tuple(f"{folder.resolve()}/" for folder in folders)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    for point in sorted((p for p in points if p.startswith(roots)), key=len, reverse=True):
        run("umount", "--lazy", point)


def remove_cgroups(tag: str) -> None:
    """Remove the engine's control groups."""

    def gone() -> bool:
        for folder in _cgroup_folders(tag):
            with contextlib.suppress(OSError):
                folder.rmdir()
        return not _cgroup_folders(tag)

    poll(gone, STOP_SECONDS)  # the kernel lets go of the last process a moment after its death


def _cgroup_folders(tag: str) -> list[Path]:
    """Deepest first. One hierarchy on new kernels, one a controller on old ones."""
    roots = [*CGROUPS.glob(f"miaas-{tag}"), *CGROUPS.glob(f"*/miaas-{tag}")]
    below = [path for root in roots for path in root.rglob("*") if path.is_dir()]
    return sorted([*roots, *below], key=lambda path: len(path.parts), reverse=True)


def remove_folders(run_folder: Path, folder: Path) -> None:
    """Remove the engine's folders, that of its sockets first."""
    # A shim that was killed leaves its socket in a folder that all engines share.
    for note in run_folder.glob("exec/containerd/daemon/*/*/*/address"):
        with contextlib.suppress(OSError):
            Path(note.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)
    for path in (run_folder, folder):  # the note that cleanup looks for goes last
        if path.exists():
            shutil.rmtree(path)
