"""A state repository stays small, and nothing that anyone needs goes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.errors import RepositoryError
from fleet.git_repo import GitRepository, open_repository
from fleet.state_gc import LOCK, clean, disk_bytes, main
from schemas.names import CommitId

OWN = "refs/miaas/nodes/alpha"
AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86_400


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state.git"
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    return folder


@pytest.fixture
def agent(state: Path, tmp_path: Path) -> GitRepository:
    return open_repository(str(state), tmp_path / "mirror.git")


def _beat(agent: GitRepository, number: int, ref: str = OWN) -> CommitId:
    """Push a heartbeat over the last one."""
    text = f'{{"sequence": {number}, "ref": "{ref}"}}' + "\n" * 3000
    tree = agent.write(None, {"heartbeat.json": text.encode()})
    commit = agent.commit(tree, parent=None, message=f"{number}", at=AT)
    agent.push_own(ref, commit)
    return commit


def _grow_old(state: Path) -> None:
    """A day passes for everything that is there."""
    for path in (state / "objects").rglob("*"):
        if path.is_file():
            found = path.stat()
            os.utime(path, (found.st_atime, found.st_mtime - DAY_SECONDS))


def _has(state: Path, commit: CommitId) -> bool:
    command = ["git", "--git-dir", str(state), "cat-file", "-e", commit]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_old_heartbeats_go_and_the_last_one_stays(state: Path, agent: GitRepository) -> None:
    old = [_beat(agent, number) for number in range(20)]
    _grow_old(state)

    done = clean(state, "1.hour.ago")

    assert [_has(state, commit) for commit in old] == [False] * 19 + [True]
    assert done.after < done.before / 2
    assert done.after == disk_bytes(state)


def test_young_heartbeats_are_packed_and_kept(state: Path, agent: GitRepository) -> None:
    young = [_beat(agent, number) for number in range(20)]

    done = clean(state, "1.hour.ago")

    assert all(_has(state, commit) for commit in young)
    assert done.after < done.before / 2


def test_what_was_packed_young_goes_when_it_is_old(state: Path, agent: GitRepository) -> None:
    first, _ = _beat(agent, 1), _beat(agent, 2)
    clean(state, "1.hour.ago")
    assert _has(state, first)

    clean(state, "now")

    assert not _has(state, first)


def test_an_object_that_is_pushed_again_is_young_again(state: Path, agent: GitRepository) -> None:
    first = _beat(agent, 1)
    _beat(agent, 2)
    _grow_old(state)
    agent.push_own(OWN, first)  # nothing is sent: it never went
    _beat(agent, 3)

    clean(state, "1.hour.ago")
    agent.push_own(OWN, first)

    assert _has(state, first)
    assert agent.fetch(OWN)[OWN] == first


def test_pushes_and_fetches_go_on_while_it_cleans(state: Path, tmp_path: Path) -> None:
    """Every push arrives, every fetch answers, and the repository is whole in the end."""
    failures: list[Exception] = []

    def live(name: str) -> None:
        ref = f"refs/miaas/nodes/{name}"
        own = open_repository(str(state), tmp_path / f"{name}.git")
        reader = open_repository(str(state), tmp_path / f"{name}-reader.git")
        try:
            for number in range(12):
                commit = _beat(own, number, ref)
                assert reader.fetch(ref)[ref] == commit
                reader.tree(commit)
        except (RepositoryError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(f"node-{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    rounds = 0
    while any(thread.is_alive() for thread in threads):
        # Not an hour but five seconds: what is in flight is younger than that.
        command = [sys.executable, "-m", "fleet.state_gc", str(state), "--keep", "5s"]
        subprocess.run(command, check=True, capture_output=True)
        rounds += 1

    assert failures == []
    assert rounds > 1
    fsck = ["git", "--git-dir", str(state), "fsck", "--full", "--strict"]
    assert subprocess.run(fsck, check=False, capture_output=True).returncode == 0


def test_only_a_bare_repository_is_touched(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="is no bare repository"):
        clean(tmp_path, "now")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_repository_of_somebody_else_is_left_alone(state: Path) -> None:
    os.chown(state, 65_534, 65_534)

    with pytest.raises(RepositoryError, match=r"Fix: run as that user \(User="):
        clean(state, "now")


def test_a_second_one_leaves_and_says_why(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (state / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code = main([str(state)])

    assert (code, "is being cleaned already" in capsys.readouterr().err) == (3, True)


def test_the_program_says_what_it_took(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(state), "--keep", "2h"]) == 0
    assert capsys.readouterr().out.startswith(f"{state}: 0.")
    assert main([str(state), "--keep", "soon"]) == 2
    assert "'soon' is no duration" in capsys.readouterr().err
