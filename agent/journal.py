"""The act that is under way, written down before it begins, so that a kill in it can be healed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from agent.acts import Act, Down, Up
from agent.holding import Holding, holding_from_json
from agent.shelf import Shelf
from schemas.names import ReplicaName

FILE = "journal.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An act that began. Found at a start, it says that the act may be half done.

    holding: what the replica holds once it runs; None: nobody knows.
    """

    kind: str
    replica: ReplicaName
    deployment: str
    holding: Holding | None = None


class Journal:
    """Intent before, result after. At most one act is under way at any time."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def begin(self, act: Act, deployment: str, holding: Holding | None) -> None:
        """Write down what is about to be done, before the first container is touched.

        A pull needs no intent: an image half there is no harm. Nor does the removal of a single
        container, which a listing shows, or of volumes, which stay to be removed until they are.

        Raises:
            OSError: it cannot be written down, and then it must not be done.
        """
        if not isinstance(act, Down | Up):
            return
        intent = Intent(
            kind="down" if isinstance(act, Down) else "up",
            replica=act.replica,
            deployment=deployment,
            holding=holding,
        )
        self._shelf.write_json(FILE, asdict(intent))

    def end(self) -> None:
        """Note that the act ended, and that its result is remembered elsewhere."""
        self._shelf.remove(FILE)

    def interrupted(self) -> Intent | None:
        """The act that began and never ended, if there is one."""
        value = self._shelf.read_json(FILE)
        if not isinstance(value, dict):
            return None
        replica, kind = str(value.get("replica", "")), str(value.get("kind", ""))
        if not replica or kind not in {"up", "down"}:
            return None
        return Intent(
            kind=kind,
            replica=ReplicaName(replica),
            deployment=str(value.get("deployment", "")),
            holding=_holding(value.get("holding")),
        )


def _holding(value: Any) -> Holding | None:
    try:
        return holding_from_json(value)
    except (KeyError, TypeError, ValueError):
        return None
