"""What runs in containers is found and ended without their engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.runtime import kernel, light
from schemas.fencing import STOP_TIME

OURS, THEIRS = "a" * 64, "b" * 64
TERM, KILL = kernel.SIGTERM, kernel.SIGKILL


class Processes:
    """Processes below a root, and what they were told. obeys: whether one ends when told so."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[tuple[int, int]] = []
        self.obeys: Callable[[int, int], bool] = lambda _pid, signal: signal == KILL
        (root / "proc").mkdir()

    def start(self, pid: int, container: str, inside: int = 7, state: str = "S") -> None:
        process = self.root / "proc" / str(pid)
        process.mkdir()
        (process / "cgroup").write_text(f"0::/system.slice/docker-{container}.scope\n")
        (process / "status").write_text(f"Name:\tsh\nNSpid:\t{pid}\t{inside}\n")
        (process / "stat").write_text(f"{pid} (a ) b) {state} 1 1\n")

    def send(self, pid: int, signal: int) -> None:
        self.told.append((pid, signal))
        if self.obeys(pid, signal):
            shutil.rmtree(self.root / "proc" / str(pid))

    def end_all(self, *containers: str, grace: float = 0.2) -> dict[str, str]:
        return kernel.end_all(list(containers), grace=grace, root=str(self.root), send=self.send)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    made = Processes(tmp_path)
    made.start(11, OURS, inside=1)
    made.start(12, OURS)
    made.start(21, THEIRS, inside=1)
    return made


def test_first_it_is_asked_and_then_all_of_it_is_killed(processes: Processes) -> None:
    assert processes.end_all(OURS) == {}
    assert processes.told == [(11, TERM), (11, KILL), (12, KILL)]


def test_what_ends_when_asked_is_not_killed(processes: Processes) -> None:
    def obeys(pid: int, _signal: int) -> bool:
        shutil.rmtree(processes.root / "proc/12")  # the kernel ends the others with the first
        return pid == 11

    processes.obeys = obeys

    assert processes.end_all(OURS, grace=10.0) == {}
    assert processes.told == [(11, TERM)]


def test_without_grace_nobody_is_asked(processes: Processes) -> None:
    assert processes.end_all(OURS, grace=0.0) == {}
    assert processes.told == [(11, KILL), (12, KILL)]


def test_where_no_first_process_is_known_all_are_asked(processes: Processes) -> None:
    (processes.root / "proc/11/status").write_text("Name:\tsh\nNSpid:\t11\n")  # the host's own pids

    processes.end_all(OURS)

    assert processes.told[:2] == [(11, TERM), (12, TERM)]


def test_what_does_not_end_is_told_with_why(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "KILL_SECONDS", 0.1)
    processes.obeys = lambda *_: False

    assert processes.end_all(OURS, grace=0.0) == {OURS: "it does not end"}


def test_who_may_not_signal_says_so_and_does_not_wait(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "KILL_SECONDS", 0.1)

    def refuse(_pid: int, _signal: int) -> bool:
        raise PermissionError(1, "Operation not permitted")

    processes.obeys = refuse

    assert processes.end_all(OURS, grace=600.0) == {OURS: "[Errno 1] Operation not permitted"}


@pytest.mark.parametrize("name", ["", "a", "a" * 12, "A" * 64, f"{OURS}/../{THEIRS}"])
def test_only_a_whole_id_names_a_container(processes: Processes, name: str) -> None:
    (left,) = processes.end_all(name).values()

    assert left.endswith("is no id of a container")
    assert processes.told == []
    assert kernel.running([name], str(processes.root)) == []


def test_what_has_ended_does_not_run(processes: Processes) -> None:
    processes.start(31, "c" * 64, inside=1, state="Z")

    assert kernel.running([OURS, THEIRS, "c" * 64, "d" * 64], str(processes.root)) == [OURS, THEIRS]


def test_it_takes_no_longer_than_the_arithmetic_allows() -> None:
    """A hanging engine is waited for twice: for the connection, and for the answer."""
    waited = 2 * light.ANSWER_SECONDS
    assert waited + kernel.GRACE_SECONDS + kernel.KILL_SECONDS < STOP_TIME.total_seconds()
    stopped = light.STOP_SECONDS + light.KILL_SECONDS + kernel.KILL_SECONDS
    assert stopped <= STOP_TIME.total_seconds()
