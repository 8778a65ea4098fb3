"""The Git server and the lines to it, with everything that goes wrong on a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.memory import Line, MemoryRepository, MemoryServer
from fleet.objects import Object
from fleet.port import RefUpdate, RepositoryError
from schemas.names import CommitId
from tests.sim.fleet.actor import Points


@dataclass(frozen=True, slots=True)
class Move:
    """A ref that moved. None: it was not there, or is not there any more."""

    writer: str
    ref: str
    old: str | None
    new: str | None


class Server(MemoryServer):
    """A server that remembers who moved what, and refuses whom it is told to.

    moves, fresh: refs that moved and objects that came since somebody last took them.
    unwilling: writers whose pushes are refused.
    """

    def __init__(self) -> None:
        super().__init__(self._refusal)
        self.moves: list[Move] = []
        self.fresh: list[Object] = []
        self.unwilling: set[str] = set()
        self.refused = 0
        self.writer = ""

    def _refusal(self, _update: RefUpdate) -> str:
        if self.writer not in self.unwilling:
            return ""
        self.refused += 1
        return "busy, come again"

    def _move(self, updates: tuple[RefUpdate, ...], objects: Mapping[str, Object]) -> None:
        before = {update.ref: self.refs.get(update.ref) for update in updates}
        super()._move(updates, objects)
        self.fresh += objects.values()
        self.moves += [Move(self.writer, one.ref, before[one.ref], one.new) for one in updates]

    def put_ref(self, ref: str, value: str | None, writer: str) -> None:
        """Set a ref by force, as whoever has the disk of the server can."""
        old = self.refs.get(ref)
        if value is None:
            self.refs.pop(ref, None)
        else:
            self.refs[ref] = value
        self.moves.append(Move(writer, ref, old, value))


@dataclass(slots=True)
class Ills:
    """What is wrong with a line, each direction for itself.

    lose: how many pushes arrive and are never answered. push_seconds: until one arrives. hits: how
    often each of this bit.
    """

    fetching: Line = Line.UP
    pushing: Line = Line.UP
    lose: int = 0
    push_seconds: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)


class Wire(MemoryRepository):
    """One client, whose process can die or be held up before and after everything that it asks.

    is_damaged: its clone is. The next fetch finds it out, and puts an empty one in its place.
    """

    def __init__(self, server: Server, owner: str, ills: Ills, point: Points) -> None:
        super().__init__(server)
        self._ground = server
        self._owner = owner
        self._ills = ills
        self._point = point
        self.is_damaged = False

    def fetch(self, *refs: str) -> Mapping[str, CommitId]:
        self._point("before fetch")
        self._set(self._ills.fetching, "fetch cut")
        if self.is_damaged:
            self._start_anew()
        return super().fetch(*refs)

    def _start_anew(self) -> None:
        self.is_damaged = False
        self._ills.hits["corrupt clone"] += 1
        for everything in (self._here, self._unsent, self._asked):
            everything.clear()
        raise RepositoryError("the mirror is damaged, and is fetched anew")

    def push(self, updates: tuple[RefUpdate, ...]) -> None:
        self._begin()
        super().push(updates)
        self._point("after push")

    def push_own(self, ref: str, new: CommitId) -> None:
        self._begin()
        super().push_own(ref, new)
        self._point("after push")

    def _begin(self) -> None:
        self._point("before push", self._ills.push_seconds)
        lost = self._ills.lose > 0
        self._ills.lose -= lost
        self._set(Line.MUTE if lost else self._ills.pushing, "lost answer" if lost else "push cut")
        self._ground.writer = self._owner

    def _set(self, line: Line, name: str) -> None:
        self.line = line
        if line is not Line.UP:
            self._ills.hits[name] += 1
