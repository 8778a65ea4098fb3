"""`miaas-reconciler`: the service that decides. Settings in, real tools wired, exit code out."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fleet.access import Access
from fleet.port import Repository, RepositoryError
from reconciler.cli.arguments import Parser
from reconciler.cli.codes import MEANINGS, Code
from reconciler.clock import SystemClock, boot_seconds
from reconciler.leading import Duty
from reconciler.logs import log_to
from reconciler.loop import Loop, pass_once, tell
from reconciler.observing.accepted import AcceptedFile
from reconciler.observing.read import Reader
from reconciler.remembering import MemoryFile, StandingFile
from reconciler.rendering.pool import BoundedRenderer
from reconciler.rolling.marks import Memory
from reconciler.seat import Seat
from reconciler.watch import News, Watcher
from schemas.names import CommitId
from schemas.problem import BadDocumentError

log = logging.getLogger(__name__)

_NAME: Final = "how others see it, where several take turns; default: the host and a token"
_LEFT: Final = "another reconciler leads, and has not yet published what is due (only `once`)"
STATE_DIR: Final = "/var/lib/miaas-reconciler"
_EPILOG: Final = (
    "environment (an option wins over it):\n"
    "  MIAAS_DESIRED, MIAAS_STATE, MIAAS_BRANCH   as --desired, --state, --branch\n"
    "  MIAAS_STATE_DIR                            as --state-dir\n"
    "  MIAAS_RECONCILER_NAME                      as --name\n"
    "  MIAAS_SSH_KEY, MIAAS_KNOWN_HOSTS           as --ssh-key, --known-hosts\n"
    "  MIAAS_CREDENTIALS                          file with username=... and password=...\n"
    "  MIAAS_CA_FILE                              certificates to trust for https remotes\n"
    "\nexit codes:\n"
) + "".join(f"  {int(c):<3} {text}\n" for c, text in {**MEANINGS, Code.PENDING: _LEFT}.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service was told. An empty text stands for what was not said."""

    command: str
    desired: str
    state: str
    branch: str
    state_dir: Path
    name: str
    access: Access


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `miaas-reconciler`, and return the exit code."""
    settings = _settings(_parser().parse_args(arguments), os.environ)
    log_to(sys.stderr)
    if not settings.desired:
        sys.stderr.write("miaas-reconciler: where is the fleet? Give --desired URL\n")
        return Code.USAGE
    try:
        with _wired(settings) as service:
            return service.once() if settings.command == "once" else service.run()
    except (RepositoryError, OSError) as error:
        sys.stderr.write(f"miaas-reconciler: {error}\n")
        return Code.WORLD


@dataclass(slots=True)
class Service:
    """Everything that both commands need, wired."""

    settings: Settings
    reader: Reader
    renderer: BoundedRenderer
    clock: SystemClock
    kept: MemoryFile
    lease: StandingFile
    seat: Seat

    def once(self) -> int:
        """Make one pass. The problems of documents go to standard output."""
        self.seat.standing = self.lease.load(self.clock.steady(), boot_seconds())
        try:
            outcome = pass_once(
                self.reader, self.renderer, self.remembered(), self.clock, seat=self.seat
            )
        except (RepositoryError, BadDocumentError, AssertionError) as error:
            # Whoever was silent meanwhile need not have been: we could not look.
            self.remember(self.remembered().after_a_gap(self.clock.steady(), timedelta(0)))
            sys.stderr.write(f"miaas-reconciler: {error}\n")
            return Code.PROBLEMS if isinstance(error, BadDocumentError) else Code.WORLD
        self.remember(outcome.result.memory)
        is_left = self.seat.duty is Duty.STAND_BY and not outcome.result.changes.nothing
        if self.seat.duty is Duty.STAND_BY:
            leader = self.seat.leader.holder if self.seat.leader else ""
            log.warning("another leads", extra={"pairs": {"leader": leader, "left": is_left}})
        tell(outcome)
        for notice in outcome.result.notices:
            log.warning("odd heartbeat", extra={"pairs": {"notice": notice}})
        for problem in outcome.result.problems:
            sys.stdout.write(f"{problem}\n")
        if outcome.result.problems:
            return Code.PROBLEMS
        return Code.PENDING if is_left else Code.FINE

    def run(self) -> int:
        """Make passes until a signal asks to end."""
        news = News()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: news.stop())
        watcher = Watcher(self.settings.desired, self.settings.state, self.settings.branch, news)
        watcher.start()
        self.renderer.warm()
        log.info("started", extra={"pairs": {"branch": self.settings.branch}})
        loop = Loop(
            reader=self.reader,
            renderer=self.renderer,
            clock=self.clock,
            waiting=news,
            rng=random.Random(),  # noqa: S311 - spreads load, keeps no secret
            memory=replace(self.remembered(), paused=True),
            saved=self.remember,
            seat=self.seat,
        )
        try:
            loop.run()
        finally:
            watcher.stop()
        log.info("stopped")
        return Code.FINE

    def remembered(self) -> Memory:
        """What was known at the last pass, as far as that was kept."""
        return self.kept.load(self.clock.steady(), boot_seconds())

    def remember(self, memory: Memory) -> None:
        """Keep it for the next start. A full disk is no reason to stop deciding."""
        try:
            self.kept.save(memory, self.clock.steady(), boot_seconds())
            if self.seat.is_guest:
                self.lease.save(self.seat.standing, self.clock.steady(), boot_seconds())
        except OSError as error:
            log.warning("cannot keep the memory", extra={"pairs": {"error": error}})


@contextmanager
def _wired(settings: Settings) -> Iterator[Service]:
    """Open the remotes and start what is needed, and end all of it again.

    Raises:
        RepositoryError: Git is not installed, or a URL is none that may be used.
        OSError: the state folder cannot be made.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    accepted = AcceptedFile(settings.state_dir)
    desired = _open(settings, settings.desired)
    state = desired if settings.state == settings.desired else _open(settings, settings.state)
    reader = Reader(desired, state, settings.branch)
    reader.heads.accepted, reader.heads.keep = accepted.load(), _keeping(accepted)
    renderer = BoundedRenderer()
    try:
        yield Service(
            settings=settings,
            reader=reader,
            renderer=renderer,
            clock=SystemClock(),
            kept=MemoryFile(settings.state_dir),
            lease=StandingFile(settings.state_dir),
            seat=Seat(
                settings.name,
                random.Random(),  # noqa: S311 - spreads load
                is_guest=settings.command == "once",
            ),
        )
    finally:
        renderer.close()


def _keeping(accepted: AcceptedFile) -> Callable[[CommitId], None]:
    def keep(head: CommitId) -> None:
        try:
            accepted.save(head)
        except OSError as error:
            log.warning("cannot keep the accepted commit", extra={"pairs": {"error": error}})

    return keep


def _open(settings: Settings, url: str) -> Repository:
    try:
        from fleet.git_repo import open_repository  # noqa: PLC0415  # fails where git is missing
    except ImportError as error:
        raise RepositoryError("git is not on the PATH. Fix: install git") from error
    folder = settings.state_dir / "mirrors" / hashlib.sha256(url.encode()).hexdigest()[:16]
    return open_repository(url, folder, access=settings.access)


def _settings(given: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    desired = given.desired or environ.get("MIAAS_DESIRED", "")
    return Settings(
        command=given.command,
        desired=desired,
        state=given.state or environ.get("MIAAS_STATE") or desired,
        branch=given.branch or environ.get("MIAAS_BRANCH") or "main",
        state_dir=Path(given.state_dir or environ.get("MIAAS_STATE_DIR") or STATE_DIR),
        name=given.name or environ.get("MIAAS_RECONCILER_NAME") or _own_name(),
        access=Access(
            environment=environ,
            ssh_key=given.ssh_key or environ.get("MIAAS_SSH_KEY", ""),
            known_hosts=given.known_hosts or environ.get("MIAAS_KNOWN_HOSTS", ""),
            credentials=environ.get("MIAAS_CREDENTIALS", ""),
            ca_file=environ.get("MIAAS_CA_FILE", ""),
        ),
    )


def _own_name() -> str:
    """The host's name, and what tells this process from another one there."""
    return f"{socket.gethostname()[:200]}-{secrets.token_hex(3)}"


def _parser() -> Parser:
    made = Parser(
        prog="miaas-reconciler",
        description="Decides what runs where, and writes the decision to Git.",
        epilog=_EPILOG,
    )
    made.add_argument("--version", action="version", version=f"miaas-reconciler {_version()}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in (
        ("once", "make one pass and end"),
        ("run", "make passes until asked to end"),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument("--desired", metavar="URL", help="repository that people write")
        command.add_argument("--state", metavar="URL", help="repository that machines write")
        command.add_argument("--branch", help="branch that people commit to; default: main")
        command.add_argument(
            "--state-dir", metavar="DIR", help=f"what outlives a restart; default: {STATE_DIR}"
        )
        command.add_argument("--name", metavar="NAME", help=_NAME)
        command.add_argument("--ssh-key", metavar="FILE", help="private key for ssh remotes")
        command.add_argument("--known-hosts", metavar="FILE", help="ssh hosts to trust")
    return made


def _version() -> str:
    try:
        return version("miaas")
    except PackageNotFoundError:
        return "unknown"
