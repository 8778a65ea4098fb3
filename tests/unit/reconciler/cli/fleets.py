"""A fleet in a real bare repository, with what a node and a reconciler would have written."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from fleet.access import Access
from fleet.git_repo import open_repository
from fleet.port import RefUpdate
from reconciler.decide import decide
from reconciler.observing.read import read_snapshot
from reconciler.publishing.publish import publish
from reconciler.rendering.port import Outcome, Rendered, RenderJob
from reconciler.rolling.marks import Memory
from schemas.heartbeat import dump_heartbeat
from schemas.layout import (
    ASSIGNMENTS_REF,
    HEARTBEAT_FILE,
    LEADER_FILE,
    LEADER_REF,
    heartbeat_ref,
)
from schemas.leader import Leader, dump_leader
from schemas.names import NodeName
from tests.builders import A_MOMENT, a_heartbeat


class Paper:
    """A renderer whose files are the same whatever it is asked for."""

    def render(self, jobs: tuple[RenderJob, ...]) -> tuple[Outcome, ...]:
        return tuple(Rendered(files={"compose.yaml": b"services: {}\n"}) for _ in jobs)


def git(*words: str, folder: Path) -> None:
    """Run git in a folder, without anybody's own settings."""
    names = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = {
        f"GIT_{role}_{what}": "a@b"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **names, **who}
    subprocess.run(["git", *words], cwd=folder, check=True, env=environ, capture_output=True)


class Pencil:
    """A renderer whose files tell all that they are made from."""

    def render(self, jobs: tuple[RenderJob, ...]) -> tuple[Outcome, ...]:
        made = [json.dumps(job.context, sort_keys=True).encode() for job in jobs]
        return tuple(Rendered(files={"compose.yaml": text}) for text in made)


class Remote:
    """A bare repository that tests write to as a node and as the reconciler."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "fleet.git")
        git("init", "-q", "--bare", "-b", "main", self.url, folder=folder)
        self._mirror = folder / "mirror"

    def push(self, tree: Path) -> None:
        """Commit a work tree and push it."""
        if not (tree / ".git").exists():
            git("init", "-q", "-b", "main", folder=tree)
            git("remote", "add", "origin", self.url, folder=tree)
        git("add", "-A", folder=tree)
        git("commit", "-qm", "a change", folder=tree)
        git("push", "-q", "origin", "main", folder=tree)

    def speak(self, node: str) -> None:
        """Push a heartbeat as a node does."""
        with closing(open_repository(self.url, self._mirror, access=_access())) as repository:
            now = datetime.now(UTC)
            text = dump_heartbeat(a_heartbeat(node, sent_at=now))
            tree = repository.write(None, {HEARTBEAT_FILE: text.encode()})
            commit = repository.commit(tree, parent=None, message="beat", at=A_MOMENT)
            repository.push_own(heartbeat_ref(NodeName(node)), commit)

    def lead(self, name: str, at: datetime) -> None:
        """Push a lease as the reconciler of that name does, at that time."""
        with closing(open_repository(self.url, self._mirror, access=_access())) as repository:
            lease = Leader(holder=name, term=1, sequence=1, lease_seconds=60, since=at)
            tree = repository.write(None, {LEADER_FILE: dump_leader(lease).encode()})
            commit = repository.commit(tree, parent=None, message="lease", at=at)
            repository.push_own(LEADER_REF, commit)

    def decide(self) -> None:
        """Decide and publish as the reconciler does, without its loop."""
        with closing(open_repository(self.url, self._mirror, access=_access())) as repository:
            snapshot = read_snapshot(repository, repository, "main")
            result = decide(snapshot, A_MOMENT, Memory(), Paper())
            last = snapshot.decided
            base = repository.tree(last).id if last else None
            tree = repository.write(base, result.changes.files)
            commit = repository.commit(tree, parent=last, message="decision", at=A_MOMENT)
            repository.push((RefUpdate(ASSIGNMENTS_REF, commit, last),))

    def publish(self) -> None:
        """Decide and publish as the reconciler does, with everything that its commit tells."""
        with closing(open_repository(self.url, self._mirror, access=_access())) as repository:
            snapshot = read_snapshot(repository, repository, "main")
            publish(repository, decide(snapshot, A_MOMENT, Memory(), Pencil()), A_MOMENT)

    def spoil(self, path: str) -> None:
        """Put nonsense where the reconciler's own word was."""
        with closing(open_repository(self.url, self._mirror, access=_access())) as repository:
            tip = repository.fetch(ASSIGNMENTS_REF)[ASSIGNMENTS_REF]
            tree = repository.write(repository.tree(tip).id, {path: b"nonsense"})
            commit = repository.commit(tree, parent=tip, message="spoilt", at=A_MOMENT)
            repository.push((RefUpdate(ASSIGNMENTS_REF, commit, tip),))


def _access() -> Access:
    return Access(environment=os.environ)
