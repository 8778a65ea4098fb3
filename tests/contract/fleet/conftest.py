"""One remote with clients, as real Git and as dicts: every contract test runs on both."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from fleet.git_repo import GitRepository, open_repository
from fleet.memory import MemoryRepository, MemoryServer
from fleet.objects import Entry, commit_content, object_id, tree_content
from fleet.port import Repository
from schemas.names import CommitId, TreeId

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MAIN = "refs/heads/main"
STATE = "refs/heads/assignments"
NODES = "refs/miaas/nodes/"


class World(Protocol):
    """A remote, seen from outside."""

    def client(self) -> Repository:
        """Give one more client, with nothing fetched yet."""

    def refs(self) -> dict[str, str]:
        """Say where every ref of the remote stands."""

    def store(self, kind: str, content: bytes) -> str:
        """Put an object into the remote, odd ones too."""

    def set_ref(self, ref: str, value: str) -> None:
        """Move a ref of the remote, past all rules."""

    def refuse(self) -> None:
        """Refuse every push from now on, as a hook would."""

    def vanish(self) -> None:
        """Make the remote unreachable."""


class MemoryWorld:
    def __init__(self) -> None:
        self.server = MemoryServer()
        self.clients: list[MemoryRepository] = []

    def client(self) -> MemoryRepository:
        self.clients.append(MemoryRepository(self.server))
        return self.clients[-1]

    def refs(self) -> dict[str, str]:
        return dict(self.server.refs)

    def store(self, kind: str, content: bytes) -> str:
        return self.server.store(kind, content)

    def set_ref(self, ref: str, value: str) -> None:
        self.server.refs[ref] = value

    def refuse(self) -> None:
        self.server.rule = lambda _update: "the branch is protected"

    def vanish(self) -> None:
        for client in self.clients:
            client.line = type(client.line).DOWN


class GitWorld:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.remote = folder / "remote.git"
        self.clients: list[GitRepository] = []
        self.git("init", "--quiet", "--bare", str(self.remote))

    @property
    def url(self) -> str:
        return str(self.remote)

    def git(self, *arguments: str, data: bytes = b"") -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self.remote}", *arguments],
            input=data,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def client(self) -> GitRepository:
        mirror = self.folder / f"mirror-{len(self.clients)}.git"
        self.clients.append(open_repository(self.url, mirror))
        return self.clients[-1]

    def refs(self) -> dict[str, str]:
        rows = (
            line.split()
            for line in self.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
        )
        return {ref: value for value, ref in rows}

    def store(self, kind: str, content: bytes) -> str:
        return self.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", data=content)

    def set_ref(self, ref: str, value: str) -> None:
        self.git("update-ref", ref, value)

    def refuse(self) -> None:
        hook = self.remote / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\necho the branch is protected\nexit 1\n")
        hook.chmod(0o755)

    def vanish(self) -> None:
        self.remote.rename(self.folder / "gone.git")


@pytest.fixture
def git_world(tmp_path: Path) -> Iterator[GitWorld]:
    made = GitWorld(tmp_path)
    yield made
    for client in made.clients:
        client.close()


@pytest.fixture(params=["git", "memory"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    made = request.getfixturevalue("git_world")
    assert isinstance(made, GitWorld)
    return made


def committed(
    client: Repository, files: dict[str, bytes], *, parent: CommitId | None = None, says: str = "x"
) -> CommitId:
    """Write a commit that holds exactly these files."""
    return client.commit(client.write(None, files), parent=parent, message=says, at=AT)


def planted(
    world: World, ref: str, entries: list[tuple[str, bytes, bytes]], *, parent: str | None = None
) -> CommitId:
    """Put a commit with any tree into the remote: entries of mode, name and content."""
    made = [Entry(mode, name, world.store("blob", data)) for mode, name, data in entries]
    tree = world.store("tree", tree_content(made))
    above = None if parent is None else CommitId(parent)
    content = commit_content(TreeId(tree), above, "planted", AT, "odd <odd@localhost>")
    commit = world.store("commit", content)
    assert commit == object_id("commit", content)
    world.set_ref(ref, commit)
    return CommitId(commit)
