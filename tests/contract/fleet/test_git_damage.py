"""A broken mirror heals by itself: it is put aside and fetched anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.git_repo import GitRepository, open_repository
from fleet.glance import glance
from fleet.port import RefUpdate, RepositoryError, UnreachableError
from schemas.names import CommitId
from tests.contract.fleet.conftest import MAIN, NODES, GitWorld, committed, planted

CONTENT = b"precious " * 500


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    _overwrite(path, bytes(data))


def truncate(path: Path) -> None:
    _overwrite(path, path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    _overwrite(path, b"")


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def mirror_files(folder: Path, kind: str) -> list[Path]:
    patterns = {
        "HEAD": "HEAD",
        "config": "config",
        "shallow": "shallow",
        "ref": "refs/**/*",
        "packed-refs": "packed-refs",
        "loose object": "objects/[0-9a-f][0-9a-f]/*",
        "pack": "objects/pack/*.pack",
        "pack index": "objects/pack/*.idx",
    }
    found = sorted(path for path in folder.glob(patterns[kind]) if path.is_file())
    assert found, f"{folder} has no {kind}"
    return found


def filled(git_world: GitWorld, *, packed: bool) -> tuple[GitRepository, Path, CommitId]:
    """A mirror of a remote with some history, and what must be readable in the end."""
    first = planted(git_world, MAIN, [("100644", b"old", b"0")])
    second = planted(git_world, MAIN, [("100644", b"old", b"1")], parent=first)
    client = git_world.client()
    folder = Path(client._mirror.folder)
    client.fetch(MAIN, NODES)  # comes as a pack, and what is pushed stays as loose objects
    tip = committed(client, {"a": CONTENT}, parent=second)
    client.push((RefUpdate(MAIN, tip, second),))
    client.push_own(f"{NODES}one", committed(client, {"heartbeat.json": b"1"}))
    if packed:
        assert client._mirror.git("gc", "--quiet").code == 0
    client.close()
    return client, folder, tip


def looks_whole(client: GitRepository, tip: CommitId) -> None:
    found = client.fetch(MAIN, NODES)
    assert found[MAIN] == tip
    assert set(found) == {MAIN, f"{NODES}one"}
    tree = client.tree(tip)
    assert client.read([tree.files["a"].blob]) == {tree.files["a"].blob: CONTENT}


@pytest.mark.parametrize("harm", [flip, truncate, empty])
@pytest.mark.parametrize(
    "kind",
    ["HEAD", "config", "shallow", "ref", "packed-refs", "loose object", "pack", "pack index"],
)
@pytest.mark.parametrize("is_new_process", [True, False], ids=["new process", "same process"])
def test_each_kind_of_broken_file_heals(
    git_world: GitWorld, kind: str, harm: Callable[[Path], None], is_new_process: bool
) -> None:
    client, folder, tip = filled(git_world, packed=kind in ("packed-refs", "pack", "pack index"))
    for path in mirror_files(folder, kind):
        harm(path)
    if is_new_process:
        client = open_repository(git_world.url, folder)
        git_world.clients.append(client)

    looks_whole(client, tip)
    planted(git_world, f"{NODES}one", [("100644", b"heartbeat.json", b"2")])
    looks_whole(client, tip)


@pytest.mark.parametrize("kind", ["HEAD", "refs", "objects", "config"])
def test_a_missing_part_heals(git_world: GitWorld, kind: str) -> None:
    client, folder, tip = filled(git_world, packed=False)
    part = folder / kind
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink()

    looks_whole(client, tip)


def test_a_mirror_that_is_a_plain_folder_heals(git_world: GitWorld, tmp_path: Path) -> None:
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    folder = tmp_path / "mirror-0.git"
    folder.mkdir()
    (folder / "something").write_text("else")

    assert git_world.client().fetch(MAIN) == {MAIN: tip}
    assert (tmp_path / "mirror-0.git.damaged-1" / "something").exists()


def test_at_most_two_damaged_mirrors_are_kept(git_world: GitWorld, tmp_path: Path) -> None:
    client, folder, tip = filled(git_world, packed=False)
    for _ in range(4):
        empty(folder / "HEAD")
        looks_whole(client, tip)

    assert sorted(path.name for path in tmp_path.glob("*.damaged-*")) == [
        "mirror-0.git.damaged-3",
        "mirror-0.git.damaged-4",
    ]


def test_an_unreachable_remote_does_not_cost_the_mirror(
    git_world: GitWorld, tmp_path: Path
) -> None:
    client, _, tip = filled(git_world, packed=False)
    git_world.vanish()

    with pytest.raises(UnreachableError):
        client.fetch(MAIN)

    assert client.tree(tip).files
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_broken_remote_costs_no_mirror(git_world: GitWorld, tmp_path: Path) -> None:
    client, _, _ = filled(git_world, packed=False)
    planted(git_world, MAIN, [("100644", b"a", b"new")])
    for path in mirror_files(git_world.remote, "loose object"):
        empty(path)

    with pytest.raises(UnreachableError):
        client.fetch(MAIN)

    assert not list(tmp_path.glob("*.damaged-*"))


def test_what_was_written_survives_the_healing(git_world: GitWorld) -> None:
    client, folder, tip = filled(git_world, packed=False)
    made = committed(client, {"a": b"new"}, parent=tip)
    for path in mirror_files(folder, "loose object"):
        truncate(path)

    looks_whole(client, tip)
    client.push((RefUpdate(MAIN, made, tip),))

    assert git_world.refs()[MAIN] == made


@pytest.mark.parametrize(
    "name", [f"{MAIN}.lock", "shallow.lock", "packed-refs.lock", "config.lock", "HEAD.lock"]
)
def test_a_lock_of_a_dead_process_does_not_wedge(git_world: GitWorld, name: str) -> None:
    client, folder, tip = filled(git_world, packed=False)
    lock = folder / name
    lock.touch()
    os.utime(lock, (0, 0))
    new = planted(git_world, MAIN, [("100644", b"a", CONTENT)], parent=tip)

    looks_whole(client, new)


def test_a_young_lock_is_respected(git_world: GitWorld) -> None:
    client, folder, tip = filled(git_world, packed=False)
    (folder / f"{MAIN}.lock").touch()
    planted(git_world, MAIN, [("100644", b"a", b"2")], parent=tip)

    with pytest.raises(RepositoryError, match="File exists"):
        client.fetch(MAIN)

    (folder / f"{MAIN}.lock").unlink()
    assert client.fetch(MAIN)[MAIN] != tip


def test_a_ref_that_became_a_folder_is_followed(git_world: GitWorld) -> None:
    client, _, tip = filled(git_world, packed=False)
    git_world.git("update-ref", "-d", MAIN)
    below = planted(git_world, f"{MAIN}/sub", [("100644", b"a", b"2")])

    assert client.fetch(f"{MAIN}/sub", "refs/heads/") == {f"{MAIN}/sub": below}
    git_world.git("update-ref", "-d", f"{MAIN}/sub")
    git_world.set_ref(MAIN, tip)
    assert client.fetch(MAIN) == {MAIN: tip}


@pytest.mark.parametrize("harm", [flip, truncate, empty])
@pytest.mark.parametrize("kind", ["HEAD", "config", "ref", "loose object"])
def test_a_glance_at_a_damaged_mirror_leaves_it_to_the_healing(
    git_world: GitWorld, kind: str, harm: Callable[[Path], None]
) -> None:
    client, folder, _ = filled(git_world, packed=False)
    tip = planted(git_world, MAIN, [("100644", b"a", CONTENT)])
    for path in mirror_files(folder, kind):
        harm(path)

    assert glance(git_world.url, str(folder), [MAIN]) in (None, {MAIN: tip})
    looks_whole(client, tip)


def test_a_mirror_does_not_grow_with_heartbeats(git_world: GitWorld, tmp_path: Path) -> None:
    folder = tmp_path / "own.git"
    client = open_repository(git_world.url, folder, upkeep_every=10, keep="now")
    git_world.clients.append(client)
    ref = f"{NODES}one"
    counts = []
    for number in range(60):
        client.push_own(ref, committed(client, {"heartbeat.json": b"%d" % number}))
        client.fetch(ref)
        counts.append(len(list(folder.glob("objects/??/*"))))

    assert max(counts) <= 3 * 12
    assert len(list(folder.glob("objects/pack/*.pack"))) <= 1


def test_a_mirror_does_not_grow_with_the_heartbeats_of_others(
    git_world: GitWorld, tmp_path: Path
) -> None:
    folder = tmp_path / "own.git"
    client = open_repository(git_world.url, folder, upkeep_every=10, keep="now")
    git_world.clients.append(client)
    counts = []
    for number in range(40):
        at = planted(git_world, f"{NODES}one", [("100644", b"heartbeat.json", b"%d" % number)])
        assert client.fetch(NODES) == {f"{NODES}one": at}
        assert client.tree(at).files
        counts.append(len(list(folder.glob("objects/pack/*.pack"))))

    assert max(counts) <= 12


def test_upkeep_keeps_what_may_still_be_read(git_world: GitWorld, tmp_path: Path) -> None:
    client = open_repository(git_world.url, tmp_path / "own.git", upkeep_every=1)
    git_world.clients.append(client)
    seen = []
    for number in range(5):
        seen.append(planted(git_world, MAIN, [("100644", b"a", b"%d" % number)]))
        client.fetch(MAIN)

    assert [len(client.tree(commit).files) for commit in seen] == [1] * 5
