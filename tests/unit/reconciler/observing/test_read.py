"""Reading: only what counts, within bounds, and each thing once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from fleet.memory import Line, MemoryRepository
from fleet.objects import FILE, FOLDER, Entry, tree_content
from fleet.port import File, RepositoryError, Tree, UnreachableError
from reconciler.observing import counting
from reconciler.observing.folder import read_folder
from reconciler.observing.read import NoBranchError, Reader, read_snapshot
from reconciler.observing.snapshot import Snapshot
from schemas.names import BlobId, CommitId, NodeName, TemplateName
from tests.unit.reconciler.world import World, a_small_fleet, a_world, deployment


class Counting(MemoryRepository):
    """A client that counts what it is asked for."""

    blobs = 0
    trees = 0

    def read(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, bytes]:
        wanted = list(blobs)
        self.blobs += len(wanted)
        return super().read(wanted)

    def tree(self, commit: CommitId) -> Tree:
        self.trees += 1
        return super().tree(commit)

    def root_file(self, commit: CommitId, name: str) -> File | None:
        self.trees += 1
        return super().root_file(commit, name)


def test_only_what_counts_is_read() -> None:
    more = {"README.md": "x", "secrets/a.age": "x", "nodes/sub/x.yaml": "x", "docs/y.yaml": "x"}
    world = a_world(files=a_small_fleet(**more))

    assert set(world.snapshot().desired) == set(a_small_fleet())


def test_binary_files_of_templates_come_through_unharmed() -> None:
    world = a_world(files={**a_small_fleet(), "templates/web/logo.png": bytes(range(256))})

    assert world.snapshot().desired["templates/web/logo.png"] == bytes(range(256))


@pytest.mark.parametrize(("size", "is_read"), [(1_048_576, True), (1_048_577, False)])
def test_a_file_that_is_too_large_is_told_and_not_read(size: int, is_read: bool) -> None:
    world = a_world(files={**a_small_fleet(), "templates/web/big": b"x" * size})

    snapshot = world.snapshot()

    assert ("templates/web/big" in snapshot.desired) is is_read
    assert snapshot.too_large == ({} if is_read else {"templates/web/big": size})


def test_a_heartbeat_that_is_too_large_is_no_heartbeat() -> None:
    world = a_world()
    world.push_heartbeat("alpha", b" " * 1_048_577)

    result = world.decide()

    assert "alpha" not in result.snapshot.heartbeats
    assert "the heartbeat has 1048577 bytes" in str(result.notices)


def _tree_of(world: World, *entries: tuple[str, str, str]) -> str:
    """Put a tree into the remote: entries of mode, name and id."""
    made = [Entry(mode, name.encode(), one) for mode, name, one in entries]
    return world.server.store("tree", tree_content(made))


def _point(world: World, ref: str, tree: str) -> str:
    """Let a ref of the remote stand at a new commit with this tree, and say what it stood at."""
    head = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    before = world.server.refs.get(ref, "")
    world.server.refs[ref] = world.server.store("commit", head.encode())
    return before


def _deep(world: World, name: str, content: bytes) -> str:
    """A root with one file, beside 40 folders in each other."""
    blob = world.server.store("blob", content)
    tree = _tree_of(world, (FILE, "x", blob))
    for _ in range(40):
        tree = _tree_of(world, (FOLDER, "d", tree))
    return _tree_of(world, (FOLDER, "d", tree), (FILE, name, blob))


def _no_tree(world: World) -> str:
    return world.server.store("blob", b"no tree")


def _no_file(world: World) -> str:
    return _tree_of(world, (FILE, "heartbeat.json", _tree_of(world)))


@pytest.mark.parametrize("harm", [_no_tree, _no_file])
def test_a_ref_of_a_node_that_cannot_be_read_costs_that_node_alone(
    harm: Callable[[World], str],
) -> None:
    world = a_world()
    world.pass_once()
    _point(world, "refs/miaas/nodes/beta", harm(world))
    world.commit({"deployments/more.yaml": deployment("more")})

    result = world.decide()

    assert set(result.snapshot.heartbeats) == {"alpha"}
    assert "refs/miaas/nodes/beta: the heartbeat cannot be read" in str(result.notices[0])
    assert "look at that agent" in str(result.notices[0])
    world.pass_once()
    assert "nodes/alpha/more-0/compose.yaml" in world.tree()


def test_what_hangs_below_the_root_of_a_heartbeat_is_not_opened() -> None:
    world = a_world()
    beat = world.snapshot().heartbeats["beta"]
    _point(world, "refs/miaas/nodes/beta", _deep(world, "heartbeat.json", beat))

    result = world.decide()

    assert set(result.snapshot.heartbeats) == {"alpha", "beta"}
    assert result.notices == ()


def test_a_lease_that_cannot_be_read_is_no_lease_and_is_told() -> None:
    world = a_world()
    _point(world, "refs/miaas/leader", _no_tree(world))

    result = world.decide()

    assert result.snapshot.led == world.server.refs["refs/miaas/leader"]
    assert result.snapshot.leader == b""
    assert "refs/miaas/leader: the ref cannot be read" in str(result.notices[0])


@pytest.mark.parametrize("harm", [lambda world: _deep(world, "x", b"x"), _no_tree])
def test_a_nodes_own_ref_with_an_odd_tree_is_written_anew(harm: Callable[[World], str]) -> None:
    world = a_world()
    world.pass_once()
    busy = next(ref for ref in world.server.refs if ref.startswith("refs/miaas/assigned/"))
    before = _point(world, busy, harm(world))

    world.pass_once()

    tip = world.client.show(CommitId(world.server.refs[busy]))
    assert tip.tree == world.client.show(CommitId(before)).tree


def test_refs_that_cannot_be_fetched_cost_their_nodes_alone_and_are_told() -> None:
    world = a_world()
    world.pass_once()
    refs = world.server.refs
    busy = next(ref for ref in refs if ref.startswith("refs/miaas/assigned/"))
    stood = refs[busy]
    world.server.bad = {"refs/miaas/nodes/beta": "too long", "refs/heads/other": "?", busy: "odd"}

    result = world.decide()

    assert set(result.snapshot.heartbeats) == {"alpha"}
    assert result.snapshot.assigned[NodeName(busy.rpartition("/")[2])] == stood
    told = [str(notice) for notice in result.notices]
    assert [text.partition(". Fix")[0] for text in told] == [
        "refs/miaas/nodes/beta: the heartbeat cannot be read: too long",
        f"{busy}: the ref cannot be read: odd",
    ]
    world.pass_once()
    assert refs[busy] != stood


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/heads/assignments"])
def test_a_branch_that_cannot_be_fetched_is_no_empty_branch(ref: str) -> None:
    world = a_world()
    world.pass_once()
    world.server.bad = {ref: "odd"}

    with pytest.raises(RepositoryError, match="cannot be read: odd"):
        world.snapshot()


def test_too_many_files_mean_that_nothing_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world()
    world.pass_once()
    before = world.tree()
    monkeypatch.setattr(counting, "FILES_MAX", 3)

    world.pass_once()

    assert "6 files are more than 3" in str(world.decide().problems)
    assert [p for p, c in world.tree().items() if before.get(p) != c] == ["decision.json"]


def test_a_pass_without_news_reads_no_blob_and_no_tree() -> None:
    world = a_world()
    world.pass_once()
    client = Counting(world.server)
    reader = Reader(client, client, "main")
    reader.read()
    client.blobs = client.trees = 0

    reader.read()

    assert (client.blobs, client.trees) == (0, 0)


def test_of_many_heartbeats_only_the_new_ones_are_read() -> None:
    names = [f"node-{number}" for number in range(50)]
    world = a_world(*names)
    client = Counting(world.server)
    reader = Reader(client, client, "main")
    reader.read()
    client.blobs = client.trees = 0

    world.beat("node-7", sequence=2)
    snapshot = reader.read()

    assert (client.blobs, client.trees) == (1, 1)
    assert len(snapshot.heartbeats) == 50


def test_two_remotes_are_read_as_one() -> None:
    people, machines = a_world(), World()
    machines.beat("alpha")
    desired, state = MemoryRepository(people.server), MemoryRepository(machines.server)

    snapshot = read_snapshot(desired, state, "main")

    assert set(snapshot.desired) == set(a_small_fleet())
    assert set(snapshot.heartbeats) == {"alpha"}


def test_a_missing_branch_is_no_empty_fleet() -> None:
    world = a_world()
    client = MemoryRepository(world.server)

    with pytest.raises(NoBranchError, match="no branch release"):
        read_snapshot(client, client, "release")


def test_an_unreachable_remote_is_no_empty_fleet() -> None:
    world = a_world()
    world.pass_once()
    refs = dict(world.server.refs)
    world.client.line = Line.DOWN

    with pytest.raises(UnreachableError):
        world.pass_once()

    assert world.server.refs == refs


def test_refs_with_odd_names_are_no_nodes() -> None:
    world = a_world()
    tip = world.server.refs["refs/miaas/nodes/alpha"]
    world.server.refs["refs/miaas/nodes/UPPER"] = tip
    world.server.refs["refs/miaas/nodes/a/b"] = tip

    assert set(world.snapshot().heartbeats) == {"alpha", "beta"}


def test_a_folder_reads_as_a_commit_of_it_would(tmp_path: Path) -> None:
    (tmp_path / "deployments").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    (tmp_path / "fleet.yaml").write_text("x")
    (tmp_path / "deployments" / "chat.yaml").write_bytes(b"\xff")
    (tmp_path / "deployments" / ".chat.yaml").write_text("hidden")
    (tmp_path / "deployments" / "link.yaml").symlink_to("chat.yaml")
    (tmp_path / "deployments" / "large.yaml").write_bytes(b"x" * 1_048_577)
    (tmp_path / "deployments" / "team").symlink_to("..")
    (tmp_path / "templates").symlink_to("deployments")
    (tmp_path / "picture.png").write_bytes(b"x" * 1_048_577)

    assert read_folder(tmp_path) == Snapshot(
        source=None,
        desired={
            "fleet.yaml": b"x",
            "deployments/.chat.yaml": b"hidden",
            "deployments/chat.yaml": b"\xff",
        },
        too_large={"deployments/large.yaml": 1_048_577},
        ignored=("deployments/link.yaml", "deployments/team", "templates"),
    )


def test_a_submodule_in_a_work_tree_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "deployments" / "team").mkdir(parents=True)
    (tmp_path / "deployments" / "team" / ".git").write_text("gitdir: elsewhere")
    (tmp_path / "deployments" / "team" / "chat.yaml").write_text("x")

    assert read_folder(tmp_path) == Snapshot(source=None, desired={}, ignored=("deployments/team",))


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "nodes").write_text("x")

    assert read_folder(tmp_path) == Snapshot(source=None, desired={}, ignored=("nodes",))


def test_a_built_in_template_gives_way_to_the_fleets_own() -> None:
    own = {
        "templates/redis/template.yaml": a_small_fleet()["templates/web/template.yaml"].replace(
            "{name: web}", "{name: redis}"
        ),
        "templates/redis/compose.yaml.j2": a_small_fleet()["templates/web/compose.yaml.j2"],
        "deployments/chat.yaml": deployment("chat", template="redis"),
    }
    world = a_world(files=a_small_fleet(**own))

    result = world.decide()

    assert result.problems == ()
    paths = {name: one.template.place.path for name, one in result.observed.templates.items()}
    assert paths[TemplateName("redis")] == "templates/redis/template.yaml"
    assert paths[TemplateName("postgres")] == "built-in/templates/postgres/template.yaml"
