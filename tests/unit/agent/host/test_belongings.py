from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.host.belongings import Belongings, belongings

OURS = "a" * 64
THEIRS = "b" * 64
MIB = 2**20


def a_process(root: Path, pid: int, cgroup: str, resident_mib: int = 0) -> None:
    process = root / "proc" / str(pid)
    process.mkdir(parents=True)
    (process / "cgroup").write_text(cgroup)
    (process / "statm").write_text(f"9 {resident_mib * 256} 3 4 5 6 7\n")


def a_group(root: Path, path: str, **counters: int) -> None:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True)
    lines = [f"{name} {mib * MIB}" for name, mib in counters.items()]
    (folder / "memory.stat").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "cgroup",
    [
        pytest.param(f"0::/system.slice/docker-{OURS}.scope\n", id="systemd"),
        pytest.param(f"0::/docker/{OURS}\n", id="cgroupfs"),
        pytest.param(f"5:cpu:/x\n4:memory:/docker/{OURS}\n0::/\n", id="version 1"),
        pytest.param(f"0::/own/{OURS}/below\n", id="a group inside"),
    ],
)
def test_processes_are_ours_by_the_container_in_their_cgroup(tmp_path: Path, cgroup: str) -> None:
    a_process(tmp_path, 11, cgroup, resident_mib=40)
    a_process(tmp_path, 12, f"0::/docker/{THEIRS}\n", resident_mib=500)
    a_process(tmp_path, 13, "0::/init.scope\n", resident_mib=500)

    assert belongings([OURS], tmp_path) == Belongings(frozenset({11}), 40)


def test_memory_counts_once_a_container_and_without_caches(tmp_path: Path) -> None:
    for pid in (11, 12):
        a_process(tmp_path, pid, f"0::/docker/{OURS}\n", resident_mib=700)
    a_group(tmp_path, f"docker/{OURS}", anon=900, shmem=100, file=9000)

    assert belongings([OURS], tmp_path).memory_mib == 1000


def test_memory_of_the_older_cgroups_is_found(tmp_path: Path) -> None:
    a_process(tmp_path, 11, f"9:name=systemd:/\n4:memory:/docker/{OURS}\n0::/\n")
    a_group(tmp_path, f"memory/docker/{OURS}", total_rss=300, total_shmem=20, total_cache=9000)

    assert belongings([OURS], tmp_path).memory_mib == 320


def test_several_containers_add_up(tmp_path: Path) -> None:
    a_process(tmp_path, 11, f"0::/docker/{OURS}\n", resident_mib=10)
    a_process(tmp_path, 12, f"0::/docker/{THEIRS}\n", resident_mib=20)

    assert belongings([OURS, THEIRS], tmp_path) == Belongings(frozenset({11, 12}), 30)


def test_without_containers_nothing_is_looked_at(tmp_path: Path) -> None:
    assert belongings([], tmp_path / "absent") == Belongings()


def test_a_process_that_ends_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "proc/11").mkdir(parents=True)
    a_process(tmp_path, 12, f"0::/docker/{OURS}\n")
    (tmp_path / "proc/12/statm").unlink()

    assert belongings([OURS], tmp_path) == Belongings(frozenset({12}), 0)


def test_this_very_process_is_in_no_container_of_that_name() -> None:
    assert os.getpid() not in belongings([OURS]).pids
