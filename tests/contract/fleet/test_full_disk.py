"""A disk that takes nothing more: a node can still say so. On a real, small file system."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import RepositoryError
from fleet.git_repo import open_repository
from fleet.port import RefUpdate, Repository
from fleet.spare import MEMORY
from schemas.names import CommitId
from tests.contract.fleet.conftest import AT, NODES, GitWorld

OURS = f"{NODES}alpha"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder))
    made = subprocess.run(["mount", *options], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left, to the last byte."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")
    return ballast


def spoken(client: Repository, number: int) -> CommitId:
    tree = client.write(None, {"heartbeat.json": f'{{"sequence": {number}}}'.encode()})
    commit = client.commit(tree, parent=None, message=f"Heartbeat {number}", at=AT)
    client.push_own(OURS, commit)
    return commit


def test_a_heartbeat_leaves_a_full_disk_and_the_mirror_stays_whole(
    tmp_path: Path, small_disk: Path
) -> None:
    world = GitWorld(tmp_path / "world")
    client = open_repository(world.url, small_disk / "mirror.git")
    spoken(client, 1)
    ballast = fill(small_disk)

    second, third = spoken(client, 2), spoken(client, 3)
    assert second != third
    assert world.refs()[OURS] == third
    assert [path.name for path in Path(MEMORY).glob("miaas-objects-*")] == []

    ballast.unlink()
    assert world.refs()[OURS] == third
    assert spoken(client, 4) == world.refs()[OURS]
    names = {path.name for path in small_disk.iterdir()}
    assert names == {"mirror.git", "mirror.git.lock"}, "nothing was taken for damage"


def test_what_others_build_on_is_not_pushed_from_a_full_disk(
    tmp_path: Path, small_disk: Path
) -> None:
    """A decision has a history, which this side could not read again."""
    world = GitWorld(tmp_path / "world")
    client = open_repository(world.url, small_disk / "mirror.git")
    spoken(client, 1)
    fill(small_disk)
    tree = client.write(None, {"decision.json": b"{}"})
    commit = client.commit(tree, parent=None, message="A decision", at=AT)

    with pytest.raises(RepositoryError, match="No space left on device"):
        client.push((RefUpdate("refs/heads/assignments", commit, None),))

    assert "refs/heads/assignments" not in world.refs()
