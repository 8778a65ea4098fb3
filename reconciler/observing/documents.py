"""From the bytes of one file to a document or its problems; the same bytes only once. Pure.

Parsing is a function of bytes and path, so that remembering it changes nothing but the time: 500
heartbeats of which 3 are new cost three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from reconciler.observing.snapshot import Snapshot
from schemas.assignment import Assignment, Decision, parse_assignment, parse_decision
from schemas.deployment import Deployment, parse_deployment
from schemas.fleet import parse_fleet
from schemas.heartbeat import Heartbeat, parse_heartbeat
from schemas.layout import LEADER_FILE
from schemas.leader import Leader, parse_leader
from schemas.names import CommitId
from schemas.node import NodeRecord, parse_node
from schemas.problem import REPOSITORY, BadDocumentError, Place, Problem
from schemas.template import Template, parse_template

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Problems: TypeAlias = tuple[Problem, ...]

# Paths of one kind whose documents stay understood: more than any fleet that we measure has.
_PATHS_MAX: Final = 20_000
# Contents of one path. A pass reads one of most, and of a deployment the versions that are kept.
# Machines write the same path anew all day: what they wrote before must not stay, for a day of
# heartbeats of 300 nodes is 10 GB.
_CONTENTS_MAX: Final = 4


class _Parse(Protocol[T_co]):
    def __call__(self, text: str, *, path: str) -> T_co: ...


@dataclass(slots=True)
class _Latest(Generic[T]):
    """What the last contents of a path say, the newest first. One assignment, as threads read."""

    known: tuple[tuple[bytes, T | Problems], ...] = ()


def _reader(parse: _Parse[T]) -> Callable[[bytes, str], T | Problems]:
    @lru_cache(maxsize=_PATHS_MAX)
    def latest(path: str) -> _Latest[T]:
        del path
        return _Latest()

    def read(content: bytes, path: str) -> T | Problems:
        here = latest(path)
        for known in here.known:
            if known[0] == content:
                if known is not here.known[0]:
                    here.known = (known, *(one for one in here.known if one is not known))
                return known[1]
        found = understand(content, path)
        here.known = ((content, found), *here.known[: _CONTENTS_MAX - 1])
        return found

    def understand(content: bytes, path: str) -> T | Problems:
        try:
            return parse(content.decode(), path=path)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = error.start - content.rfind(b"\n", 0, error.start)
            what = "there is a byte that is not UTF-8 text"
            return (Problem(Place(path, line, column), what, "save the file as UTF-8"),)
        except BadDocumentError as error:
            return error.problems

    return read


read_fleet: Final = _reader(parse_fleet)
read_deployment: Final[Callable[[bytes, str], Deployment | Problems]] = _reader(parse_deployment)
read_template: Final[Callable[[bytes, str], Template | Problems]] = _reader(parse_template)
read_node: Final[Callable[[bytes, str], NodeRecord | Problems]] = _reader(parse_node)
read_heartbeat: Final[Callable[[bytes, str], Heartbeat | Problems]] = _reader(parse_heartbeat)
read_assignment: Final[Callable[[bytes, str], Assignment | Problems]] = _reader(parse_assignment)
read_decision: Final[Callable[[bytes, str], Decision | Problems]] = _reader(parse_decision)

_read_leader: Final[Callable[[bytes, str], Leader | Problems]] = _reader(parse_leader)


def leader_of(content: bytes) -> Leader | None:
    """Read the lease. None: there is none, or none that can be understood: it has to run out."""
    found = _read_leader(content, LEADER_FILE) if content else ()
    return None if isinstance(found, tuple) else found


def unread(snapshot: Snapshot, path: str) -> Problems:
    """Why a file of the fleet repository was not read: too large, or no regular file."""
    if path in snapshot.too_large:
        what = f"the file has {snapshot.too_large[path]} bytes, which is more than is read"
        return (Problem(Place(path), what, "split it, or move what is large elsewhere"),)
    what = "this is no regular file, or its name is unsafe"
    return (Problem(Place(path), what, "replace it by a plain file; links are not followed"),)


def no_folder(path: str) -> Problem:
    """What to say where a folder should be, and there is a link, a submodule or a plain file."""
    what = "this is no folder, so what belongs there is unknown and stays as it is"
    return Problem(Place(path), what, "make it a folder of plain files; links are not followed")


def rewound(left: CommitId, head: CommitId | None) -> Problem:
    """What to say where the branch that people commit to does not follow what was accepted."""
    what = f"the branch is at {head}, which does not follow {left}, the last accepted commit"
    fix = "push that commit back, or say that this is meant: miaas accept-rewind"
    return Problem(REPOSITORY, what, fix)


def paths_of(snapshot: Snapshot) -> tuple[str, ...]:
    """Every path of the fleet repository that counts, whether it was read or not, sorted."""
    return tuple(sorted({*snapshot.desired, *snapshot.too_large, *snapshot.ignored}))


def document(
    snapshot: Snapshot, path: str, read: Callable[[bytes, str], T | Problems]
) -> T | Problems:
    """Understand one file of the fleet repository."""
    if path not in snapshot.desired:
        return unread(snapshot, path)
    return read(snapshot.desired[path], path)
