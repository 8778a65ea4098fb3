"""A quick look: is there anything to do at all? Answers without loading what would do it.

A timer starts a fresh process every few seconds, and nearly all of them find nothing. So the last
pass leaves a memo of what it saw and when something is next due; as long as Git and Docker show the
same and nothing is due, that was the pass. In doubt the answer is no, and the whole agent looks.
"""

from __future__ import annotations

import json
import os

from agent.runtime.light import listed
from fleet.access import Access
from fleet.errors import RepositoryError
from fleet.glance import glance

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

    from agent.settings import Settings

FILE: Final = "memo.json"
MIRROR: Final = "mirror.git"
# `Up 3 minutes (healthy)`, `Up 1 second (health: starting)`
HEALTH: Final = ("healthy", "unhealthy", "starting")


class Memo:
    """What the last pass saw, and until when there is nothing to do if that stays so.

    stamp: of the program and its settings. boot: what `until` counts from. head: where our own ref
    was; empty: nowhere. containers: their fingerprint. look_at: when Git may be asked again; before
    that it failed not long enough ago.
    """

    __slots__ = ("boot", "containers", "head", "look_at", "stamp", "until")

    def __init__(  # noqa: PLR0913  # a record; dataclasses cost 7 ms to import
        self,
        *,
        stamp: str,
        boot: str,
        head: str,
        containers: str,
        until: float,
        look_at: float,
    ) -> None:
        self.stamp = stamp
        self.boot = boot
        self.head = head
        self.containers = containers
        self.until = until
        self.look_at = look_at


def is_all_quiet(settings: Settings, *, boot: str, now: float) -> bool:
    """Whether a pass would find nothing to do. Changes nothing but the mirror."""
    memo = read_memo(settings.state_dir)
    if memo is None or memo.boot != boot or memo.stamp != stamp(settings) or now >= memo.until:
        return False
    if containers_seen(settings) != memo.containers:
        return False
    return now < memo.look_at or head_seen(settings) == memo.head


def stamp(settings: Settings) -> str:
    """Something that changes with the program and with its settings."""
    program = os.stat(__file__)  # noqa: PTH116  # pathlib costs 5 ms
    told = [str(getattr(settings, name)) for name in settings.__slots__]
    return "\n".join((str(program.st_mtime_ns), str(program.st_ino), *told))


def read_memo(state_dir: str) -> Memo | None:
    """Read what the last pass left; None: nothing that can be used."""
    try:
        with open(f"{state_dir}/{FILE}", encoding="utf-8") as stream:  # noqa: PTH123
            value = json.load(stream)
        return Memo(**value)
    except (OSError, ValueError, TypeError):
        return None


def write_memo(state_dir: str, memo: Memo | None) -> None:
    """Leave a memo for the next process; None: it has to look for itself.

    Raises:
        OSError: it could not be written, and no older one is left.
    """
    path = f"{state_dir}/{FILE}"
    try:  # noqa: SIM105  # contextlib costs 2 ms
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        pass
    if memo is None:
        return
    value = {name: getattr(memo, name) for name in memo.__slots__}
    with open(f"{path}.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump(value, stream)
    os.replace(f"{path}.part", path)  # noqa: PTH105


def head_seen(settings: Settings) -> str | None:
    """Where our own ref is, empty if nowhere; None: it cannot be told."""
    ref = f"refs/miaas/assigned/{settings.node}"
    try:
        found = glance(settings.state_url, mirror_folder(settings), (ref,), access=access(settings))
    except RepositoryError:
        return None
    return None if found is None else found.get(ref, "")


def mirror_folder(settings: Settings) -> str:
    """Where the mirror of the state repository stands."""
    return f"{settings.state_dir}/{MIRROR}"


def access(settings: Settings) -> Access:
    """How to reach the state repository."""
    return Access(
        environment=dict(os.environ),  # noqa: TID251  # programs, proxies and ssh-agent; see Access
        ssh_key=settings.ssh_key,
        known_hosts=settings.known_hosts,
        credentials=settings.credentials,
        ca_file=settings.ca_file,
    )


def fingerprint(containers: Iterable[tuple[str, str, str, str]]) -> str:
    """Put id, state, health and content hash of containers in one text."""
    return "\n".join(sorted(" ".join(one) for one in containers))


def containers_seen(settings: Settings) -> str | None:
    """Fingerprint of our containers; None: Docker does not say."""
    if settings.runtime != "docker":
        return None
    host = settings.docker_host or "unix:///var/run/docker.sock"
    if not host.startswith("unix:///"):
        return None
    try:
        label = f"io.miaas.node={settings.node}"
        answer = listed(host.removeprefix("unix://"), (label,), query="all=1&")
        return None if answer is None else fingerprint(map(_seen, answer))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _seen(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    health = entry["Status"].rpartition("(")[2].removeprefix("health: ").removesuffix(")")
    return (
        entry["Id"],
        entry["State"],
        health if health in HEALTH else "",
        entry["Labels"].get("io.miaas.hash", ""),
    )
