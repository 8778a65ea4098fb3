"""Reading the fleet's repositories, each through a mirror in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.access import Access
from fleet.errors import RepositoryError
from fleet.memory import MemoryRepository, MemoryServer
from fleet.objects import IDENTITY
from fleet.port import RefUpdate, Repository
from reconciler.cli.where import Where
from reconciler.observing.read import NoBranchError, read_snapshot
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import with_desired
from schemas.layout import desired_ref

if TYPE_CHECKING:
    from fleet.git_repo import GitRepository


@contextlib.contextmanager
def open_remotes(
    where: Where, environ: Mapping[str, str], identity: str = IDENTITY
) -> Iterator[tuple[Repository, Repository]]:
    """Open `desired` and `state`. Where they are the same remote, they are the same object.

    identity: who commits, `name <address>`; only commands that write need it.

    Raises:
        RepositoryError: Git is not installed, or a URL is none that may be used.
    """
    with contextlib.ExitStack() as stack:
        desired = stack.enter_context(contextlib.closing(_open(where.desired, environ, identity)))
        if where.state == where.desired:
            yield desired, desired
        else:
            yield desired, stack.enter_context(contextlib.closing(_open(where.state, environ)))


def read_committed(where: Where, environ: Mapping[str, str]) -> Snapshot:
    """Read what is committed and what machines say of it.

    Raises:
        RepositoryError: a remote does not answer.
    """
    with open_remotes(where, environ) as (desired, state):
        return read_snapshot(desired, state, where.branch)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is planned, beside what is pushed.

    snapshot: a work tree where the commit would be. pushed: what is committed; None: the branch was
    not read. unread: why it was not, although it may be there.
    """

    snapshot: Snapshot
    pushed: Snapshot | None = None
    unread: str = ""


def read_with(asked: Snapshot, where: Where, environ: Mapping[str, str], now: datetime) -> Asked:
    """Read what machines say, and put a work tree, as it was read, where the commit would be.

    Raises:
        RepositoryError: the remote that machines write to does not answer.
    """
    try:
        pushed = read_committed(where, environ)
    except NoBranchError:
        return Asked(_beside_nothing(asked, where, environ, now))
    except RepositoryError as error:
        # What people write may be out of reach here. If it is what machines say, this raises too.
        return Asked(_beside_nothing(asked, where, environ, now), unread=str(error))
    return Asked(with_desired(pushed, asked), pushed)


def _beside_nothing(
    asked: Snapshot, where: Where, environ: Mapping[str, str], now: datetime
) -> Snapshot:
    with contextlib.closing(_open(where.state, environ)) as state:
        return with_desired(read_snapshot(_nothing(now), state, "main"), asked)


def _nothing(now: datetime) -> Repository:
    """A repository in memory that only has the branch, for there may be no other yet."""
    made = MemoryRepository(MemoryServer())
    tree = made.write(None, {})
    commit = made.commit(tree, parent=None, message="work tree", at=now)
    made.push((RefUpdate(desired_ref("main"), commit, None),))
    return made


def _open(url: str, environ: Mapping[str, str], identity: str = IDENTITY) -> GitRepository:
    try:
        from fleet.git_repo import open_repository  # noqa: PLC0415  # fails where git is missing
    except ImportError as error:
        raise RepositoryError("git is not on the PATH. Fix: install git") from error
    folder = _cache(environ) / _folder(url)
    return open_repository(url, folder, access=_access(environ), identity=identity)


def _access(environ: Mapping[str, str]) -> Access:
    return Access(
        environment=environ,
        ssh_key=environ.get("MIAAS_SSH_KEY", ""),
        known_hosts=environ.get("MIAAS_KNOWN_HOSTS", ""),
        credentials=environ.get("MIAAS_CREDENTIALS", ""),
        ca_file=environ.get("MIAAS_CA_FILE", ""),
    )


def _cache(environ: Mapping[str, str]) -> Path:
    if environ.get("MIAAS_CACHE"):
        return Path(environ["MIAAS_CACHE"])
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"], "miaas")
    return Path(environ.get("HOME") or "~").expanduser() / ".cache" / "miaas"


def _folder(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
